"""What every dialect's writer does: files whole or not at all, their size, digest and elements."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import jinja2
import numpy as np
from numpy.typing import NDArray

from kcompile.files import storage_error, written
from kcompile.netlist.elements import Circuit, Layer, Pulse, Start, Traced, plain
from kcompile.netlist.rows import RowFormats
from kcompile.resources import data_folder

_OURS = re.compile(
    r"layer\d+\.(cir|trace|raw|dat|osdi|scs|fc)|run\.(cir|raw|scs|fc|sh)|edges\.osdi"
    r"|inputs\.inc|initial\d+\.scs|hand_over\.py|kirchhoffnet\.va"
)
_CHUNK = 4096
"""Lines of a trace that are made at once."""
_PIECE = 1 << 16
"""Bytes that are written at once, or more."""
_MEASURED = 32
"""Most nodes whose end voltage a layer's own deck prints when it hands them on."""


@dataclass(frozen=True)
class DeckFiles:
    """What was written.

    Args:
        folder: where.
        entry: the file to run.
        files: names of all files.
        elements: how many elements of each SPICE letter there are in all layers.
        bytes: size of all files but the inputs and compiled libraries.
        sha256: digest of the same.
        command: what runs it.
        inputs: the file with the input voltages.
    """

    folder: Path
    entry: Path
    files: tuple[str, ...]
    elements: Mapping[str, int]
    bytes: int
    sha256: str
    command: str
    inputs: str


class Capacitor(Protocol):
    """Writes the line of one node's capacitor."""

    def __call__(self, node: int, farads: float, start: Start) -> str:
        """The line, for a node that begins as ``start`` says."""
        ...


class Writer:
    """Writes a circuit's files into a folder through the templates of one dialect.

    Args:
        circuit: what to write.
        folder: where.
        dialect: the folder of templates.
        comment: what begins a comment.
        capacitor: writes the line of one node's capacitor.
    """

    def __init__(
        self, circuit: Circuit, folder: Path, dialect: str, comment: str, capacitor: Capacitor
    ) -> None:
        self.circuit = circuit
        self.folder = folder
        self.files: list[str] = []
        self.elements: Counter[str] = Counter()
        self.size = 0
        self.digest = hashlib.sha256()
        self._comment = comment
        self._capacitor = capacitor
        self._rows = RowFormats(circuit.family)
        self._environment = environment(dialect)

    def write(self, name: str, template: str, **context: Any) -> None:
        """Writes one file.

        Args:
            name: of the file.
            template: of the dialect.
            **context: what the template may name, besides ``circuit``, ``models``, ``libraries``
                (compiled ones) and the functions ``rows``, ``capacitors``, ``injections``,
                ``measured``, ``pulses`` and ``supplies``.
        """
        stream = self._environment.get_template(template).generate(
            circuit=self.circuit,
            models=self._rows.models(),
            rows=self._table_rows,
            capacitors=self._capacitors,
            injections=self._injections,
            measured=self._measured,
            supplies=self._supplies,
            pulses=self._pulses,
            libraries=self._libraries(),
            **context,
        )
        self._stream(name, stream)

    def _write_trace(self, layer: Layer) -> None:
        """Writes which checkpoint edges stand behind a layer's elements."""

        def lines() -> Iterator[str]:
            about = "element: the checkpoint's edges (from 0) behind it"
            yield f"{self._comment} layer {layer.number}, {about}\n"
            for trace in layer.traces:
                for start in range(0, len(trace.ids), _CHUNK):
                    yield _trace_lines(trace, start, min(start + _CHUNK, len(trace.ids)))

        self._stream(f"layer{layer.number}.trace", lines())

    def _write_attachments(self) -> None:
        """Writes the files that the layers' devices need, each once."""
        found = {file.name: file for layer in self.circuit.layers for file in layer.attachments}
        for name in sorted(found):
            if found[name].program:
                with written(self.folder / name) as stream:
                    stream.writelines(found[name].pieces())
                self.files.append(name)
            else:
                self._stream(name, found[name].pieces())

    def complete(
        self,
        folder: Path,
        entry: str,
        command: str,
        inputs: tuple[str, str],
        initial: NDArray[np.float64],
    ) -> DeckFiles:
        """Writes what every dialect's decks end with: traces, attachments, input voltages.

        Args:
            folder: where the files will lie; what an earlier netlist left there is removed.
            entry: the file to run.
            command: what runs it.
            inputs: the file with the input voltages, and its template.
            initial: ``float64[inputs]``, the input voltages in volts.
        """
        for layer in self.circuit.layers:
            if layer.traces:
                self._write_trace(layer)
        self._write_attachments()
        size, sha256 = self.size, self.digest.hexdigest()
        self.write(*inputs, initial=initial.tolist())
        _remove_stale(folder)
        return DeckFiles(
            folder,
            folder / entry,
            tuple(self.files),
            dict(sorted(self.elements.items())),
            size,
            sha256,
            command,
            inputs[0],
        )

    def _libraries(self) -> tuple[str, ...]:
        """The libraries of all layers, each once."""
        return tuple(dict.fromkeys(n for layer in self.circuit.layers for n in layer.libraries))

    def _stream(self, name: str, pieces: Iterable[str] | Iterable[bytes]) -> None:
        self.digest.update(name.encode())
        with written(self.folder / name) as stream:
            for data in _joined(pieces):
                self.size += len(data)
                self.digest.update(data)
                stream.write(data)
        self.files.append(name)

    def _table_rows(self, layer: Layer) -> Iterator[str]:
        if self.circuit.single is not None:
            self.elements["V"] += len(self.circuit.single.gates[layer.number - 1])
            if pulses := self._pulses(layer):
                self.elements["C"] += len(pulses)
                self.elements["V"] += len(pulses)
        for table in layer.tables:
            row = self._rows.of(table)
            for letter, count in row.letters.items():
                self.elements[letter] += count * table.count
            yield from row.chunks(table.columns, table.count)

    def _pulses(self, layer: Layer) -> tuple[Pulse, ...]:
        """The charge that a layer's closing gates push onto its nodes."""
        single = self.circuit.single
        return () if single is None or not single.pulses else single.pulses[layer.number - 1]

    def _capacitors(self, layer: Layer, starts: Sequence[Start]) -> Iterator[str]:
        """The capacitor lines of a layer's nodes, with their initial conditions.

        Nodes beyond ``starts`` begin at 0 V.
        """
        self.elements["C"] += layer.nodes
        if self.circuit.single is not None and self.circuit.single.leak > 0:
            self.elements["R"] += layer.nodes
        for node, farads in enumerate(layer.capacitance.tolist()):
            start = starts[node] if node < len(starts) else Start()
            yield self._capacitor(node + 1, farads, start)

    def _injections(self, layer: Layer) -> Iterator[str]:
        for line in injection_lines(layer):
            self.elements["I"] += 1
            yield line

    def _supplies(self) -> Iterator[tuple[str, float]]:
        """The names of the supplies and their voltages."""
        family = self.circuit.family
        self.elements["V"] += len(family.supplies)
        for name in family.supplies:
            yield name, family.parameters[name]

    def _measured(self, layer: Layer) -> tuple[int, ...]:
        """The nodes whose final voltages a layer's own deck prints."""
        if layer.number == len(self.circuit.layers):
            return self.circuit.outputs
        return tuple(range(1, min(layer.nodes, _MEASURED) + 1))


def _trace_lines(trace: Traced, start: int, stop: int) -> str:
    """The lines of the elements ``start .. stop-1``."""
    ptr = trace.ptr[start : stop + 1].tolist()
    index = list(map(str, trace.index[ptr[0] : ptr[-1]].tolist()))
    return "".join(
        [
            f"{name}: {' '.join(index[low - ptr[0] : high - ptr[0]])}\n"
            for name, (low, high) in zip(trace.ids[start:stop], pairwise(ptr), strict=True)
        ]
    )


def injection_lines(layer: Layer) -> Iterator[str]:
    """SPICE's line of the current source into each node, for a layer that has them."""
    if layer.injection is None:
        return
    seconds = [repr(time) for time in layer.injection.seconds.tolist()]
    for node, amperes in enumerate(layer.injection.amperes.T.tolist(), 1):
        points = [f"{t} {i!r}" for t, i in zip(seconds, amperes, strict=True)]
        yield f"Iinjected{node} 0 n{node} pwl({_wrap(points, 6)})\n"


def _joined(pieces: Iterable[str] | Iterable[bytes]) -> Iterator[bytes]:
    """The same text, small pieces joined: each one written costs as much as a line."""
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece.encode() if isinstance(piece, str) else piece)
        size += len(kept[-1])
        if size >= _PIECE:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join(kept)


def _remove_stale(folder: Path) -> None:
    """Removes what an earlier netlist and its runs left in ``folder``.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise storage_error(error, folder) from error


def environment(dialect: str) -> jinja2.Environment:
    """The templates of a dialect."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("templates") / dialect),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - netlists, not HTML
    )
    filters: dict[str, Any] = {"number": repr, "plain": plain, "lines": _lines, "wrap": _wrap}
    found.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]
    return found


def _lines(words: Sequence[str], per_line: int = 12) -> list[str]:
    """Words in lines of ``per_line``."""
    return [" ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]


def _wrap(words: Sequence[str], per_line: int = 12) -> str:
    """Words in lines of ``per_line``, continued as SPICE does."""
    return "\n+ ".join(_lines(words, per_line))
