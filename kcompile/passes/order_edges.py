"""Edges in the order in which the simulator's matrix likes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph, unordered_pairs
from kcompile.passes.base import PassResult, map_batches


@dataclass(frozen=True)
class OrderEdges:
    """Sorts ungrouped edges by their nodes; a shuffled matrix costs up to twice the LU time.

    Groups are sorted already. Exact: order means nothing to the equations.
    """

    name: ClassVar[str] = "order-edges"

    def apply(self, graph: Graph) -> PassResult:
        """The graph with its edges sorted by lower, then higher node."""
        return PassResult(map_batches(graph, _sorted))


def _sorted(batch: EdgeBatch) -> tuple[EdgeBatch, ...]:
    order = np.argsort(unordered_pairs(batch), kind="stable")
    return (batch if (np.diff(order) > 0).all() else batch.take(order),)
