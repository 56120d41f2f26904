"""Noise of the devices' currents during the run."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.ir import FloatArray, Injected, Phase
from kcompile.variations.effect import Effect, number

_STEPS, _FEWEST, _MOST = 100, 10, 100_000
_NODES = 5000
"""Most nodes whose currents are drawn together: their covariance is a full matrix."""


@dataclass(frozen=True)
class CurrentNoise(Effect):
    """Every device's current has white noise, which flows out of one of its nodes into the other.

    ``density`` is the one-sided power spectral density of one device's noise current. A transient
    holds it as currents that are drawn anew every ``step`` and linear between; their variance is
    such that the charge which they move in the layer has the variance of white noise,
    ``density * T / 2``. Noise faster than ``1/(2*step)`` is left out: the step is to be short
    against the fastest node. Nodes that share a device get opposite currents of it, as in the
    circuit: drawn together by their covariance. Every sample has noise of its own.
    """

    name: ClassVar[str] = "noise"

    density: float = number("one-sided density of a device's noise current", "i0^2*tau")
    step: float = number("time between two drawn currents; 0: a hundredth of the layer", "tau")

    @property
    def active(self) -> bool:
        """Whether there is any noise."""
        return self.density > 0

    def check(self, phase: Phase) -> int:
        """How many steps the currents of a phase have.

        Raises:
            UsageError: too few, or too many, or there are too many nodes.
        """
        count = _STEPS if self.step == 0 else math.ceil(phase.duration / self.step * (1 - 1e-12))
        if not _FEWEST <= count <= _MOST:
            raise UsageError(
                f"noise.step {self.step:g} cuts a layer of {phase.duration:g} into {count} pieces",
                where="variations", hint=f"give a step that makes {_FEWEST} to {_MOST}",
            )  # fmt: skip
        if phase.nodes > _NODES:
            raise UsageError(
                f"noise currents of {phase.nodes} nodes", where="variations",
                hint=f"the covariance of no more than {_NODES} is drawn from",
            )  # fmt: skip
        return count

    def draw(self, phase: Phase, edges: int, rng: np.random.Generator) -> Injected | None:
        """The nodes' currents during one phase, for one sample.

        Args:
            phase: of the circuit as it is.
            edges: how many the ideal phase has; further ones are leaks, which make no noise here.
            rng: chance of the sample.

        Returns:
            None where no device carries a current.
        """
        covariance = _covariance(phase, edges)
        if not covariance.any():
            return None
        count = self.check(phase)
        times = np.linspace(0.0, phase.duration, count + 1)
        # Between linear currents, the first and the last count a quarter each.
        charge = self.density * phase.duration / 2.0
        sd = math.sqrt(charge / (count - 0.5)) / (phase.duration / count)
        normal = rng.standard_normal((count + 1, phase.nodes))
        return Injected(times, sd * normal @ _root(covariance))


def _covariance(phase: Phase, edges: int) -> FloatArray:
    """The covariance of the nodes' currents, ``float64[N, N]``, where each device's variance is 1.

    The sum over devices of ``u u^T``, u being -1 at the source and 1 at the destination. Devices
    that carry nothing (``w`` is 0, as of those stuck open) make no noise.
    """
    size = phase.nodes + 1
    total = np.zeros((size, size))
    for batch in phase.batches:
        live = (batch.trace.first < edges) & (batch.column("w") != 0)
        place = batch.src[live].astype(np.int64) * size + batch.dst[live]
        pairs = np.bincount(place, minlength=size * size).reshape(size, size).astype(float)
        between = pairs + pairs.T
        total += np.diag(between.sum(axis=1)) - between
    return total[1:, 1:]


_known: OrderedDict[bytes, FloatArray] = OrderedDict()
_lock = Lock()
_REMEMBERED = 8


def _root(covariance: FloatArray) -> FloatArray:
    """The symmetric square root: the only one that does not depend on how it is computed."""
    key = hashlib.sha256(covariance.tobytes()).digest()
    with _lock:
        if key not in _known:
            values, vectors = _eigen(covariance)
            _known[key] = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
            if len(_known) > _REMEMBERED:
                _known.popitem(last=False)
        return _known[key]


def _eigen(matrix: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = np.linalg.eigh(matrix)
    return found.eigenvalues, found.eigenvectors
