"""What fine-tuning under variations brings back: two networks on the same drawn circuits.

Run it in a checkout: ``python examples/recovered.py BEFORE AFTER --vary FILE``. BEFORE was
trained as ideal, AFTER from it with ``kcompile train TASK --from BEFORE --vary FILE``. Draws are
others than those of training, the same for both networks; answers are those of the converged
equations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kcompile
from kcompile.experiments import Experiment, Plan
from kcompile.variations import read_variations

RESAMPLES = 10_000


def main() -> None:
    """Prints the metric of both networks, what was lost, and which share of it came back."""
    arguments = _arguments()
    before, after = (_circuits(path, arguments) for path in (arguments.before, arguments.after))
    ideal = before.ideal_metric
    if ideal is None or before.metric is None:
        raise SystemExit("the network's task has no metric")
    for name, found in (("before", before), ("after", after)):
        print(
            f"{name}: {before.metric} {found.ideal_metric:.4g} ideal, "
            f"{np.mean(_metric(found)):.4g} over {found.runs} circuits of {found.samples} samples "
            f"({found.steps} steps; half of them move a read-out by {found.solver_error:.1g})"
        )
    sign = 1.0 if before.better == "higher" else -1.0
    gained, lost = (_metric(after) - _metric(before)) * sign, (ideal - _metric(before)) * sign
    error = 1.96 * gained.std(ddof=1) / np.sqrt(len(gained))
    print(f"better by {gained.mean():.4g} +- {error:.2g} (95 %, paired over circuits)")
    rows = np.random.default_rng(0).integers(len(gained), size=(RESAMPLES, len(gained)))
    shares = gained[rows].mean(axis=1) / lost[rows].mean(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    share = gained.mean() / lost.mean()
    print(f"recovered: {share:.1%} of what was lost ({low:.1%} to {high:.1%}, bootstrap)")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--vary", action="append", required=True, help="as for kcompile train")
    parser.add_argument("--runs", type=int, default=200, help="circuits")
    parser.add_argument("--seed", type=int, default=1, help="of the circuits")
    parser.add_argument("--samples", type=int, help="test samples [those of the checkpoint]")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the answers")
    return parser.parse_args()


def _circuits(path: Path, arguments: argparse.Namespace) -> Experiment:
    plan = Plan(
        read_variations(arguments.vary), arguments.runs, arguments.seed, alone=0,
        tolerance=arguments.tolerance,
    )  # fmt: skip
    return kcompile.montecarlo(kcompile.load(path), plan, samples=arguments.samples)


def _metric(found: Experiment) -> np.ndarray:
    return np.array([circuit.metric for circuit in found.circuits], dtype=np.float64)


if __name__ == "__main__":
    main()
