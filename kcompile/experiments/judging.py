"""How good the answers of a drawn circuit are, and whether that is good enough."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.frontend import Model
from kcompile.ir import FloatArray
from kcompile.tasks import Metric, metric_of
from kcompile.tasks.metrics import share_interval

ERRORS = ("max_error", "rms_error")
_SPECIFICATION = re.compile(r"\s*([a-z_]+)\s*(<=|>=)\s*([-+0-9.eE]+)\s*")
_NORMAL = 1.959963984540054


class Judge:
    """Scores answers against those of the ideal network, and by the task's metric.

    Args:
        model: the ideal network.
        ideal: ``float64[S, M]``, its read-outs.
        targets: what the answers should be, where that is known.
    """

    def __init__(self, model: Model, ideal: FloatArray, targets: NDArray[Any] | None) -> None:
        self._model, self._ideal = model, ideal
        metric = metric_of(model.task)
        if metric is not None and targets is None and metric.by_targets:
            metric = None
        self.metric: Metric | None = metric
        self._targets = np.empty((len(ideal), 0)) if targets is None else targets
        self.ideal_metric = self.value(ideal)
        self.peak = float(np.abs(ideal).max(initial=0.0))

    def value(self, outputs: FloatArray) -> float | None:
        """The task's metric of read-outs ``[S, M]``, behind the network's head."""
        if self.metric is None or not np.isfinite(outputs).all():
            return None
        with np.errstate(over="ignore"):
            return self.metric.value(self._model.head(outputs), self._targets)

    def errors(self, outputs: FloatArray) -> tuple[float, float]:
        """The largest and the rms difference from the ideal read-outs; infinite if they are."""
        with np.errstate(over="ignore", invalid="ignore"):
            difference = np.abs(outputs - self._ideal)
            if not np.isfinite(difference).all():
                return math.inf, math.inf
            return float(difference.max()), float(np.sqrt(np.mean(difference**2)))


@dataclass(frozen=True, slots=True)
class Specification:
    """What a circuit must reach to count as good.

    Args:
        quantity: ``max_error``, ``rms_error`` (read-outs, software units) or the task's metric.
        sign: ``<=`` or ``>=``.
        limit: the bound.
    """

    quantity: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str, metric: Metric | None) -> Specification:
        """A specification such as ``accuracy>=0.95``.

        Raises:
            UsageError: it is none, or of a quantity that this network does not have.
        """
        match = _SPECIFICATION.fullmatch(text)
        known = [*ERRORS, *([] if metric is None else [metric.name])]
        try:
            if match is None or match[1] not in known:
                raise ValueError
            return cls(match[1], match[2], float(match[3]))
        except ValueError:
            raise UsageError(
                f"{text!r} is no specification of this network", where="--spec",
                hint=f"write QUANTITY<=NUMBER or >=; quantities: {', '.join(known)}",
            ) from None  # fmt: skip

    def met(self, value: float | None) -> bool:
        """Whether a value meets it; what is not known does not."""
        if value is None or not math.isfinite(value):
            return False
        return value <= self.limit if self.sign == "<=" else value >= self.limit

    def __str__(self) -> str:
        return f"{self.quantity} {self.sign} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Spread:
    """How a quantity is distributed over draws.

    Args:
        mean: over the draws that have it.
        interval: of the mean, 95 % (normal approximation); NaN for a single draw.
        sd: standard deviation over draws.
        quantiles: 5 %, 50 % and 95 %.
        least, most: the smallest and the largest.
        count: draws that have it.
    """

    mean: float
    interval: tuple[float, float]
    sd: float
    quantiles: tuple[float, float, float]
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """The spread of the values that are known and finite; None where there are none."""
        known = np.array([v for v in values if v is not None and math.isfinite(v)])
        if not known.size:
            return None
        sd = float(known.std(ddof=1)) if known.size > 1 else 0.0
        mean = float(known.mean())
        half = _NORMAL * sd / math.sqrt(known.size) if known.size > 1 else math.nan
        low, middle, high = np.quantile(known, (0.05, 0.5, 0.95)).tolist()
        return cls(
            mean, (mean - half, mean + half), sd, (low, middle, high),
            float(known.min()), float(known.max()), int(known.size),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Yield:
    """The share of circuits that meet a specification.

    Args:
        specification: as text.
        good: how many meet it.
        runs: of how many.
        share: good / runs.
        interval: of the share, 95 % (Wilson).
    """

    specification: str
    good: int
    runs: int
    share: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, specification: Specification, values: Sequence[float | None]) -> Yield:
        """The yield of circuits with these values of the specified quantity."""
        good = sum(map(specification.met, values))
        share = good / len(values)
        return cls(str(specification), good, len(values), share, share_interval(share, len(values)))
