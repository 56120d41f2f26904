"""Parallel edges with the same argument become one edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph, OffsetArray, oriented
from kcompile.passes.base import PassResult, map_batches


@dataclass(frozen=True)
class MergeEqual:
    """Sums the weights of edges between the same two nodes whose ``a, b, c`` are equal.

    An edge that runs the other way with ``a`` and ``b`` exchanged is equal with opposite weight.
    The merged edge keeps the place and direction of its first member. Exact.
    """

    name: ClassVar[str] = "merge-equal"

    def apply(self, graph: Graph) -> PassResult:
        """The graph without parallel equal edges."""
        return PassResult(map_batches(graph, _merge))


def _merge(batch: EdgeBatch) -> tuple[EdgeBatch, ...]:
    edges = _perhaps_equal(batch)
    if not len(edges):
        return (batch,)
    view = oriented(batch)
    # Adding 0.0 turns -0.0 into 0.0, so that equal numbers have equal bits.
    coefficients = [column[edges] + 0.0 for column in (view.a, view.b, batch.column("c"))]
    keys = np.stack([view.high[edges], view.low[edges], *coefficients])
    order = np.lexsort(keys)
    fresh = np.ones(len(edges), dtype=bool)
    fresh[1:] = (keys[:, order[1:]] != keys[:, order[:-1]]).any(axis=0)
    if fresh.all():
        return (batch,)
    leader = np.arange(len(batch))
    order = edges[order]
    leader[order] = order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
    order = np.argsort(leader, kind="stable")
    starts = np.flatnonzero(np.diff(leader[order], prepend=-1))
    first = order[starts]
    weight = np.add.reduceat((view.sign * batch.column("w"))[order], starts) * view.sign[first]
    trace = batch.trace.take(order).merge(starts)
    return (replace(batch.take(first), w=weight, trace=trace),)


def _perhaps_equal(batch: EdgeBatch) -> OffsetArray:
    """The edges that share their ``c`` with another one, ascending: few, in trained networks."""
    if batch.c.ndim == 0:
        return np.arange(len(batch))
    order = np.argsort(batch.c, kind="stable")
    same = np.diff(batch.c[order]) == 0
    shared = np.zeros(len(batch), dtype=bool)
    shared[order[1:][same]] = shared[order[:-1][same]] = True
    return np.flatnonzero(shared)
