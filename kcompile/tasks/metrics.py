"""How a task's outputs are judged, sample arrays in, one number out (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import InputError
from kcompile.ir import FloatArray

Targets = NDArray[Any]

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Metric:
    """A number that says how good outputs are.

    Args:
        name: as reports call it.
        better: ``lower`` or ``higher``.
        value: maps outputs ``[S, M]`` and targets to the number.
        agreement: maps two sets of outputs and the targets to how far they say the same: of a
            loss, the difference of its two values; of an accuracy, the share of equal answers.
        by_targets: whether it wants targets; else it judges outputs as a set.
    """

    name: str
    better: str
    value: Callable[[FloatArray, Targets], float]
    agreement: Callable[[FloatArray, FloatArray, Targets], float]
    by_targets: bool = True

    @property
    def counts(self) -> bool:
        """Whether it is a share of samples, whose spread is known."""
        return self.name == "accuracy"


def of_samples(name: str, value: Callable[[FloatArray], float]) -> Metric:
    """A metric of a generative network's samples ``[S, N]`` as a set, the lower the better."""

    def judged(outputs: FloatArray, _targets: Targets) -> float:
        return value(outputs)

    def agreement(one: FloatArray, other: FloatArray, _targets: Targets) -> float:
        return abs(value(one) - value(other))

    return Metric(name, "lower", judged, agreement, by_targets=False)


def energy_distance(one: FloatArray, other: FloatArray, within_other: float | None = None) -> float:
    """How far apart two sets of points are: ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``.

    It is 0 for equal distributions and only for them (Székely and Rizzo, 2004).

    Args:
        one: ``float64[S, N]``.
        other: ``float64[R, N]``.
        within_other: its ``mean_gap`` with itself, where that is known.
    """
    if within_other is None:
        within_other = mean_gap(other, other)
    return 2 * mean_gap(one, other) - mean_gap(one, one) - within_other


def mean_brightness(images: FloatArray) -> float:
    """Mean of all pixels, ``[S, N]``."""
    return float(np.mean(images))


def mean_gap(one: FloatArray, other: FloatArray) -> float:
    """The mean distance between points of two sets, ``[S, N]`` and ``[R, N]``."""
    rows = max(1, _CHUNK // max(other.size, 1))
    total = 0.0
    for at in range(0, len(one), rows):
        gap = one[at : at + rows, None, :] - other[None, :, :]
        total += float(np.sqrt((gap**2).sum(axis=2)).sum())
    return total / (len(one) * len(other))


def _mse(outputs: FloatArray, targets: Targets) -> float:
    if outputs.shape != targets.shape or not len(outputs):
        raise InputError(f"outputs {list(outputs.shape)} for targets {list(targets.shape)}")
    return float(np.mean((outputs - targets) ** 2))


def _mse_agreement(one: FloatArray, other: FloatArray, targets: Targets) -> float:
    return abs(_mse(one, targets) - _mse(other, targets))


def _accuracy(outputs: FloatArray, targets: Targets) -> float:
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1] or not len(outputs):
        raise InputError(f"outputs {list(outputs.shape)} for classes {list(targets.shape)}")
    answers: Targets = outputs.argmax(axis=1)
    return float(np.mean(np.equal(answers, targets)))


def _accuracy_agreement(one: FloatArray, other: FloatArray, _targets: Targets) -> float:
    answers: Targets = one.argmax(axis=1)
    others: Targets = other.argmax(axis=1)
    return float(np.mean(np.equal(answers, others)))


def share_interval(share: float, samples: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share that was seen among so many samples (Wilson, 1927).

    Args:
        share: 0..1.
        samples: at least 1.
    """
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    spread = share * (1 - share) / samples + z2 / (4 * samples**2)
    half = float(np.sqrt(z2 * spread)) / (1 + z2 / samples)
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion(software: FloatArray, spice: FloatArray) -> list[list[int]]:
    """How often the circuit answered with class k (column) where the software answered with j."""
    classes = software.shape[1]
    pairs: Targets = software.argmax(axis=1) * classes + spice.argmax(axis=1)
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return [[int(count) for count in row] for row in counts]


METRICS = {
    "mse": Metric("mse", "lower", _mse, _mse_agreement),
    "accuracy": Metric("accuracy", "higher", _accuracy, _accuracy_agreement),
}
"""Metrics by name. ``mse``: mean squared error of the outputs as the network scales them;
``accuracy``: the share of samples whose largest output is that of their class, 0..1."""
