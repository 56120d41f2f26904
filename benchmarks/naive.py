"""Decks as one writes them at first: a B source an edge, with ``max()`` or ``tanh()``.

Also a program that builds the same elements as PySpice objects: ``python naive.py FOLDER`` reads
the folder's ``layers.npz`` and writes ``layer1.cir``, ... It imports nothing of kcompile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kcompile.compiler import Compiled

_ARRAYS = "layers.npz"
_FUNCTIONS = {"relu": "max(0,{})", "tanh": "tanh({})"}


@dataclass(frozen=True, eq=False)
class NaiveLayer:
    """A layer as arrays; one volt, ampere and femtofarad are the software units.

    Args:
        phi: ``relu`` or ``tanh``.
        src, dst: nodes of the edges; 0 is ground.
        w, a, b, c: ``w*phi(a*v_src + b*v_dst + c)`` flows from ``src`` to ``dst``.
        capacitance: farads, of nodes 1, 2, ...
        ic: volts, of the same.
        settings: the lines of options and analysis.
    """

    phi: str
    src: np.ndarray
    dst: np.ndarray
    w: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    capacitance: np.ndarray
    ic: np.ndarray
    settings: str

    def sources(self) -> Iterator[tuple[int, str, str, str]]:
        """Number, nodes and current of each edge."""
        function = _FUNCTIONS[self.phi]
        columns = (self.src, self.dst, self.w, self.a, self.b, self.c)
        edges = zip(*(column.tolist() for column in columns), strict=True)
        for k, (src, dst, w, a, b, c) in enumerate(edges):
            s, d = (f"n{node}" if node else "0" for node in (src, dst))
            difference = a == 1.0 and b == -1.0
            sum_of = f"v({s})-v({d})" if difference else f"{a!r}*v({s}){b:+.17g}*v({d})"
            yield k, s, d, f"{w!r}*{function.format(f'{sum_of}{c:+.17g}')}"

    def text(self) -> Iterator[str]:
        """The lines of its deck."""
        yield "* One behavioural source an edge\n"
        for node, (farads, volts) in enumerate(zip(self.capacitance, self.ic, strict=True), 1):
            yield f"C{node} n{node} 0 {float(farads)!r} ic={float(volts)!r}\n"
        for k, s, d, current in self.sources():
            yield f"B{k} {s} {d} I={current}\n"
        yield f"{self.settings}.end\n"


def naive_layers(compiled: Compiled, initial: np.ndarray) -> list[NaiveLayer]:
    """The layers of a network that was compiled at -O0, with the settings of its circuit.

    Args:
        compiled: in units of one volt and one ampere, each layer with edges of one function.
        initial: ``[N]``, voltages of the first layer's nodes.
    """
    circuit = compiled.circuit
    words = (n if value is None else f"{n}={value!r}" for n, value in circuit.options.items())
    options = f".options {' '.join(words)}\n"
    found: list[NaiveLayer] = []
    for phase, layer in zip(compiled.graph.phases, circuit.layers, strict=True):
        (phi,) = {str(batch.phi) for batch in phase.batches}
        step, stop = repr(layer.duration / circuit.steps), repr(layer.duration)
        saved = "\n+ ".join(f"v(n{node})" for node in range(1, layer.nodes + 1))
        ic = initial if not found else np.zeros(layer.nodes)
        columns = {
            name: np.concatenate([getattr(batch, name) for batch in phase.batches])
            for name in ("src", "dst")
        } | {
            name: np.concatenate([batch.column(name) for batch in phase.batches]) for name in "wabc"
        }
        found.append(
            NaiveLayer(
                phi=phi,
                **columns,
                capacitance=layer.capacitance,
                ic=ic,
                settings=f"{options}.tran {step} {stop} 0 {step} uic\n.save {saved}\n",
            )
        )
    return found


def write_naive(layers: Sequence[NaiveLayer], folder: Path) -> None:
    """Writes ``layer1.cir``, ... into a folder."""
    for number, layer in enumerate(layers, 1):
        with (folder / f"layer{number}.cir").open("w") as stream:
            stream.writelines(layer.text())


def write_arrays(layers: Sequence[NaiveLayer], folder: Path) -> None:
    """Writes what the program reads."""
    arrays: dict[str, Any] = {
        f"{number}.{name}": value
        for number, layer in enumerate(layers, 1)
        for name, value in vars(layer).items()
    }
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)


def main() -> None:
    """Builds PySpice circuits of all layers, keeps them, and writes their text."""
    folder = Path(sys.argv[1])
    parts, netlist = (import_module(f"PySpice.Spice.{m}") for m in ("BasicElement", "Netlist"))
    with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    circuits = []
    for number in range(1, len({name.partition(".")[0] for name in arrays}) + 1):
        fields = {
            name.partition(".")[2]: value if value.ndim else str(value)
            for name, value in arrays.items()
            if name.startswith(f"{number}.")
        }
        layer = NaiveLayer(**fields)  # pyright: ignore[reportArgumentType] - names tell the types
        circuit = netlist.Circuit(f"layer {number}")
        for node, (farads, volts) in enumerate(zip(layer.capacitance, layer.ic, strict=True), 1):
            parts.Capacitor(
                circuit, node, f"n{node}", 0, float(farads), initial_condition=float(volts)
            )
        for k, s, d, current in layer.sources():
            parts.BehavioralSource(circuit, k, s, d, current_expression=current)
        circuits.append(circuit)
    for number, circuit in enumerate(circuits, 1):
        (folder / f"layer{number}.cir").write_text(str(circuit))


if __name__ == "__main__":
    main()
