"""Edges in the order in which the simulator's matrix likes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import (
    EdgeBatch,
    Graph,
    OffsetArray,
    Phase,
    distinct,
    pair_ends,
    pair_numbers,
    unordered_pairs,
)
from kcompile.passes.base import PassResult
from kcompile.passes.elimination import minimum_degree


@dataclass(frozen=True)
class OrderEdges:
    """Sorts edges and groups by their nodes, for elements of the matrix lie in memory as they come.

    In small layers that is by the lower, then the higher node, as people read. In large ones nodes
    count in the order in which they are eliminated: ngspice 39 factors the matrix of 784 pixels
    and 50 hubs in two thirds of the time then, and a shuffled one in twice. Exact: order means
    nothing to the equations.

    Args:
        large: pairs of nodes from which on a layer is large.
        most_nodes: of a layer that is: finding an order for more takes long, four seconds at this.
    """

    name: ClassVar[str] = "order-edges"
    large: int = 2000
    most_nodes: int = 8192

    def apply(self, graph: Graph) -> PassResult:
        """The graph with its edges sorted; those of a group stay as they are among themselves."""
        known: dict[bytes, OffsetArray] = {}
        phases = tuple(self._ordered(phase, known) for phase in graph.phases)
        return PassResult(graph.with_phases(phases))

    def _ordered(self, phase: Phase, known: dict[bytes, OffsetArray]) -> Phase:
        keys = [_pairs(batch) for batch in phase.batches]
        if keys and sum(map(len, keys)) >= self.large and phase.nodes <= self.most_nodes:
            pairs = distinct(np.concatenate(keys))
            if len(pairs) >= self.large:
                name = pairs.tobytes()  # layers of one topology share an order
                if name not in known:
                    known[name] = minimum_degree(*pair_ends(pairs), phase.nodes)
                rank = known[name]
                keys = [pair_numbers(*(rank[ends] for ends in pair_ends(key))) for key in keys]
        return phase.with_batches(tuple(map(_sorted, phase.batches, keys)))


def _pairs(batch: EdgeBatch) -> OffsetArray:
    """The pair of nodes of every device of a batch."""
    pairs = unordered_pairs(batch)
    return pairs if batch.group_ptr is None else pairs[batch.group_ptr[:-1]]


def _sorted(batch: EdgeBatch, keys: OffsetArray) -> EdgeBatch:
    if (np.diff(keys) >= 0).all():
        return batch
    order = np.argsort(keys, kind="stable")
    return batch.take(order) if batch.group_ptr is None else batch.take_groups(order)
