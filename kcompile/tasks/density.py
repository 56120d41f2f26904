"""Density matching (Fig. 10): a flow whose density is that of a potential, by the reverse KL."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.data import POTENTIALS, inside, potential
from kcompile.tasks.metrics import of_samples
from kcompile.tasks.task import Kind, Split, Task

DRAWS = 10_000
"""How many normal draws the effective sample size is told from."""

_SEED = 2


def _split(name: str, data: Path | None) -> Split:
    """Nothing to learn from, and the draws that a network is judged on."""
    if data is not None:
        raise UsageError(f"{name} is a formula, not data", hint="leave --data out")
    draws = np.random.default_rng(_SEED).standard_normal((DRAWS, 2))
    nothing = np.empty((0, 2))
    return Split(nothing, np.empty((0, 0)), draws, np.empty((DRAWS, 0)))


def _mean_potential(name: str, samples: FloatArray) -> float:
    """Mean potential of the samples where the density is (far outside it says nothing)."""
    kept = samples[inside(name, samples)]
    return float(np.mean(potential(name, kept))) if len(kept) else float("inf")


DENSITY = tuple(
    Task(
        name,
        f"the density exp(-U) of {name} (Fig. 10)",
        Kind.DENSITY,
        partial(_split, name),
        of_samples("mean_potential", partial(_mean_potential, name)),
        "ess",
        "higher",
    )
    for name in POTENTIALS
)
