"""The voltages over which an approximation holds, and how large it may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import FloatArray, Graph, IndexArray
from kcompile.ir.arrays import frozen

MARGIN = 0.25
"""How far a range reaches beyond what was seen, relative to its width."""

_LEAST = 0.01
"""How far it does so at least, relative to the larger of 1 and its voltages."""


@dataclass(frozen=True, slots=True, eq=False)
class VoltageRange:
    """Between which voltages the nodes of a phase stay.

    Args:
        low, high: ``float64[N]``, nodes ``1..N``, software units.
    """

    low: FloatArray
    high: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", frozen(self.low, np.float64))
        object.__setattr__(self, "high", frozen(self.high, np.float64))

    @classmethod
    def of(cls, voltages: FloatArray) -> VoltageRange:
        """The range of some states ``[..., N]``, one at least."""
        rows = voltages.reshape(-1, voltages.shape[-1])
        return cls(rows.min(axis=0), rows.max(axis=0))

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.low)

    def joined(self, other: VoltageRange) -> VoltageRange:
        """The smallest range that holds both."""
        return VoltageRange(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def holds(self, other: VoltageRange) -> bool:
        """Whether no node of the other leaves this one."""
        return bool((self.low <= other.low).all() and (other.high <= self.high).all())

    def with_margin(self, share: float = MARGIN) -> VoltageRange:
        """A range for states near those that were seen, wider by a share of its width."""
        size = np.maximum(1.0, np.maximum(np.abs(self.low), np.abs(self.high)))
        margin = share * (self.high - self.low) + _LEAST * size
        return VoltageRange(self.low - margin, self.high + margin)

    def differences(self, high: IndexArray, low: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest ``v_high - v_low`` of pairs of nodes; 0 is ground."""
        lowest, highest = self.grounded()
        return lowest[high] - highest[low], highest[high] - lowest[low]

    def grounded(self) -> tuple[FloatArray, FloatArray]:
        """Low and high ``float64[N+1]`` with ground first."""
        return np.append(0.0, self.low), np.append(0.0, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class Approximation:
    """How far a circuit may be from its network, and where.

    Args:
        ranges: one a phase.
        error_bound: the largest current, in software units, by which any node's sum may differ
            while the voltages stay within the ranges.
    """

    ranges: tuple[VoltageRange, ...]
    error_bound: float

    def check(self, graph: Graph) -> None:
        """Raises ``UsageError`` where it does not fit a graph."""
        if not (np.isfinite(self.error_bound) and self.error_bound > 0):
            raise UsageError(
                f"the error bound is {self.error_bound!r}", where="approximation",
                hint="give a positive current in software units",
            )  # fmt: skip
        if [found.nodes for found in self.ranges] != [phase.nodes for phase in graph.phases]:
            raise UsageError(
                "the voltage ranges are not those of the network's phases", where="approximation",
                hint="give one of every phase, of every node",
            )  # fmt: skip
        for index, found in enumerate(self.ranges):
            spread = found.high - found.low
            if not (np.isfinite(spread).all() and (spread >= 0).all()):
                raise UsageError(
                    f"a range of phase {index} is not one", where="approximation",
                    hint="give finite voltages, low before high",
                )  # fmt: skip
