"""Monte Carlo with many effects at once, and whether two runs found the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kcompile.variations import read_variations

INPUTS = np.array([[0.3, -0.4], [1.0, 0.5], [-0.6, 0.1]])
SOME = read_variations(
    ["mismatch.gain=0.03", "mismatch.offset=0.02", "capacitors.mismatch=0.02", "stuck.open=0.02",
     "leakage.conductance=0.02", "output.conductance=0.01", "input.noise=0.01", "readout.bits=8",
     "readout.span=4"]
)  # fmt: skip


def same(one, other) -> bool:
    """Whether circuits are equal, but for the time they took."""
    return [replace(c, seconds=0) for c in one.circuits] == [
        replace(c, seconds=0) for c in other.circuits
    ]
