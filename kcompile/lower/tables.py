"""Grouped edges as piecewise-linear functions: the points of each group's table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kcompile.ir import COEFFICIENTS, EdgeBatch, FloatArray, IndexArray, OffsetArray, Trace

_Wide: TypeAlias = NDArray[np.longdouble]

_BEYOND = 1.0
"""How far outside the first and last kink the tables' outer points lie (software volts)."""

_SAME = 1e-12
"""Kinks closer than this (relative to the larger of 1 and their size) become one point."""


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """One function ``i(v_high - v_low)`` a group, current out of ``high``, software units.

    Args:
        high, low: ``int32[G]``, the node pair (ground can only be ``low``).
        ptr: ``int64[G+1]``; group g has points ``ptr[g]:ptr[g+1]``.
        x, y: ascending voltages and the currents there; linear between and beyond.
    """

    high: IndexArray
    low: IndexArray
    ptr: OffsetArray
    x: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class Segments:
    """The same functions by their kinks and the straight lines between them, in extended precision.

    Args:
        high, low: as ``PiecewiseLinear`` has them.
        ptr: ``int64[G+1]``; group g has kinks ``ptr[g]:ptr[g+1]``.
        kink: ``[K]`` ascending voltages.
        left_slope, left_offset: ``[G]``, the line ``slope*u + offset`` below the first kink.
        slope, offset: ``[K]``, the line above each kink.
    """

    high: IndexArray
    low: IndexArray
    ptr: OffsetArray
    kink: FloatArray
    left_slope: _Wide
    left_offset: _Wide
    slope: _Wide
    offset: _Wide


def groups(batch: EdgeBatch, start: int, stop: int) -> EdgeBatch:
    """The groups ``start .. stop-1`` of a grouped batch, without their trace."""
    assert batch.group_ptr is not None
    ptr = batch.group_ptr[start : stop + 1]
    edges = slice(int(ptr[0]), int(ptr[-1]))
    columns = {n: v if (v := getattr(batch, n)).ndim == 0 else v[edges] for n in COEFFICIENTS}
    return replace(
        batch,
        src=batch.src[edges],
        dst=batch.dst[edges],
        **columns,
        trace=Trace.identity(edges.stop - edges.start),
        group_ptr=ptr - ptr[0],
        tables=None if batch.tables is None else batch.tables.part(start, stop),
    )


def segments(batch: EdgeBatch) -> Segments:
    """The sum of each group's edges, exact up to rounding.

    With ``u = v_high - v_low`` an edge adds ``w' * phi(a'*u + c)``; a piecewise-linear phi with
    slope s below zero is linear on each side of the kink ``-c/a'``. Between kinks the sum is
    ``S*u + B``; S and B are running sums over the sorted kinks, in extended precision.

    Args:
        batch: grouped (``group_ptr``) diff edges with ``a != 0``; where they have tables, these
            are taken instead.
    """
    ptr = batch.group_ptr
    assert ptr is not None
    if batch.tables is not None:
        return _table_segments(batch)
    groups = len(ptr) - 1
    owner = np.repeat(np.arange(groups), np.diff(ptr))
    sign = np.where(batch.src < batch.dst, -1.0, 1.0)
    w = (sign * batch.column("w")).astype(np.longdouble)
    a = (sign * batch.column("a")).astype(np.longdouble)
    c = batch.column("c").astype(np.longdouble)
    kink = (-c / a).astype(np.float64)
    order = np.lexsort((kink, owner))
    owner, kink, w, a, c = owner[order], kink[order], w[order], a[order], c[order]

    below = batch.phi.slope_below
    left = np.where(a > 0, below, 1.0)  # slope of phi left of the kink, in its own argument
    step = np.where(a > 0, 1.0 - below, below - 1.0)
    left_slope, left_offset = _total(w * a * left, ptr), _total(w * c * left, ptr)
    slope = left_slope[owner] + _running(w * a * step, ptr)
    offset = left_offset[owner] + _running(w * c * step, ptr)

    apart = np.diff(kink) > _SAME * np.maximum(1.0, np.abs(kink[1:]))
    at = np.flatnonzero(np.append((owner[1:] != owner[:-1]) | apart, True))
    counts = np.bincount(owner[at], minlength=groups)
    return Segments(
        *_pairs(batch), np.concatenate(([0], np.cumsum(counts))),
        kink[at], left_slope, left_offset, slope[at], offset[at],
    )  # fmt: skip


def piecewise_linear(batch: EdgeBatch) -> PiecewiseLinear:
    """The sum of each group's edges as a table of points, exact up to rounding.

    Args:
        batch: as ``segments`` takes it.
    """
    if batch.tables is not None:
        return PiecewiseLinear(*_pairs(batch), batch.tables.ptr, batch.tables.x, batch.tables.y)
    found = segments(batch)
    groups, kink = len(found.high), found.kink
    owner = np.repeat(np.arange(groups), np.diff(found.ptr))
    first, last = found.ptr[:-1], found.ptr[1:] - 1
    out = found.ptr + 2 * np.arange(groups + 1)
    x, y = np.empty(out[-1]), np.empty(out[-1])
    place = np.arange(len(kink)) + 2 * owner + 1
    x[place], y[place] = kink, found.slope * kink + found.offset
    reach = np.maximum(_BEYOND, np.abs(kink) * 0.5)
    x[out[:-1]] = kink[first] - reach[first]
    y[out[:-1]] = found.left_slope * x[out[:-1]] + found.left_offset
    x[out[1:] - 1] = kink[last] + reach[last]
    y[out[1:] - 1] = found.slope[last] * x[out[1:] - 1] + found.offset[last]
    return PiecewiseLinear(found.high, found.low, out, x, y)


def _total(values: _Wide, ptr: OffsetArray) -> _Wide:
    return np.add.reduceat(values, ptr[:-1])


def _running(values: _Wide, ptr: OffsetArray) -> _Wide:
    """Running sums of each group.

    Not as differences of one long sum, which would drown small groups behind large ones.
    """
    sums, starts, counts = values.copy(), ptr[:-1], np.diff(ptr)
    for place in range(1, int(counts.max(initial=0))):
        at = starts[counts > place] + place
        sums[at] += sums[at - 1]
    return sums


def _pairs(batch: EdgeBatch) -> tuple[IndexArray, IndexArray]:
    """High and low node of each group."""
    assert batch.group_ptr is not None
    src, dst = (ends[batch.group_ptr[:-1]] for ends in (batch.src, batch.dst))
    return np.maximum(src, dst), np.minimum(src, dst)


def _table_segments(batch: EdgeBatch) -> Segments:
    """Tables as segments: their inner points are the kinks."""
    tables = batch.tables
    assert tables is not None
    x, y = tables.x.astype(np.longdouble), tables.y.astype(np.longdouble)
    first, last = tables.ptr[:-1], tables.ptr[1:] - 1
    slope = np.append(np.diff(y) / np.where(np.diff(x) > 0, np.diff(x), 1.0), 0.0)
    offset = y - slope * x
    inner = np.ones(len(x), dtype=bool)
    inner[first] = inner[last] = False
    sizes = np.diff(tables.ptr) - 2
    return Segments(
        *_pairs(batch), np.concatenate(([0], np.cumsum(sizes))),
        tables.x[inner], slope[first], offset[first], slope[inner], offset[inner],
    )  # fmt: skip
