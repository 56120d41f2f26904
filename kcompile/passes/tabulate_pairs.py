"""All tanh edges between two nodes become one table, as close as a bound on the currents asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kcompile.ir import (
    EdgeBatch,
    FloatArray,
    Graph,
    IndexArray,
    OffsetArray,
    Phase,
    Tables,
    oriented,
)
from kcompile.passes.base import PassResult
from kcompile.passes.curvature import Sums, cells
from kcompile.passes.placement import density, effort, intervals, place
from kcompile.passes.ranges import VoltageRange

POINTS_PER_EDGE = 64
"""Most points of a table for each edge that it stands for. In ngspice 47 reading a point takes a
hundredth of what a tanh source does in 400 iterations, and a twentieth of its memory."""


@dataclass(frozen=True)
class TabulatePairs:
    """Groups tanh diff edges by their unordered pair of nodes, each group with a table.

    A node's tables share the bound so that there are few points in all. A table goes on beyond its
    range, coarsely, out to where its edges saturate. A pair whose table would cost more than its
    edges keeps these.

    Args:
        ranges: of each phase.
        error_bound: the largest current that any node's tables may be off by while voltages stay
            within the ranges, software units.
        points_per_edge: most points of a table for each of its edges.
    """

    name: ClassVar[str] = "tabulate-pairs"
    ranges: tuple[VoltageRange, ...]
    error_bound: float
    points_per_edge: float = POINTS_PER_EDGE

    def apply(self, graph: Graph) -> PassResult:
        """The graph with its curved diff edges grouped, the others behind them."""
        done = [
            self._phase(phase, found)
            for phase, found in zip(graph.phases, self.ranges, strict=True)
        ]
        within, beyond = max(each.within for each in done), max(each.beyond for each in done)
        if not any(each.points for each in done):
            return PassResult(graph)
        points = sum(each.points for each in done)
        note = (
            f"tables of {points} points; beyond the voltage ranges a node's sum may be off by "
            f"up to {beyond:.2g}"
        )
        phases = tuple(each.phase for each in done)
        return PassResult(graph.with_phases(phases), within, (note,))

    def _phase(self, phase: Phase, within: VoltageRange) -> _Done:
        parts = [_Part.of(batch) for batch in phase.batches]
        if not any(len(part) for part in parts):
            return _Done(phase)
        work = _Work.of(phase.batches, parts, within)
        kept = np.ones(len(work.sums), dtype=bool)
        while True:
            found = cells(work.sums, work.least, work.most)
            needed = density(found)
            efforts = effort(found, needed)
            shares = _shares(work, efforts[1::3], self.error_bound, phase.nodes)
            points = intervals(efforts, shares).reshape(-1, 3).sum(axis=1) + 3
            pays = points <= self.points_per_edge * np.diff(work.sums.ptr)
            kept[np.flatnonzero(kept)[~pays]] = False
            if pays.all() or not pays.any():
                break
            work = work.take(pays)  # the shares of the others are free
        if not kept.any():
            return _Done(phase)
        placed = place(work.sums, found, needed, shares)
        return _Done(
            phase.with_batches(tuple(_split(phase.batches, parts, kept, placed.tables))),
            float(work.at_nodes(placed.within, phase.nodes).max()),
            float(work.at_nodes(placed.beyond, phase.nodes).max()),
            len(placed.tables.x),
        )


@dataclass(frozen=True, eq=False)
class _Done:
    """A phase after the pass."""

    phase: Phase
    within: float = 0.0
    beyond: float = 0.0
    points: int = 0


@dataclass(frozen=True, eq=False)
class _Part:
    """The edges of a batch that can be part of tables, sorted by pair, and where a pair begins."""

    edges: OffsetArray
    ptr: OffsetArray

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @classmethod
    def of(cls, batch: EdgeBatch) -> _Part:
        """The curved diff edges of a batch."""
        if batch.phi.piecewise_linear or batch.group_ptr is not None:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
        edges = np.flatnonzero(batch.is_diff & (batch.a != 0) & (batch.src != batch.dst))
        view = oriented(batch)
        edges = edges[np.lexsort((edges, view.high[edges], view.low[edges]))]
        low, high = view.low[edges], view.high[edges]
        fresh = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        starts = np.flatnonzero(np.append(len(edges) > 0, fresh))
        return cls(edges, np.append(starts, len(edges)))


@dataclass(frozen=True, eq=False)
class _Work:
    """The pairs of one phase: currents out of ``high`` as functions of ``v_high - v_low``."""

    sums: Sums
    high: IndexArray
    low: IndexArray
    least: FloatArray
    most: FloatArray

    @classmethod
    def of(
        cls, batches: Sequence[EdgeBatch], parts: Sequence[_Part], within: VoltageRange
    ) -> _Work:
        """The pairs of all batches, in order."""
        columns: list[FloatArray] = []
        ends: list[IndexArray] = []
        for batch, part in zip(batches, parts, strict=True):
            view, edges, first = oriented(batch), part.edges, part.edges[part.ptr[:-1]]
            rows = (view.sign * batch.column("w"), view.a, batch.column("c"))
            columns.append(np.stack([row[edges] for row in rows]))
            ends.append(np.stack([view.high[first], view.low[first]]))
        sizes = np.concatenate([np.diff(part.ptr) for part in parts])
        w, a, c = np.concatenate(columns, axis=1)
        high, low = np.concatenate(ends, axis=1)
        least, most = within.differences(high, low)
        wide = np.maximum(most, least + 1e-9 * np.maximum(1.0, np.abs(least)))
        return cls(Sums(_starts(sizes), w, a, c), high, low, least, wide)

    def take(self, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> _Work:
        """Some of the pairs."""
        sizes = np.diff(self.sums.ptr)
        edges = np.repeat(kept, sizes)
        sums = Sums(
            _starts(sizes[kept]), self.sums.w[edges], self.sums.a[edges], self.sums.c[edges]
        )
        return _Work(sums, self.high[kept], self.low[kept], self.least[kept], self.most[kept])

    def at_nodes(self, values: FloatArray, nodes: int) -> FloatArray:
        """Sums of the pairs' values at each node, ``float64[N+1]``; nothing at ground."""
        total = np.zeros(nodes + 1)
        for ends in (self.high, self.low):
            total += np.bincount(ends, values, nodes + 1)
        total[0] = 0.0
        return total


def _shares(work: _Work, efforts: FloatArray, error_bound: float, nodes: int) -> FloatArray:
    """How far each table may be off: n points of effort A are off by (A/n)^2.

    A node's sum of points is smallest where its shares are as ``A^(2/3)``.
    """
    weight = np.maximum(efforts, 1e-6 * float(efforts.max())) ** (2 / 3)
    weight = np.maximum(weight, np.finfo(np.float64).tiny)
    total = work.at_nodes(weight, nodes)
    return error_bound * weight / np.maximum(total[work.high], total[work.low])


def _split(
    batches: Sequence[EdgeBatch],
    parts: Sequence[_Part],
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]],
    tables: Tables,
) -> Iterator[EdgeBatch]:
    """The batches, of each first the pairs that have a table, then all that is left."""
    pair = table = 0
    for batch, part in zip(batches, parts, strict=True):
        chosen = kept[pair : pair + len(part)]
        pair += len(part)
        count = int(np.count_nonzero(chosen))
        if not count:
            yield batch
            continue
        sizes = np.diff(part.ptr)
        edges = part.edges[np.repeat(chosen, sizes)]
        own = tables.part(table, table + count)
        table += count
        yield replace(batch.take(edges), group_ptr=_starts(sizes[chosen]), tables=own)
        rest = np.ones(len(batch), dtype=bool)
        rest[edges] = False
        yield batch.take(np.flatnonzero(rest))


def _starts(sizes: OffsetArray) -> OffsetArray:
    return np.concatenate(([0], np.cumsum(sizes)))
