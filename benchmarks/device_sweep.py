"""How far each device family is from ideal, against its own parameters: ``docs/device-tables.md``.

``python -m benchmarks.device_sweep`` runs every law that switches and diodes can build on a seeded
network of 6 nodes, and tanh laws of transistors, sweeps one parameter at a time, and prints the
tables in Markdown. Errors are the largest at the network's nodes after T = 1, against the ODE,
relative to the largest output. The same circuits of ideal sources come first: below their errors no
device can be told from ideal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import kcompile
from kcompile.frontend import FullyConnected, Model
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, get_law, validate
from kcompile.reference import solve

LAWS = (
    "relu_diff", "relu_affine", "shift_relu", "shift_leaky_relu", "leaky_relu_affine",
    "conductance",
)  # fmt: skip
TANH_LAWS = ("tanh_diff", "tanh_affine")
NODES = 6
DEGREES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Sweep:
    """One parameter of a family, from far from ideal to near it, others as given."""

    family: str
    parameter: str
    unit: str
    values: tuple[float, ...]
    others: tuple[tuple[str, float], ...] = ()


SWEEPS = (
    Sweep("switch", "roff", "v0/i0", (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)),
    Sweep("switch", "ron", "v0/i0", (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("diode", "is", "i0", (1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)),
    Sweep("diode", "cj", "c0", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("diode", "n", "", (10.0, 1.0, 1e-1, 1e-2, 1e-3), (("cj", 1e-2),)),
    Sweep("diode", "rs", "v0/i0", (1e1, 1e0, 1e-1, 1e-2, 1e-3), (("cj", 1e-2), ("n", 1e-3))),
)

TANH_SWEEPS = (
    Sweep("bjt", "bf", "", (1e1, 1e2, 1e3, 1e4, 1e5, 1e6)),
    Sweep("bjt", "re", "v0/i0", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("bjt", "cje", "c0", (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("bjt", "cjc", "c0", (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("bjt", "bf", "", (1e2, 1e3, 1e4, 1e5, 1e6), (("mirrors", 1),)),
    Sweep("bjt", "vaf", "V", (1e2, 1e3, 1e4, 1e5, 1e6, 1e7), (("mirrors", 1),)),
)


@dataclass(frozen=True, eq=False)
class Case:
    """A network, what is put into it, and what its ODE gives.

    Args:
        model: one layer.
        inputs: ``[1, nodes]``.
        truth: ``[1, nodes]`` at its end.
    """

    model: Model
    inputs: FloatArray
    truth: FloatArray

    def error(self, family: str, parameters: Mapping[str, float]) -> float:
        """The relative error of its circuit, one device an edge."""
        found = kcompile.simulate(
            self.model, self.inputs, device=family, opt_level=0, parameters=parameters
        )
        return float(np.abs(found.outputs - self.truth).max() / np.abs(self.truth).max())


def case(law_name: str, nodes: int = NODES, seed: int = 0) -> Case:
    """A fully connected layer with ground, its weights of both signs where the law has any."""
    rng = np.random.default_rng(seed)
    law = get_law(law_name)
    src, dst = FullyConnected(nodes + 1).edges()
    parameters = rng.normal(0.0, 1.5 / nodes, (law.rows, len(src)))
    form = law.coefficients(parameters)
    batch = EdgeBatch(law.phi, src, dst, form.w, form.a, form.b, form.c)
    outputs = np.arange(1, nodes + 1, dtype=np.int32)
    graph = Graph((Phase(nodes, 1.0, (batch,)),), nodes, outputs)
    model = Model(validate(graph), law_name)
    inputs = np.random.default_rng(1).uniform(-1.0, 1.0, (1, nodes))
    return Case(model, inputs, solve(graph, model.initial_voltages(inputs), 1e-9).outputs)


def sweep_rows(sweep: Sweep, cases: Sequence[Case]) -> Iterator[tuple[float, list[float]]]:
    """For each value of the swept parameter, the error of each case."""
    for value in sweep.values:
        parameters = {**dict(sweep.others), sweep.parameter: value}
        yield value, [case.error(sweep.family, parameters) for case in cases]


def heading(sweep: Sweep) -> str:
    """A sweep's title."""
    unit = f" [{sweep.unit}]" if sweep.unit else ""
    given = "".join(f", {name} = {value:g}" for name, value in sweep.others)
    return f"\n### `{sweep.family}`: {sweep.parameter}{unit}{given}\n"


def row(first: object, errors: Sequence[float]) -> str:
    """A line of a table."""
    return f"| {first} | {' | '.join(f'{error:.1e}' for error in errors)} |"


def header(first: str, columns: Sequence[object]) -> str:
    """The two lines above a table."""
    return f"| {first} | {' | '.join(map(str, columns))} |\n{'|---' * (len(columns) + 1)}|"


def main() -> None:
    """Prints one table a sweep."""
    cases = [case(law) for law in LAWS]
    print(f"### `ideal`, for comparison\n\n{header('', LAWS)}")
    print(row("ideal", [each.error("ideal", {}) for each in cases]), flush=True)
    for sweep in SWEEPS:
        print(f"{heading(sweep)}\n{header(sweep.parameter, LAWS)}", flush=True)
        for value, errors in sweep_rows(sweep, cases):
            print(row(f"{value:g}", errors), flush=True)
    cases = [case(law) for law in TANH_LAWS]
    for sweep in TANH_SWEEPS:
        print(f"{heading(sweep)}\n{header(sweep.parameter, TANH_LAWS)}", flush=True)
        for value, errors in sweep_rows(sweep, cases):
            print(row(f"{value:g}", errors), flush=True)
    print(f"\n### `switch`: nodes of a fully connected layer\n\n{header('roff', DEGREES)}")
    larger = [case("shift_relu", nodes) for nodes in DEGREES]
    for roff in (1e4, 1e5):
        errors = [each.error("switch", {"roff": roff}) for each in larger]
        print(row(f"{roff:g}", errors), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
