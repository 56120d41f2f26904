"""The PySpice dialect: one layer of a circuit as PySpice objects, for those who live there.

PySpice is GPLv3, so it is imported only when a circuit is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kcompile.errors import InputError, MissingExtra, UsageError
from kcompile.netlist.elements import Circuit, Layer, plain
from kcompile.netlist.rows import RowFormats
from kcompile.netlist.writing import injection_lines

_MODEL = re.compile(r"\.model\s+(\S+)\s+(\w+)\s*\(?([^()]*)\)?\s*", re.IGNORECASE)
_BEHAVIOUR = re.compile(r"([Bb]\S+)\s+(\S+)\s+(\S+)\s+([IiVv])\s*=\s*(.+)")

_VALUED = {
    "C": ("Capacitor", 2),
    "R": ("Resistor", 2),
    "V": ("VoltageSource", 2),
    "I": ("CurrentSource", 2),
    "G": ("VoltageControlledCurrentSource", 4),
    "E": ("VoltageControlledVoltageSource", 4),
    "F": ("CurrentControlledCurrentSource", 3),
    "H": ("CurrentControlledVoltageSource", 3),
}
"""PySpice's class for a letter, where a number follows that many nodes and sources."""
_MODELLED = {
    "S": ("VoltageControlledSwitch", 4),
    "D": ("Diode", 2),
    "Q": ("BipolarJunctionTransistor", 3),
}
"""The same, where the name of a model follows."""


def to_pyspice(circuit: Circuit, layer: int = 1, initial: ArrayLike | None = None) -> Any:
    """One layer as a ``PySpice.Spice.Netlist.Circuit``.

    Its elements, models and simulator options are those of the layer's deck, with the same names
    and numbers; the options stand in its ``raw_spice``, and so does every line for which PySpice
    has no element. Simulate it with ``use_initial_condition=True``, to the layer's ``duration``, in
    steps of at most ``duration / circuit.steps``, and at the circuit's temperature: PySpice's
    ``simulator`` sets one of its own, 27 degrees Celsius where it is told none.

    Args:
        circuit: layers of their own (not a single deck).
        layer: which, from 1.
        initial: volts, ``float64[inputs]`` for the first layer, else the voltages of all nodes that
            the layer before hands over (its residual included); default: 0 V.

    Raises:
        MissingExtra: PySpice is not installed.
        UsageError: there is no such layer, all layers share one transient, or the family is one
            of another simulator's.
        InputError: ``initial`` does not fit.
        PdkError: a row template is bad.
    """
    if circuit.family.dialect != "ngspice":
        raise UsageError(
            f"device family {circuit.family.name} is written for {circuit.family.dialect}",
            hint="take one for ngspice, such as ideal",
        )
    if circuit.single is not None:
        raise UsageError("a single deck is no circuit of one layer", hint="leave out single_deck")
    if not 1 <= layer <= len(circuit.layers):
        raise UsageError(f"no layer {layer}", hint=f"layers: 1..{len(circuit.layers)}")
    volts = _voltages(circuit, layer, initial)
    try:
        parts, netlist = (import_module(f"PySpice.Spice.{m}") for m in ("BasicElement", "Netlist"))
    except ImportError as error:
        raise MissingExtra(
            "PySpice is not installed", hint="pip install 'kcompile[pyspice]'"
        ) from error
    header = [plain(line) for line in circuit.header]
    built = netlist.Circuit(", ".join([*header[:1], f"layer {layer} of {len(circuit.layers)}"]))
    raw = [f"* {line}" for line in header[1:]]
    _add_capacitors(built, parts, circuit.layers[layer - 1], volts)
    raw += (line for line in _lines(circuit, layer) if not _add(built, parts, line))
    raw += (line.rstrip("\n") for line in injection_lines(circuit.layers[layer - 1]))
    raw.append(_options(circuit))
    built.raw_spice = "".join(f"{line}\n" for line in raw)
    return built


def _voltages(circuit: Circuit, layer: int, initial: ArrayLike | None) -> list[float]:
    """The voltages that the layer's nodes start from, in volts."""
    width = circuit.inputs if layer == 1 else circuit.layers[layer - 2].nodes
    if initial is None:
        return [0.0] * width
    volts = np.asarray(initial, dtype=np.float64)
    if volts.shape != (width,) or not np.isfinite(volts).all():
        raise InputError(
            f"initial voltages of shape {list(volts.shape)}",
            where=f"layer {layer}",
            hint=f"give {width} finite numbers",
        )
    return volts.tolist()


def _add_capacitors(built: Any, parts: Any, layer: Layer, volts: list[float]) -> None:
    pairs = zip(layer.capacitance.tolist(), layer.starts, strict=True)
    for node, (farads, start) in enumerate(pairs, 1):
        source = start.input or start.node
        ic = 0.0 if source is None else volts[source - 1]
        parts.Capacitor(built, node, f"n{node}", 0, farads, initial_condition=ic)


def _options(circuit: Circuit) -> str:
    """The tolerances: with ngspice's own, a circuit of small units gives wrong answers."""
    words = (n if v is None else f"{n}={v!r}" for n, v in circuit.options.items())
    return f".options {' '.join(words)}"


def _lines(circuit: Circuit, layer: int) -> Iterator[str]:
    """Models and elements; a continued line or a subcircuit is one piece, comments are left out."""
    rows = RowFormats(circuit.family)
    yield from _pieces(rows.models())
    for name in circuit.family.supplies:
        yield f"{name.capitalize()} {name} 0 {circuit.family.parameters[name]!r}"
    for table in circuit.layers[layer - 1].tables:
        for chunk in rows.of(table).chunks(table.columns, table.count):
            yield from _pieces(chunk)


def _pieces(text: str) -> Iterator[str]:
    piece: list[str] = []
    depth = 0
    for line in text.splitlines():
        word = line.split(maxsplit=1)[0].lower() if line.strip() else ""
        if not word or word.startswith("*"):
            continue
        if piece and depth == 0 and not word.startswith("+"):
            yield "\n".join(piece)
            piece = []
        piece.append(line.strip())
        depth += (word == ".subckt") - (word == ".ends")
    if piece:
        yield "\n".join(piece)


def _add(built: Any, parts: Any, line: str) -> bool:
    """Adds a line as a PySpice object; False where PySpice has none for it."""
    if "\n" in line:
        return False
    if line[0] == ".":
        return _add_model(built, line)
    if found := _BEHAVIOUR.fullmatch(line):
        name, plus, minus, kind, expression = found.groups()
        parts.BehavioralSource(built, name[1:], plus, minus, **{kind.lower(): expression.strip()})
        return True
    name, *words, last = line.split()
    letter = name[0].upper()
    if _VALUED.get(letter, ("", -1))[1] == len(words):
        try:
            value = float(last)
        except ValueError:
            return False
        getattr(parts, _VALUED[letter][0])(built, name[1:], *words, value)
        return True
    if _MODELLED.get(letter, ("", -1))[1] == len(words):
        getattr(parts, _MODELLED[letter][0])(built, name[1:], *words, model=last)
        return True
    return False


def _add_model(built: Any, line: str) -> bool:
    found = _MODEL.fullmatch(line)
    if found is None:
        return False
    pairs = [word.partition("=") for word in found[3].split()]
    if not all(key and sign and value for key, sign, value in pairs):
        return False
    built.model(found[1], found[2], **{key: value for key, _, value in pairs})
    return True
