"""Noise of the devices' currents during the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import FloatArray, Injected, Phase
from kcompile.variations.effect import Effect, number


@dataclass(frozen=True)
class CurrentNoise(Effect):
    """Every device's current has white noise, which flows out of one of its nodes into the other.

    ``density`` is the one-sided power spectral density of one device's noise current. A transient
    holds it as currents that are drawn anew every ``step`` and linear between, whose variance
    ``density / (2*step)`` gives the same density well below ``1/(2*step)``. Nodes that share a
    device get opposite currents of it, as in the circuit: drawn together by their covariance.
    """

    name: ClassVar[str] = "noise"

    density: float = number("one-sided density of a device's noise current", "i0^2*tau")
    step: float = number("time between two drawn currents; 0: a hundredth of the layer", "tau")

    @property
    def active(self) -> bool:
        """Whether there is any noise."""
        return self.density > 0

    def draw(self, phase: Phase, rng: np.random.Generator) -> Injected | None:
        """The nodes' currents during one phase; None: it has no edges."""
        if not phase.edges:
            return None
        count = 100 if self.step == 0 else max(1, math.ceil(phase.duration / self.step))
        times = np.linspace(0.0, phase.duration, count + 1)
        sd = math.sqrt(self.density / (2.0 * phase.duration / count))
        normal = rng.standard_normal((count + 1, phase.nodes))
        return Injected(times, sd * normal @ incidence_root(phase).T)


def incidence_root(phase: Phase) -> FloatArray:
    """A square root of the covariance of the nodes' currents, ``float64[N, N]``.

    It is for devices whose currents each have variance 1: ``R @ R.T`` is the sum over edges of
    ``u u^T``, u being -1 at the source and 1 at the destination.
    """
    size = phase.nodes + 1
    total = np.zeros((size, size))
    for batch in phase.batches:
        pairs = (
            np.bincount(batch.src.astype(np.int64) * size + batch.dst, minlength=size * size)
            .reshape(size, size)
            .astype(float)
        )
        between = pairs + pairs.T
        total += np.diag(between.sum(axis=1)) - between
    values, vectors = np.linalg.eigh(total[1:, 1:])
    return vectors * np.sqrt(np.clip(values, 0.0, None))
