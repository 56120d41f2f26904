"""Edges whose current is too small to matter are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import EdgeBatch, FloatArray, Graph, OffsetArray, Phase, oriented
from kcompile.passes.base import PassResult
from kcompile.passes.ranges import VoltageRange


@dataclass(frozen=True)
class DropNegligible:
    """Drops what carries next to no current while the voltages stay within their ranges.

    All diff edges between two nodes are kept or dropped together, for together they are one
    device; an affine edge is judged alone. Of each node's, the smallest go first, until what they
    could carry together reaches the bound.

    Args:
        ranges: of each phase.
        error_bound: the largest current that any node may lose, software units.
    """

    name: ClassVar[str] = "drop-negligible"
    ranges: tuple[VoltageRange, ...]
    error_bound: float

    def apply(self, graph: Graph) -> PassResult:
        """The graph without negligible edges; grouped batches are left as they are."""
        done = [
            _drop(phase, found, self.error_bound)
            for phase, found in zip(graph.phases, self.ranges, strict=True)
        ]
        phases = tuple(phase for phase, _ in done)
        return PassResult(graph.with_phases(phases), max(bound for _, bound in done))


def largest_currents(batch: EdgeBatch, within: VoltageRange) -> FloatArray:
    """The largest ``|w*phi|`` of each edge, ``float64[E]``; every phi is monotone."""
    low, high = within.grounded()
    least = most = batch.column("c")
    for slope, ends in ((batch.column("a"), batch.src), (batch.column("b"), batch.dst)):
        one, other = slope * low[ends], slope * high[ends]
        least, most = least + np.minimum(one, other), most + np.maximum(one, other)
    phi = np.maximum(np.abs(batch.phi(least)), np.abs(batch.phi(most)))
    return np.abs(batch.column("w")) * phi


def _drop(phase: Phase, within: VoltageRange, error_bound: float) -> tuple[Phase, float]:
    """The phase without what is negligible, and the largest current that a node loses."""
    batches = [batch for batch in phase.batches if batch.group_ptr is None and len(batch)]
    if not batches:
        return phase, 0.0
    units = [_units(batch) for batch in batches]
    sizes = [int(unit.max(initial=-1)) + 1 for unit in units]
    currents = np.concatenate(
        [
            np.asarray(np.bincount(unit, largest_currents(batch, within), size), dtype=np.float64)
            for unit, size, batch in zip(units, sizes, batches, strict=True)
        ]
    )
    ends = [np.zeros((2, size), dtype=np.int64) for size in sizes]
    for unit, pair, batch in zip(units, ends, batches, strict=True):
        pair[:, unit] = batch.src, batch.dst
    nodes = np.concatenate(ends, axis=1)
    dropped = _affordable(currents, nodes, error_bound)
    if not dropped.any():
        return phase, 0.0
    lost = np.bincount(nodes[:, dropped].ravel(), np.tile(currents[dropped], 2), phase.nodes + 1)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    kept = {
        id(batch): batch.take(np.flatnonzero(~dropped[unit + offset]))
        for unit, offset, batch in zip(units, offsets.tolist(), batches, strict=False)
    }
    rest = tuple(kept.get(id(batch), batch) for batch in phase.batches)
    return phase.with_batches(rest), float(lost[1:].max(initial=0.0))


def _units(batch: EdgeBatch) -> OffsetArray:
    """Numbers from 0, the same for edges that are kept or dropped together, ``int64[E]``."""
    view = oriented(batch)
    size = int(view.high.max()) + 1
    pair = view.low.astype(np.int64) * size + view.high
    keys = np.where(batch.is_diff, pair, size * size + np.arange(len(batch)))
    return np.unique(keys, return_inverse=True)[1]


def _affordable(
    currents: FloatArray, nodes: OffsetArray, error_bound: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the currents ``[U]`` both of their nodes ``[2, U]`` can do without."""
    owner, size = nodes.ravel(), np.tile(currents, 2)
    order = np.lexsort((size, owner))
    owner, running = owner[order], np.cumsum(size[order])
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    before = running[starts] - size[order][starts]
    running -= np.repeat(before, np.diff(np.append(starts, len(owner))))
    cheap = np.empty(len(owner), dtype=bool)
    cheap[order] = (running <= error_bound) | (owner == 0)
    first, second = cheap.reshape(2, -1)
    return first & second
