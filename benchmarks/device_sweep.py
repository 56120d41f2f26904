"""How far each device family is from ideal, against its own parameters: ``docs/devices.md``.

``python -m benchmarks.device_sweep`` runs every law that switches and diodes can build on a seeded
network of 6 nodes, sweeps one parameter at a time, and prints the tables in Markdown. Errors are
the largest at the network's nodes after T = 1, against the ODE, relative to the largest output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import kcompile
from kcompile.frontend import FullyConnected, Model
from kcompile.ir import EdgeBatch, Graph, Phase, get_law, validate
from kcompile.reference import solve

LAWS = (
    "relu_diff", "relu_affine", "shift_relu", "shift_leaky_relu", "leaky_relu_affine",
    "conductance",
)  # fmt: skip
NODES = 6


@dataclass(frozen=True)
class Sweep:
    """One parameter of a family, from far from ideal to near it, others as given."""

    family: str
    parameter: str
    unit: str
    values: tuple[float, ...]
    others: tuple[tuple[str, float], ...] = ()


SWEEPS = (
    Sweep("switch", "roff", "v0/i0", (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7)),
    Sweep("switch", "ron", "v0/i0", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    Sweep("diode", "is", "i0", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)),
    Sweep("diode", "n", "", (10.0, 1.0, 1e-1, 1e-2, 1e-3), (("cj", 1e-2),)),
    Sweep("diode", "cj", "c0", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
)


def network(law_name: str, seed: int = 0) -> Model:
    """A fully connected layer of ``law_name`` with weights of both signs, at rest from decaying."""
    rng = np.random.default_rng(seed)
    law = get_law(law_name)
    src, dst = FullyConnected(NODES + 1).edges()
    rows = rng.normal(0.0, 0.25, (law.rows, len(src)))
    form = law.coefficients(rows)
    batch = EdgeBatch(law.phi, src, dst, form.w, form.a, form.b, form.c)
    outputs = np.arange(1, NODES + 1)
    return Model(validate(Graph((Phase(NODES, 1.0, (batch,)),), NODES, outputs)), law_name)


def rows(sweep: Sweep) -> Iterator[tuple[float, list[float]]]:
    """For each value of the swept parameter: the relative error of each law."""
    inputs = np.random.default_rng(1).uniform(-1.0, 1.0, (1, NODES))
    models = [network(law) for law in LAWS]
    truths = [solve(m.graph, m.initial_voltages(inputs), 1e-9).outputs for m in models]
    for value in sweep.values:
        errors: list[float] = []
        for model, truth in zip(models, truths, strict=True):
            parameters = {**dict(sweep.others), sweep.parameter: value}
            found = kcompile.simulate(
                model, inputs, device=sweep.family, opt_level=0, parameters=parameters
            )
            errors.append(float(np.abs(found.outputs - truth).max() / np.abs(truth).max()))
        yield value, errors


def main() -> None:
    """Prints one table a sweep."""
    for sweep in SWEEPS:
        given = "".join(f", {name} = {value:g}" for name, value in sweep.others)
        unit = f" [{sweep.unit}]" if sweep.unit else ""
        print(f"\n### `{sweep.family}`: {sweep.parameter}{unit}{given}\n")
        print("| " + " | ".join([sweep.parameter, *LAWS]) + " |")
        print("|---" * (len(LAWS) + 1) + "|")
        for value, errors in rows(sweep):
            cells = [f"{value:g}", *(f"{error:.1e}" for error in errors)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
