"""The ngspice dialect: a circuit as a folder of decks.

``run.cir`` is the entry. It sources one ``layer<k>.cir`` a layer, or holds the whole circuit of a
single deck. Initial voltages stand in ``inputs.inc``, which a user can replace.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from kcompile.files import filled, storage_error, written
from kcompile.netlist.elements import Circuit, Layer, Start, plain
from kcompile.netlist.rows import RowFormats
from kcompile.resources import data_folder

ENTRY = "run.cir"
INPUTS = "inputs.inc"
SINGLE_WAVEFORM = "run.raw"
_OURS = re.compile(r"layer\d+\.(cir|trace|raw|dat|osdi)|run\.raw|edges\.osdi")
_MEASURED = 32
"""Most nodes whose end voltage a layer's own deck prints when it hands them on."""


@dataclass(frozen=True)
class DeckFiles:
    """What was written.

    Args:
        folder: where.
        entry: the file to run, ``run.cir``.
        files: names of all files.
        elements: how many elements of each SPICE letter there are in all layers.
        bytes: size of all files but the inputs and compiled libraries.
        sha256: digest of the same.
    """

    folder: Path
    entry: Path
    files: tuple[str, ...]
    elements: Mapping[str, int]
    bytes: int
    sha256: str


def layer_file(number: int) -> str:
    """The deck of layer ``number`` (1, 2, ...)."""
    return f"layer{number}.cir"


def _trace_file(number: int) -> str:
    return f"layer{number}.trace"


def layer_waveform(number: int) -> str:
    """The raw file that the deck writes for layer ``number``."""
    return f"layer{number}.raw"


def write_decks(circuit: Circuit, folder: Path, initial: NDArray[np.float64]) -> DeckFiles:
    """Writes the circuit's decks into ``folder``, all of them or none.

    Decks, traces and waveforms of an earlier netlist do not stay.

    Args:
        circuit: what to write.
        folder: made where it is missing.
        initial: ``float64[inputs]``, the input voltages in volts.

    Raises:
        PdkError: a row template is bad.
        StorageError: a file cannot be written.
    """
    with filled(folder) as staging:
        writer = _Writer(circuit, staging)
        if circuit.single is None:
            for layer in circuit.layers:
                writer.write(layer_file(layer.number), "layer.cir.j2", layer=layer)
        writer.write(ENTRY, "run.cir.j2" if circuit.single is None else "single.cir.j2")
        for layer in circuit.layers:
            if layer.traces:
                writer.write_trace(layer)
        writer.write_attachments()
        size, sha256 = writer.size, writer.digest.hexdigest()
        writer.write(INPUTS, "inputs.inc.j2", initial=initial.tolist())
        _remove_stale(folder)
    return DeckFiles(
        folder,
        folder / ENTRY,
        tuple(writer.files),
        dict(sorted(writer.elements.items())),
        size,
        sha256,
    )


def format_inputs(circuit: Circuit, initial: NDArray[np.float64]) -> str:
    """The text of ``inputs.inc`` for other input voltages, ``float64[inputs]`` in volts."""
    template = _environment().get_template("inputs.inc.j2")
    return template.render(circuit=circuit, initial=initial.tolist())


class _Writer:
    def __init__(self, circuit: Circuit, folder: Path) -> None:
        self.circuit = circuit
        self.folder = folder
        self.files: list[str] = []
        self.elements: Counter[str] = Counter()
        self.size = 0
        self.digest = hashlib.sha256()
        self._rows = RowFormats(circuit.family)
        self._environment = _environment()

    def write(self, name: str, template: str, **context: Any) -> None:
        stream = self._environment.get_template(template).generate(
            circuit=self.circuit,
            models=self._rows.models(),
            rows=self._table_rows,
            capacitors=self._capacitors,
            measured=self._measured,
            waveform=layer_waveform,
            layer_file=layer_file,
            single_waveform=SINGLE_WAVEFORM,
            libraries=self._libraries(),
            **context,
        )
        self._stream(name, stream)

    def _libraries(self) -> tuple[str, ...]:
        """The libraries of all layers, each once."""
        return tuple(dict.fromkeys(n for layer in self.circuit.layers for n in layer.libraries))

    def write_trace(self, layer: Layer) -> None:
        def lines() -> Iterator[str]:
            yield f"* layer {layer.number}, element: the checkpoint's edges (from 0) behind it\n"
            for trace in layer.traces:
                ptr, index = trace.ptr.tolist(), trace.index.tolist()
                for k, name in enumerate(trace.ids):
                    yield f"{name}: {' '.join(map(str, index[ptr[k] : ptr[k + 1]]))}\n"

        self._stream(_trace_file(layer.number), lines())

    def write_attachments(self) -> None:
        found = {file.name: file for layer in self.circuit.layers for file in layer.attachments}
        for name in sorted(found):
            if found[name].program:
                with written(self.folder / name) as stream:
                    stream.writelines(found[name].pieces())
                self.files.append(name)
            else:
                self._stream(name, found[name].pieces())

    def _stream(self, name: str, pieces: Iterable[str] | Iterable[bytes]) -> None:
        self.digest.update(name.encode())
        with written(self.folder / name) as stream:
            for piece in pieces:
                data = piece.encode() if isinstance(piece, str) else piece
                self.size += len(data)
                self.digest.update(data)
                stream.write(data)
        self.files.append(name)

    def _table_rows(self, layer: Layer) -> Iterator[str]:
        if self.circuit.single is not None:
            self.elements["V"] += 1  # the gate
        for table in layer.tables:
            row = self._rows.of(table)
            for letter, count in row.letters.items():
                self.elements[letter] += count * table.count
            yield from row.chunks(table.columns, table.count)

    def _capacitors(self, layer: Layer, starts: Sequence[Start]) -> Iterator[str]:
        """The capacitor lines of a layer's nodes, with their initial conditions.

        Nodes beyond ``starts`` begin at 0 V.
        """
        self.elements["C"] += layer.nodes
        pairs = zip_longest(layer.capacitance.tolist(), starts, fillvalue=Start())
        for node, (farads, start) in enumerate(pairs, 1):
            ic = "0" if start.input is None else f"{{x{start.input}}}"
            yield f"C{node} n{node} 0 {farads!r} ic={ic}\n"

    def _measured(self, layer: Layer) -> tuple[int, ...]:
        """The nodes whose final voltages a layer's own deck prints."""
        if layer.number == len(self.circuit.layers):
            return self.circuit.outputs
        return tuple(range(1, min(layer.nodes, _MEASURED) + 1))


def _remove_stale(folder: Path) -> None:
    """Removes decks, traces and waveforms of an earlier netlist that this one does not replace."""
    try:
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise storage_error(error, folder) from error


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("templates") / "ngspice"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - netlists, not HTML
    )
    filters: dict[str, Any] = {"number": repr, "plain": plain, "wrap": _wrap}
    environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]
    return environment


def _wrap(words: list[str], per_line: int = 12) -> str:
    """Words in lines of ``per_line``, continued as SPICE does."""
    lines = [" ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]
    return "\n+ ".join(lines)
