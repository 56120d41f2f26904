"""Timing of the layers that share one transient: its imperfections, and when every gate is open.

A layer's currents are multiplied by a gate. It opens linearly, stays open and closes linearly; the
area under it is its layer's duration, unless it closes late (docs/timing.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError

FloatArray: TypeAlias = NDArray[np.float64]

STEEPEST = 1e-3
"""A gate's rise where none is given: a step would only make a simulator try ever smaller ones."""

_LEAST_RISE = 1e-6
"""Corners that lie closer together could not be told apart after some layers."""


@dataclass(frozen=True)
class Timing:
    """How far the layers of a single deck are from following each other perfectly.

    Times are fractions of the shortest layer's duration. A gate is driven row by row: what flows
    between two nodes belongs to the row of the higher one.

    Args:
        rise: how long a gate takes to open, and to close; 0: ``STEEPEST``, else 1e-6 or more, below
            1.
        dead: pause between a gate's closing and the next one's opening.
        overlap: how much earlier the next gate opens, without either being open for a shorter
            time; at most 1. Of dead time and overlap the difference counts.
        late: how late every gate closes, for the next one opens in time: currents flow for so much
            longer than they should; negative: early; from -0.5 to 1.
        skew: standard deviation of the delays of a layer's rows, each of which then has a gate of
            its own.
        charge: pushed onto every node of a layer while its gate closes, in c0*v0, signed.
        leak: conductance from every node to ground at all times, in i0/v0.
        seed: of the delays.

    Raises:
        UsageError: a number is out of range, or gates close before they are open.
    """

    rise: float = 0.0
    dead: float = 0.0
    overlap: float = 0.0
    late: float = 0.0
    skew: float = 0.0
    charge: float = 0.0
    leak: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name))
        if 0 < self.rise < _LEAST_RISE:
            raise UsageError(
                f"rise is {self.rise!r}", where="timing",
                hint=f"give 0 for the steepest, or a number from {_LEAST_RISE:g} to 1",
            )  # fmt: skip
        if self.rise >= 1.0 + self.late:
            raise UsageError(
                "gates close before they are open", where="timing", hint="give a shorter rise"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Timing:
        """The timing that ``{"overlap": 0.01, ...}`` says; what is missing is perfect.

        Raises:
            UsageError: a name or a value that there is not.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(
                    f"there is no {name!r}", where="timing", hint=f"there are {', '.join(known)}"
                )
        return cls(**values)

    def to_mapping(self) -> dict[str, float]:
        """What ``from_mapping`` takes: the numbers that differ from their defaults."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {each.name: values[each.name] for each in fields(self)
                if values[each.name] != each.default}  # fmt: skip

    @property
    def perfect(self) -> bool:
        """Whether nothing differs from the ideal sequence of layers; a seed alone does not."""
        return not self.to_mapping().keys() - {"seed"}

    def delays(self, layer: int, nodes: int) -> FloatArray:
        """How late the rows of a layer are, ``float64[nodes]``; one 0 for all without skew."""
        if self.skew == 0:
            return np.zeros(1)
        return self.skew * np.random.default_rng([self.seed, layer]).standard_normal(nodes)

    def schedule(self, durations: Sequence[float], nodes: Sequence[int]) -> Schedule:
        """When every gate is open, in the unit of the durations.

        Args:
            durations: of the layers.
            nodes: how many each has.
        """
        unit = min(durations)
        rise = (self.rise or STEEPEST) * unit
        gap = (self.dead - self.overlap) * unit
        ends = np.cumsum([duration + rise + gap for duration in durations])
        begins = np.array([0.0, *ends[:-1]])
        delays = [unit * self.delays(k, count) for k, count in enumerate(nodes)]
        # Time begins where the first gate opens: that of an early row opens before its layer's.
        early = min(float((begin + d).min()) for begin, d in zip(begins, delays, strict=True))
        begins += max(0.0, -early)
        starts = tuple(begin + delay for begin, delay in zip(begins, delays, strict=True))
        areas = tuple(duration + self.late * unit for duration in durations)
        return Schedule(areas, rise, tuple(begins.tolist()), starts)


@dataclass(frozen=True, eq=False)
class Schedule:
    """When every gate of every layer is open.

    Args:
        areas: under the gates of each layer, its duration where they close in time.
        rise: how long a gate takes to open, and to close.
        begins: when each layer begins, its rows' delays left out.
        starts: for each layer ``float64[G]``, when its gates begin to open: one for all its rows,
            or one for each.
    """

    areas: tuple[float, ...]
    rise: float
    begins: tuple[float, ...]
    starts: tuple[FloatArray, ...]

    def corners(self, layer: int) -> FloatArray:
        """When a layer's gates begin to open, are open, begin to close, are closed: ``[G, 4]``."""
        start, area = self.starts[layer], self.areas[layer]
        return np.stack((start, start + self.rise, start + area, start + area + self.rise), axis=1)

    def gates(self, layer: int, time: float) -> FloatArray:
        """How far a layer's gates are open at one time, 0 to 1, ``float64[G]``."""
        elapsed = time - self.starts[layer]
        closing = self.areas[layer] + self.rise - elapsed
        return np.clip(np.minimum(elapsed, closing) / self.rise, 0.0, 1.0)

    def pulses(self, layer: int, time: float) -> FloatArray:
        """Rectangles of area 1 while a layer's gates close, at one time, ``float64[G]``."""
        into = time - self.starts[layer] - self.areas[layer]
        return np.where((into > 0) & (into < self.rise), 1.0 / self.rise, 0.0)

    @property
    def stop(self) -> float:
        """When the last gate is closed."""
        return max(float(self.corners(k)[:, 3].max()) for k in range(len(self.areas)))

    @property
    def windows(self) -> tuple[tuple[float, float], ...]:
        """From when to when each layer is the latest one that has begun; they fill all the time."""
        cuts = (0.0, *self.begins[1:], self.stop)
        return tuple(pairwise(cuts))


_LIMITS = {
    "rise": (0.0, 1.0), "overlap": (0.0, 1.0), "late": (-0.5, 1.0), "charge": (-math.inf, math.inf),
}  # fmt: skip


def _check(name: str, value: Any) -> None:
    kind = int if name == "seed" else (int, float)
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    least, most = _LIMITS.get(name, (0.0, math.inf))
    if not (good and least <= value <= most):
        number = "a whole number" if name == "seed" else "a number"
        limits = f" from {least:g}" if math.isfinite(least) else ""
        limits += f" to {most:g}" if math.isfinite(most) else ""
        raise UsageError(f"{name} is {value!r}", where="timing", hint=f"give {number}{limits}")
