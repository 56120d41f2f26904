"""Parallel edges with the same argument become one edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph, oriented
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
    view = oriented(batch)
    # Adding 0.0 turns -0.0 into 0.0, so that equal numbers have equal bits.
    keys = np.stack([view.high, view.low, view.a + 0.0, view.b + 0.0, batch.column("c") + 0.0])
    order = np.lexsort(keys)
    fresh = np.ones(len(batch), dtype=bool)
    fresh[1:] = (keys[:, order[1:]] != keys[:, order[:-1]]).any(axis=0)
    if fresh.all():
        return (batch,)
    starts = np.flatnonzero(fresh)
    first = order[starts]
    weight = np.add.reduceat((view.sign * batch.column("w"))[order], starts) * view.sign[first]
    place = np.argsort(first)
    merged = batch.take(first[place])
    trace = batch.trace.take(order).merge(starts).take(place)
    return (replace(merged, w=weight[place], trace=trace),)
