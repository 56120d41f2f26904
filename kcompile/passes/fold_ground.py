"""Edges that touch ground become functions of their one voltage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, Graph
from kcompile.passes.base import PassResult, map_batches


@dataclass(frozen=True)
class FoldGround:
    """Rewrites every edge that touches ground as a diff edge from its node to ground.

    Ground stays at 0 V, so its coefficient is free: an affine edge becomes a diff edge, which
    ``group-pairs`` can join with others. Exact.
    """

    name: ClassVar[str] = "fold-ground"

    def apply(self, graph: Graph) -> PassResult:
        """The graph with every ground edge running ``node -> 0`` and ``b == -a``."""
        return PassResult(map_batches(graph, _fold))


def _fold(batch: EdgeBatch) -> tuple[EdgeBatch, ...]:
    into = (batch.src == 0) & (batch.dst != 0)
    touches = into | ((batch.dst == 0) & (batch.src != 0))
    if not (into.any() or (touches & ~batch.is_diff).any()):
        return (batch,)
    a, b, w = batch.column("a"), batch.column("b"), batch.column("w")
    slope = np.where(into, b, a)
    folded = replace(
        batch,
        src=np.where(into, batch.dst, batch.src),
        dst=np.where(into, 0, batch.dst),
        w=np.where(into, -w, w),
        a=np.where(touches, slope, a),
        b=np.where(touches, -slope, b),
    )
    return (folded,)
