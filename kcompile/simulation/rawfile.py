"""Raw files: the waveforms that a SPICE simulator writes (ngspice manual, "rawfile format").

A file is one plot after another; a plot is a text header, then ``Binary:`` and rows of float64
(time first, then one value per vector), or ``Values:`` and the same numbers as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import SimulationFailed
from kcompile.files import storage_error

FloatArray: TypeAlias = NDArray[np.float64]

_HINT = "look at the simulator's log beside it"
_NEXT_PLOT = re.compile(rb"Title: [^\n]*\r?\nDate: ")
_VOLTAGE = re.compile(r"v\(([^()]+)\)")
_BRANCH = "#branch"


@dataclass(frozen=True, eq=False)
class Waveforms:
    """What a transient analysis computed.

    Args:
        names: V vectors in lower case; the voltage of node ``n1`` is called ``n1``, the current
            through a source ``vcc``, into its positive end, ``i(vcc)``.
        time: ``float64[P]``, seconds.
        values: ``float64[P, V]``, volts (amperes where a name is a current's).
        truncated: the file ended before all the points that its header promised.
        plot: the name of the analysis.
    """

    names: tuple[str, ...]
    time: FloatArray
    values: FloatArray
    truncated: bool = False
    plot: str = "Transient Analysis"

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: column for column, name in reversed(tuple(enumerate(self.names)))}

    def voltage(self, node: str) -> FloatArray:
        """The voltage of one node, ``float64[P]``.

        Raises:
            SimulationFailed: there is no such vector.
        """
        return self.voltages((node,))[:, 0]

    def current(self, source: str) -> FloatArray | None:
        """The current into the positive end of a source, ``float64[P]``; None: not saved."""
        column = self._index.get(f"i({source.lower()})")
        return None if column is None else self.values[:, column]

    def voltages(self, nodes: Sequence[str]) -> FloatArray:
        """The voltages of K nodes, ``float64[P, K]``.

        Raises:
            SimulationFailed: one of them is not there.
        """
        names = [_normalised(node) for node in nodes]
        for name in names:
            if name not in self._index:
                raise SimulationFailed(
                    f"the simulator wrote no voltage of node {name}",
                    hint="the deck must save every node",
                )
        return self.values[:, [self._index[name] for name in names]]


@dataclass(frozen=True)
class _Header:
    """One plot's header; ``start`` is where its data begins in the file."""

    plot: str
    names: tuple[str, ...]
    points: int
    waves: NDArray[np.bool_]
    is_complex: bool
    padded: bool
    binary: bool
    start: int


def read_raw(path: Path) -> Waveforms:
    """The last transient analysis in a raw file.

    Raises:
        SimulationFailed: it is missing, empty, foreign, complex, or holds no transient analysis.
        StorageError: it cannot be read.
    """
    return read_raws(path)[-1]


def read_raws(path: Path) -> tuple[Waveforms, ...]:
    """Every transient analysis in a raw file, in the order of the file; at least one.

    A file that was cut gives the whole points that it still has. A header that says fewer points
    than there are (a simulator that was stopped never corrects it) is not believed.

    Raises:
        SimulationFailed: it is missing, empty, foreign, complex, or holds no transient analysis.
        StorageError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        _refuse(path, "the simulator wrote no raw file")
    except OSError as error:
        raise storage_error(error, path) from error
    if not data.strip():
        _refuse(path, "the raw file is empty")
    plots = tuple(_plots(data, path))
    found = tuple(plot for plot in plots if isinstance(plot, Waveforms))
    if not found:
        others = ", ".join(repr(plot) for plot in plots)
        _refuse(path, f"the raw file has no transient analysis, only {others}")
    return found


def _plots(data: bytes, path: Path) -> Iterator[Waveforms | str]:
    """The plots of a file: waveforms, or the name of a plot that is no transient analysis."""
    position = 0
    while position < len(data):
        header = _read_header(data, position, path)
        end, table, truncated = (_binary if header.binary else _ascii)(data, header, path)
        if header.names[0] != "time":
            yield header.plot
        elif header.is_complex:
            _refuse(path, f"the values of {header.plot!r} are complex, not waveforms")
        else:
            keep = header.waves[1:]
            if not (header.padded or header.waves.all()):
                _refuse(path, f"the vectors of {header.plot!r} differ in length and are not padded")
            names = (n for n, wave in zip(header.names[1:], keep, strict=True) if wave)
            yield Waveforms(
                names=tuple(names),
                time=np.ascontiguousarray(table[:, 0], dtype=np.float64),
                values=np.ascontiguousarray(table[:, 1:][:, keep], dtype=np.float64),
                truncated=truncated,
                plot=header.plot,
            )
        while data[end : end + 1].isspace():
            end += 1
        position = end


def _read_header(data: bytes, position: int, path: Path) -> _Header:
    """The header that begins at ``position``."""
    if data[position : position + 6].lower() != b"title:":
        _refuse(path, f"it is no raw file: it reads {_quoted(data[position : position + 40])}")
    fields: dict[str, str] = {}
    lines = _lines(data, position, path)
    while True:
        text, after = next(lines)
        key, colon, rest = text.partition(":")
        key = key.strip().lower()
        if not colon:
            _refuse(path, f"the raw file has a bad header line: {text[:40]!r}")
        if key in ("binary", "values"):
            if "variables" not in fields:
                _refuse(path, "the header of the raw file lists no variables")
            return _header(fields, key == "binary", after, path)
        if key == "variables":
            count = _count(fields, "no. variables", path)
            rows = [rest] if rest.strip() else []
            while len(rows) < count:
                rows.append(next(lines)[0])
            rest = "\n".join(rows)
        fields[key] = rest.strip("\r")


def _lines(data: bytes, position: int, path: Path) -> Iterator[tuple[str, int]]:
    """Header lines, each with the position behind it; a file that ends among them is an error."""
    while (newline := data.find(b"\n", position, position + 65536)) >= 0:
        yield data[position:newline].decode("latin-1").rstrip("\r"), newline + 1
        position = newline + 1
    _refuse(path, "the raw file is cut in its header")


def _header(fields: dict[str, str], binary: bool, start: int, path: Path) -> _Header:
    points = _count(fields, "no. points", path)
    flags = fields.get("flags", "real").lower().split()
    names: list[str] = []
    waves: list[bool] = []
    for row in fields["variables"].split("\n"):
        words = row.split()
        if len(words) < 3 or not words[0].isdecimal():
            _refuse(path, f"the header of the raw file has a bad variable: {row[:40]!r}")
        names.append(_normalised(words[1]))
        waves.append(_length(words[3:], points) == points)
    return _Header(
        plot=fields.get("plotname", "").strip() or "unnamed",
        names=tuple(names),
        points=points,
        waves=np.array(waves),
        is_complex="complex" in flags,
        padded="unpadded" not in flags,
        binary=binary,
        start=start,
    )


def _count(fields: dict[str, str], key: str, path: Path) -> int:
    words = fields.get(key, "").split()
    if len(words) != 1 or not words[0].isdecimal() or len(words[0]) > 18:
        _refuse(path, f"the header of the raw file has no usable {key!r}")
    if key == "no. variables" and int(words[0]) < 1:
        _refuse(path, "the header of the raw file lists no variables")
    return int(words[0])


def _length(parameters: list[str], points: int) -> int:
    """How long a vector is: as its ``dims=`` says, else as long as the plot."""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        sizes = value.split(",")
        if key == "dims" and all(size.isdecimal() for size in sizes):
            return math.prod(int(size) for size in sizes)
    return points


def _binary(data: bytes, header: _Header, path: Path) -> tuple[int, FloatArray, bool]:
    """Where the plot ends, its rows ``float64[P, V]`` and whether rows are missing."""
    del path
    width = len(header.names) * (2 if header.is_complex else 1)
    end = header.start + 8 * width * header.points
    if header.points == 0 or (end != len(data) and not data.startswith(b"Title:", end)):
        following = _NEXT_PLOT.search(data, header.start)
        end = following.start() if following else len(data)
    points = (end - header.start) // (8 * width)
    rows = np.frombuffer(data, "=f8", points * width, header.start).reshape(points, width)
    return end, rows, points < header.points


def _ascii(data: bytes, header: _Header, path: Path) -> tuple[int, FloatArray, bool]:
    """Where the plot ends, its rows ``float64[P, V]`` and whether rows are missing."""
    following = _NEXT_PLOT.search(data, header.start)
    end = following.start() if following else len(data)
    body = data[header.start : end]
    words = body.replace(b",", b" ").split()
    if words and not body[-1:].isspace():
        words.pop()  # it may have lost digits
    width = len(header.names) * (2 if header.is_complex else 1)
    points = len(words) // (width + 1)
    try:
        numbers = np.array(words[: points * (width + 1)]).astype(np.float64)
    except ValueError:
        _refuse(path, "the raw file has a value that is no number")
    table = numbers.reshape(points, width + 1)
    if not np.array_equal(table[:, 0], np.arange(points)):
        _refuse(path, "the rows of the raw file are not numbered from 0 upwards")
    return end, table[:, 1:], points < header.points


def _quoted(data: bytes) -> str:
    return repr(data.decode("ascii", errors="replace"))


def _normalised(name: str) -> str:
    name = name.lower()
    if name.endswith(_BRANCH):
        return f"i({name.removesuffix(_BRANCH)})"
    match = _VOLTAGE.fullmatch(name)
    return match[1] if match else name


def _refuse(path: Path, message: str) -> NoReturn:
    raise SimulationFailed(message, where=path, hint=_HINT)
