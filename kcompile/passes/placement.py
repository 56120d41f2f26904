"""Where the points of a table lie, so that it is close enough with as few as can be.

A straight line between two points at a distance h is off by at most ``max|f''| * h^2/8``. Points
that share ``integral of sqrt(|f''|)`` evenly are the best that can be done; where the bound
shows an interval to be too wide all the same, it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, OffsetArray, Tables
from kcompile.passes.curvature import Cells, Sums

BEYOND = 1e4
"""How many times worse than within its range a table may be beyond it, if few points do."""

FEW = 4
"""Most intervals of a table on either side of its range, or one for each so many within."""

_FLOOR = 1e-3
"""The smallest density of points, relative to the largest in its zone."""

_NEAR = 1e-8
"""Rounding of a point's place, as a share of its zone."""

MISSING = 5e-9
"""What a saturated tanh may still miss of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Tables of G functions, and how good they are.

    Args:
        tables: the points.
        within: ``float64[G]``, a bound on how far each table is off within its range.
        beyond: ``float64[G]``, a bound for any voltage.
    """

    tables: Tables
    within: FloatArray
    beyond: FloatArray


def density(found: Cells) -> FloatArray:
    """Points a volt that an error of 1 needs, ``float64[C]``.

    A cell takes the largest bend of its neighbours too: an interval across their border is then
    narrow enough for both.
    """
    bend = found.bend.copy()
    for near, far in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        same = found.right[:-1] == found.left[1:]
        bend[near] = np.maximum(bend[near], np.where(same, found.bend[far], 0.0))
    needed = np.sqrt(bend / 8)
    largest = np.maximum.reduceat(needed, found.ptr[:-1])
    floor = np.where(largest > 0, _FLOOR * largest, 1.0)
    return np.maximum(needed, np.repeat(floor, np.diff(found.ptr)))


def effort(found: Cells, needed: FloatArray) -> FloatArray:
    """Intervals that an error of 1 needs in each zone, ``float64[3G]``; for e: over sqrt(e)."""
    return np.add.reduceat(needed * (found.right - found.left), found.ptr[:-1])


def intervals(efforts: FloatArray, shares: FloatArray) -> OffsetArray:
    """How many intervals each zone begins with, ``int64[3G]``."""
    counts = np.clip(np.ceil(efforts / np.sqrt(_allowed(shares))), 1.0, 2.0**31).reshape(-1, 3)
    few = np.maximum(FEW, counts[:, 1] // FEW)
    counts[:, ::2] = np.minimum(counts[:, ::2], few[:, None])
    return counts.ravel().astype(np.int64)


def place(sums: Sums, found: Cells, needed: FloatArray, shares: FloatArray) -> Placed:
    """The tables.

    Args:
        sums: G functions.
        found: their cells.
        needed: their ``density``.
        shares: ``float64[G]``, how far each table may be off within its range.
    """
    allowed = _allowed(shares)
    efforts = effort(found, needed)
    begun = _spread(found, needed, efforts, intervals(efforts, shares))
    cuts = np.sqrt(begun.bound / allowed[begun.zone])
    wide = (cuts > 1 + 1e-9) & (begun.zone % 3 == 1)
    pieces = np.where(wide, np.ceil(cuts), 1).astype(np.int64)
    zone, bound = np.repeat(begun.zone, pieces), np.repeat(begun.bound / pieces**2, pieces)
    piece = np.arange(len(zone)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    left = np.repeat(begun.left, pieces)
    left += piece / np.repeat(pieces, pieces) * (np.repeat(begun.right, pieces) - left)

    starts = np.searchsorted(zone, np.arange(len(allowed)))
    largest = np.maximum.reduceat(bound, starts).reshape(-1, 3)
    first, last = found.left[found.ptr[:-1][::3]], found.right[found.ptr[3::3] - 1]
    weight = sums.total(np.abs(sums.w))
    below, above = sums.saturation()
    constant = (first <= below) & (above <= last)
    rest = np.where(constant, MISSING * weight, np.inf)
    beyond = np.minimum(np.maximum(largest.max(axis=1), rest), 2 * weight)
    per_sum = np.add.reduceat(np.bincount(zone), np.arange(0, len(allowed), 3))
    return Placed(_tables(sums, left, last, per_sum), largest[:, 1], beyond)


def _allowed(shares: FloatArray) -> FloatArray:
    """How far a table may be off in each zone, ``float64[3G]``."""
    return np.repeat(shares, 3) * np.tile([BEYOND, 1.0, BEYOND], len(shares))


@dataclass(frozen=True, slots=True, eq=False)
class _Intervals:
    """Intervals between points, zone after zone, with a bound on the error in each."""

    zone: OffsetArray
    left: FloatArray
    right: FloatArray
    bound: FloatArray


def _spread(
    found: Cells, needed: FloatArray, efforts: FloatArray, counts: OffsetArray
) -> _Intervals:
    """Cuts each zone into ``counts`` intervals that need the same effort.

    Zone z is stretched over ``z .. z+1`` in proportion to the effort: one search serves all.
    """
    owner = np.repeat(np.arange(len(counts)), np.diff(found.ptr))
    part = needed * (found.right - found.left) / efforts[owner]
    running = np.cumsum(part) - part
    begin = owner + np.clip(running - running[found.ptr[:-1]][owner], 0.0, 1.0)

    zone = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(zone)) - starts[zone]
    target = zone + place / counts[zone]
    cell = np.searchsorted(begin, target, side="right") - 1
    cell = np.clip(cell, found.ptr[:-1][zone], found.ptr[1:][zone] - 1)
    share = np.clip((target - begin[cell]) / part[cell], 0.0, 1.0)
    left = found.left[cell] + share * (found.right - found.left)[cell]
    left[starts] = found.left[found.ptr[:-1]]
    right = np.append(left[1:], 0.0)
    right[starts + counts - 1] = found.right[found.ptr[1:] - 1]

    # Rounding may have put a point into a neighbour: that one's bend counts as well.
    first = np.searchsorted(begin, target - _NEAR, side="right") - 1
    last = np.searchsorted(begin, target + 1 / counts[zone] + _NEAR, side="left")
    first = np.maximum(first, found.ptr[:-1][zone])
    last = np.maximum(np.minimum(last, found.ptr[1:][zone]), first + 1)
    runs = np.stack([first, last], axis=1).ravel()
    bend = np.maximum.reduceat(np.append(found.bend, 0.0), runs)[::2]
    return _Intervals(zone, left, right, bend * (right - left) ** 2 / 8)


def _tables(sums: Sums, left: FloatArray, last: FloatArray, counts: OffsetArray) -> Tables:
    """Tables with the points ``left``, ``counts`` a function, then ``last``; constant beyond."""
    ends = np.cumsum(counts)
    x = np.insert(left, ends, last)
    ptr = np.concatenate(([0], np.cumsum(counts + 1)))
    fresh = np.append(True, x[1:] > x[:-1])
    fresh[ptr[:-1]] = True
    if not fresh.all():  # the range is so far out that points became one
        counts = np.add.reduceat(fresh.astype(np.int64), ptr[:-1])
        x, ptr = x[fresh], np.concatenate(([0], np.cumsum(counts)))
    y = sums.at(ptr, x)
    starts, stops = ptr[:-1], ptr[1:]
    low, high = x[starts], x[stops - 1]
    before = low - np.maximum(1.0, np.abs(low) / 2)
    after = high + np.maximum(1.0, np.abs(high) / 2)
    places = np.stack([starts, stops], axis=1).ravel()
    return Tables(
        ptr + 2 * np.arange(len(ptr)),
        np.insert(x, places, np.stack([before, after], axis=1).ravel()),
        np.insert(y, places, np.stack([y[starts], y[stops - 1]], axis=1).ravel()),
    )
