"""All piecewise-linear diff edges between two nodes become one device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph, unordered_pairs
from kcompile.passes.base import PassResult, map_batches


@dataclass(frozen=True)
class GroupPairs:
    """Groups piecewise-linear diff edges by their unordered pair of nodes.

    Together they are one piecewise-linear function of one voltage, which lowering writes as one
    device. Exact. Edges whose kink lies beyond ``reach`` stay alone: a table with a point that far
    out would lose digits where it is used.

    Args:
        reach: largest ``|c/a|`` of a grouped edge, in software voltage units.
    """

    name: ClassVar[str] = "group-pairs"
    reach: float = 1e6

    def apply(self, graph: Graph) -> PassResult:
        """The graph with its groupable edges sorted by pair and grouped, the others behind them."""
        return PassResult(map_batches(graph, self._group))

    def _group(self, batch: EdgeBatch) -> tuple[EdgeBatch, ...]:
        if not batch.phi.piecewise_linear:
            return (batch,)
        near = np.abs(batch.column("c")) <= self.reach * np.abs(batch.column("a"))
        fit = batch.is_diff & near & (batch.a != 0) & (batch.src != batch.dst)
        if not fit.any():
            return (batch,)
        if fit.all():
            return (_grouped(batch),)
        return (
            _grouped(batch.take(np.flatnonzero(fit))),
            batch.take(np.flatnonzero(~fit)),
        )


def _grouped(batch: EdgeBatch) -> EdgeBatch:
    pair = unordered_pairs(batch)
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    del pair  # large networks fill the memory here
    return replace(batch.take(order), group_ptr=np.append(starts, len(order)))
