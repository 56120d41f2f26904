"""Measured or approximated currents of groups of edges, as points with straight lines between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.ir.arrays import FloatArray, OffsetArray, frozen, picked_runs


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """One function ``i(v_high - v_low)`` a group, current out of ``high``, software units.

    ``high`` and ``low`` are the group's nodes with the larger and the smaller number.

    Args:
        ptr: ``int64[G+1]``; group g has the points ``ptr[g]:ptr[g+1]``, two or more.
        x, y: ``float64[P]``, ascending voltages and the currents there; linear between and beyond.
    """

    ptr: OffsetArray
    x: FloatArray
    y: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ptr", frozen(self.ptr, np.int64))
        object.__setattr__(self, "x", frozen(self.x, np.float64))
        object.__setattr__(self, "y", frozen(self.y, np.float64))

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def part(self, start: int, stop: int) -> Tables:
        """The tables of groups ``start .. stop-1``."""
        ptr = self.ptr[start : stop + 1]
        points = slice(int(ptr[0]), int(ptr[-1]))
        return Tables(ptr - ptr[0], self.x[points], self.y[points])

    def take(self, order: OffsetArray) -> Tables:
        """The tables of the groups ``order``, in that order."""
        ptr, points = picked_runs(self.ptr, order)
        return Tables(ptr, self.x[points], self.y[points])

    def currents(self, u: FloatArray) -> FloatArray:
        """The currents ``float64[..., G]`` at the voltages ``u`` of the same shape."""
        u = np.asarray(u, dtype=np.float64)
        # Every group at once: halve what is left of each, until one segment is.
        first = np.broadcast_to(self.ptr[:-1], u.shape)
        last = np.broadcast_to(self.ptr[1:] - 2, u.shape)
        while (first < last).any():
            middle = (first + last + 1) // 2
            above = self.x[middle] <= u
            first, last = np.where(above, middle, first), np.where(above, last, middle - 1)
        x, y = self.x[first], self.y[first]
        return y + (u - x) * (self.y[first + 1] - y) / (self.x[first + 1] - x)
