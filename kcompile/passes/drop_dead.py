"""Edges that never carry a current are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph
from kcompile.passes.base import PassResult, map_batches


@dataclass(frozen=True)
class DropDead:
    """Drops edges whose current is identically zero or never leaves their node.

    That is: weight 0, both ends the same node, or a constant argument at which phi is 0. Exact.
    """

    name: ClassVar[str] = "drop-dead"

    def apply(self, graph: Graph) -> PassResult:
        """The graph without dead edges."""
        return PassResult(map_batches(graph, _alive))


def _alive(batch: EdgeBatch) -> tuple[EdgeBatch, ...]:
    constant = (batch.column("a") == 0) & (batch.column("b") == 0)
    dead = (batch.column("w") == 0) | (batch.src == batch.dst)
    dead |= constant & (batch.phi(batch.column("c")) == 0)
    return (batch.take(np.flatnonzero(~dead)) if dead.any() else batch,)
