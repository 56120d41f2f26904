"""How strongly sums of tanh bend: bounds on their second derivative, cell by cell.

A pair's current is ``f(u) = sum w*tanh(a*u + c)``. On an interval of length h the second derivative
lies within h^2/8 times the largest fourth derivative of a straight line between its ends, so

    |f''| <= max(|f''| at the ends) + h^2/8 * sum |w| a^4 max|tanh''''|

and never above ``sum |w| a^2 max|tanh''|``. With t = tanh x and s = 1 - t^2 the derivatives are
``tanh'' = -2ts`` and ``tanh'''' = -8ts(1 - 3s)``: the first has its extremes of .7699 at |x| =
.6585 and is monotone beyond, the second is at most 4.0859 and at most 8s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, OffsetArray

SECOND = 0.7699
"""Not below the largest ``|tanh''|``, ``4/(3*sqrt(3))``."""

RISING, FALLING = 0.658, 0.6585
"""``|x|`` up to which ``|tanh''|`` rises, and from which it falls."""

FOURTH = 4.086
"""Not below the largest ``|tanh''''|``."""

SATURATED = 10.0
"""Argument from which tanh counts as constant: 4e-9 is missing to 1."""

_CELL = 0.25
"""Width of a cell within the range, in the argument of its steepest tanh."""

_FEWEST, _MOST = 4, 1024
"""Limits of the number of cells within the range."""

_OUTER = 6
"""Cells on either side of it, out to where all is constant."""

_FARTHEST = 1e6
"""Largest distance of a table's last point from the range, software volts."""

_CHUNK = 1 << 19
"""So many numbers are worked on at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """G functions ``f(u) = sum w*tanh(a*u + c)``.

    Args:
        ptr: ``int64[G+1]``; function g has the terms ``ptr[g]:ptr[g+1]``, one or more.
        w, a, c: ``float64[E]``, no ``a`` is 0.
    """

    ptr: OffsetArray
    w: FloatArray
    a: FloatArray
    c: FloatArray

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def total(self, values: FloatArray) -> FloatArray:
        """Sums of each function's terms, ``float64[G]``."""
        return np.add.reduceat(values, self.ptr[:-1])

    def steepest(self) -> FloatArray:
        """The largest ``|a|`` of each, ``float64[G]``."""
        return np.maximum.reduceat(np.abs(self.a), self.ptr[:-1])

    def saturation(self) -> tuple[FloatArray, FloatArray]:
        """Voltages ``float64[G]`` below and above which every term counts as constant."""
        kink, reach = -self.c / self.a, SATURATED / np.abs(self.a)
        starts = self.ptr[:-1]
        return np.minimum.reduceat(kink - reach, starts), np.maximum.reduceat(kink + reach, starts)

    def at(self, ptr: OffsetArray, x: FloatArray) -> FloatArray:
        """Their values at the points ``x[ptr[g]:ptr[g+1]]`` of each."""
        found = np.empty(len(x))
        for chunk in _chunks(self.ptr, ptr):
            term, point, starts = _products(self.ptr, ptr, chunk)
            values = self.w[term] * np.tanh(self.a[term] * x[point] + self.c[term])
            found[ptr[chunk.start] : ptr[chunk.stop]] = np.add.reduceat(values, starts)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Voltages of each function, cut into cells of three zones: below, within and above its range.

    Args:
        ptr: ``int64[3*G+1]``; zone z of function g has the cells ``ptr[3*g+z]:ptr[3*g+z+1]``.
        left, right: ``float64[C]``, their ends.
        bend: ``float64[C]``, a bound on ``|f''|`` within.
    """

    ptr: OffsetArray
    left: FloatArray
    right: FloatArray
    bend: FloatArray


def cells(sums: Sums, low: FloatArray, high: FloatArray) -> Cells:
    """Cells with bounds on how strongly the sums bend in them.

    Args:
        sums: G functions.
        low, high: ``float64[G]``, the ends of their ranges, ``low < high``.
    """
    counts, edges = _grid(sums, low, high)
    ptr = np.concatenate(([0], np.cumsum(counts + 1)))  # cells have one end more than there are
    bend = np.zeros(len(edges))
    for chunk in _chunks(sums.ptr, ptr):
        bend[ptr[chunk.start] : ptr[chunk.stop]] = _bends(sums, ptr, edges, chunk)
    inner = np.ones(len(edges), dtype=bool)
    inner[ptr[1:] - 1] = False
    left = np.flatnonzero(inner)
    zones = np.full((len(sums), 3), _OUTER, dtype=np.int64)
    zones[:, 1] = counts - 2 * _OUTER
    return Cells(
        np.concatenate(([0], np.cumsum(zones.ravel()))), edges[left], edges[left + 1], bend[left]
    )


def _grid(sums: Sums, low: FloatArray, high: FloatArray) -> tuple[OffsetArray, FloatArray]:
    """How many cells each function has, and all their ends, one function behind the other."""
    steepest = sums.steepest()
    within = np.clip(np.ceil((high - low) * steepest / _CELL), _FEWEST, _MOST).astype(np.int64)
    first, last = sums.saturation()
    below = np.clip(1.01 * (low - first), 1.0 / steepest, _FARTHEST)
    above = np.clip(1.01 * (last - high), 1.0 / steepest, _FARTHEST)
    counts = within + 2 * _OUTER
    ptr = np.concatenate(([0], np.cumsum(counts + 1)))
    owner = np.repeat(np.arange(len(sums)), counts + 1)
    place = np.arange(int(ptr[-1])) - ptr[:-1][owner]  # 0 .. counts
    inside = (place - _OUTER) / within[owner]
    ends = low[owner] + np.clip(inside, 0.0, 1.0) * (high - low)[owner]
    # Outside, cells grow as the distance from the range does.
    for distance, steps, sign in (
        (below, _OUTER - place, -1.0),
        (above, place - _OUTER - within[owner], 1.0),
    ):
        share = np.clip(steps, 0, _OUTER) / _OUTER
        ends += sign * np.expm1(share * np.log1p(distance * steepest)[owner]) / steepest[owner]
    ends[ptr[:-1] + _OUTER], ends[ptr[1:] - 1 - _OUTER] = low, high
    return counts, ends


def _bends(sums: Sums, ptr: OffsetArray, edges: FloatArray, chunk: slice) -> FloatArray:
    """The bound for the cell to the right of each end (for each function's last end: nothing)."""
    term, point, starts = _products(sums.ptr, ptr, chunk)
    count = np.diff(np.append(starts, len(term)))
    a = sums.a[term]
    size = np.abs(sums.w[term]) * a**2
    argument = a * edges[point] + sums.c[term]
    t = np.tanh(argument)
    s = 1.0 - t * t
    second = np.add.reduceat(-2.0 * sums.w[term] * a**2 * t * s, starts)

    # The same term at the cell's other end lies one function's terms further on.
    other = np.minimum(np.arange(len(term)) + np.repeat(count, count), len(term) - 1)
    crossing = argument * argument[other] <= 0
    nearest = np.where(crossing, 0.0, np.minimum(np.abs(argument), np.abs(argument[other])))
    farthest = np.maximum(np.abs(argument), np.abs(argument[other]))
    t, far = np.tanh(nearest), np.tanh(farthest)
    s = 1.0 - t * t
    rising = np.where(farthest <= RISING, 2 * far * (1.0 - far * far), SECOND)
    curve = np.where(nearest >= FALLING, 2 * t * s, rising)
    most = np.add.reduceat(size * curve, starts)
    fourth = np.add.reduceat(size * a**2 * np.minimum(FOURTH, 8 * s), starts)
    width = np.append(np.diff(edges[ptr[chunk.start] : ptr[chunk.stop]]), 0.0)
    at_ends = np.maximum(np.abs(second), np.abs(np.append(second[1:], 0.0)))
    return np.minimum(at_ends + width**2 / 8 * fourth, most)


def _chunks(terms: OffsetArray, points: OffsetArray) -> Iterator[slice]:
    """Runs of functions whose terms times points are not too many."""
    work = np.cumsum(np.diff(terms) * np.diff(points))
    start, count = 0, len(work)
    while start < count:
        before = int(work[start - 1]) if start else 0
        stop = int(np.searchsorted(work, before + _CHUNK, side="right"))
        stop = min(max(stop, start + 1), count)
        yield slice(start, stop)
        start = stop


def _products(
    terms: OffsetArray, points: OffsetArray, chunk: slice
) -> tuple[OffsetArray, OffsetArray, OffsetArray]:
    """Every point of the chunk's functions with every term, point after point.

    Returns:
        The terms, the points, and where each point begins.
    """
    count = np.repeat(np.diff(terms)[chunk], np.diff(points)[chunk])
    starts = np.concatenate(([0], np.cumsum(count)))
    total, first = int(starts[-1]), int(points[chunk.start])
    point = np.repeat(np.arange(first, first + len(count)), count)
    begin = np.repeat(terms[chunk], np.diff(points)[chunk])
    term = np.arange(total) - np.repeat(starts[:-1] - begin, count)
    return term, point, starts[:-1]
