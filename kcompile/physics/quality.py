"""What noise does to the task's own measure of quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import MissingExtra
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.physics.ensemble import NoiseFigures
from kcompile.tasks import TASKS, Metric
from kcompile.tasks.metrics import share_interval
from kcompile.tasks.registry import PUBLISHED_NAMES

SET_DRAWS = 16
"""Draws on which metrics of whole sets of samples are told: each takes a good part of a second."""


@dataclass(frozen=True, slots=True)
class Quality:
    """A task's metric with noise and without.

    Args:
        metric: its name.
        better: ``lower`` or ``higher``.
        without_noise: of the converged solution.
        with_noise: mean of the draws.
        with_noise_sd: how much single draws differ; None: there is one.
        change: what noise adds.
        change_interval: its 95 % confidence interval, were the samples drawn from many (of a
            metric of a whole set: over the draws alone); None: they are too few to tell.
        with_noise_interval: of a share, its own 95 % interval.
        samples, draws: how many it was told from.
    """

    metric: str
    better: str
    without_noise: float
    with_noise: float
    with_noise_sd: float | None
    change: float
    change_interval: tuple[float, float] | None
    with_noise_interval: tuple[float, float] | None
    samples: int
    draws: int


def quality(model: Model, targets: NDArray[Any] | None, noise: NoiseFigures) -> Quality | None:
    """The task's metric with noise and without; None where there is no metric or no target.

    Args:
        model: the network, whose head the read-outs go through.
        targets: what the samples' answers should be, where that is known.
        noise: of the samples.
    """
    known = PUBLISHED_NAMES.get(model.task or "", model.task)
    if known not in TASKS or not noise.finite:
        return None
    metric = TASKS[known].metric
    if targets is None and metric.by_targets:
        return None
    clean = model.head(noise.signal)
    noisy = np.swapaxes(model.head(noise.signal[:, None] + noise.both), 0, 1)
    try:
        if metric.by_targets:
            assert targets is not None
            return _of_samples(metric, clean, noisy, targets)
        return _of_set(metric, clean, noisy[:SET_DRAWS])
    except MissingExtra:  # what samples would be compared with cannot be made here
        return None


def _of_samples(
    metric: Metric, clean: FloatArray, noisy: FloatArray, targets: NDArray[Any]
) -> Quality:
    """A metric that is the mean of the samples' own values; ``noisy`` is ``[R, S, ...]``."""
    count = len(clean)

    def each(outputs: FloatArray) -> FloatArray:
        rows = (slice(k, k + 1) for k in range(count))
        return np.array([metric.value(outputs[row], targets[row]) for row in rows])

    before, after = each(clean), np.stack([each(draw) for draw in noisy])
    by_sample = after.mean(axis=0) - before
    share = None
    if metric.counts:
        share = share_interval(float(after.mean()), count)
    return _quality(metric, float(before.mean()), after.mean(axis=1), by_sample, count, share)


def _of_set(metric: Metric, clean: FloatArray, noisy: FloatArray) -> Quality:
    nothing = np.empty((len(clean), 0))
    before = metric.value(clean, nothing)
    after = np.array([metric.value(draw, nothing) for draw in noisy])
    return _quality(metric, before, after, after - before, len(clean), None)


def _quality(
    metric: Metric,
    before: float,
    after: FloatArray,
    changes: FloatArray,
    samples: int,
    share: tuple[float, float] | None,
) -> Quality:
    """Puts together what was found; ``changes`` are independent ones, ``after`` one a draw."""
    change = float(changes.mean())
    interval = None
    if len(changes) > 1:
        half = 1.96 * float(np.std(changes, ddof=1)) / len(changes) ** 0.5
        interval = (change - half, change + half)
    spread = float(np.std(after, ddof=1)) if len(after) > 1 else None
    return Quality(
        metric.name, metric.better, before, float(after.mean()), spread, change, interval, share,
        samples, len(after),
    )  # fmt: skip
