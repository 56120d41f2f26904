"""The circuit graph: nodes, edges and phases, as immutable arrays.

An edge carries the current ``w * phi(a*v_src + b*v_dst + c)`` out of ``src`` and into ``dst``
(Eqs. (10)-(13) and the published laws are all of this form). Node 0 is ground. Nodes ``1..N`` are
numbered once for the whole graph; a phase uses the nodes ``1..phase.nodes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from kcompile.ir.arrays import FloatArray, IndexArray, OffsetArray, frozen, picked_runs
from kcompile.ir.injected import Injected
from kcompile.ir.phi import Phi
from kcompile.ir.tables import Tables
from kcompile.ir.trace import Trace

COEFFICIENTS = ("w", "a", "b", "c")


class Fill(StrEnum):
    """What a node starts with when no voltage is handed to it."""

    ZERO = "zero"
    REPEAT = "repeat"


@dataclass(frozen=True, eq=False)
class EdgeBatch:
    """Edges of one phase that share a nonlinearity.

    Args:
        phi: the nonlinearity.
        src: ``int32[E]`` source nodes (0 is ground).
        dst: ``int32[E]`` destination nodes.
        w, a, b, c: ``float64[E]``, or one number for the whole batch.
        trace: the checkpoint edges behind each edge; by default edge ``e`` stands for ``e``, which
            is for the first batch of a phase: the edges of the others are numbered on.
        group_ptr: ``int64[G+1]`` where edges ``group_ptr[g]:group_ptr[g+1]`` are to become one
            device: diff edges between one unordered pair of nodes. None: one device per edge.
        tables: the groups' currents where they only approximate the sum of the edges, which then
            say no more than what they stand for. None: the edges' own currents.
    """

    phi: Phi
    src: IndexArray
    dst: IndexArray
    w: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    trace: Trace = field(default=None)  # pyright: ignore[reportAssignmentType]
    group_ptr: OffsetArray | None = None
    tables: Tables | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "phi", Phi(self.phi))
        for name in ("src", "dst"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int32))
        for name in COEFFICIENTS:
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        if self.trace is None:  # pyright: ignore[reportUnnecessaryComparison]
            object.__setattr__(self, "trace", Trace.identity(len(self.src)))
        if self.group_ptr is not None:
            object.__setattr__(self, "group_ptr", frozen(self.group_ptr, np.int64))

    def __len__(self) -> int:
        return len(self.src)

    def column(self, name: str) -> FloatArray:
        """Coefficient ``name`` of every edge, ``float64[E]``, also where it is one number."""
        return np.broadcast_to(getattr(self, name), (len(self),))

    @cached_property
    def is_diff(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """``bool[E]``: the current depends on ``v_src - v_dst`` alone (``b == -a`` exactly)."""
        return np.broadcast_to(self.b == -self.a, (len(self),))

    def take(self, order: OffsetArray) -> EdgeBatch:
        """The edges ``order`` in that order, with their trace, ungrouped."""
        order = np.asarray(order, dtype=np.int64)
        picked = {n: v if (v := getattr(self, n)).ndim == 0 else v[order] for n in COEFFICIENTS}
        return EdgeBatch(
            self.phi, self.src[order], self.dst[order], **picked, trace=self.trace.take(order)
        )

    def take_groups(self, order: OffsetArray) -> EdgeBatch:
        """The groups ``order`` in that order, with their tables; there must be groups."""
        assert self.group_ptr is not None
        ptr, edges = picked_runs(self.group_ptr, order)
        tables = None if self.tables is None else self.tables.take(order)
        return replace(self.take(edges), group_ptr=ptr, tables=tables)


@dataclass(frozen=True, eq=False)
class Phase:
    """One layer: its nodes, its edges, how long it lasts and how it starts.

    Args:
        nodes: N, the nodes ``1..N`` that live in this phase.
        duration: software time units.
        batches: the edges.
        fill: what a node starts with that was not live in the phase before (for the first phase:
            that the input does not reach): 0 V, or the handed-over voltages repeated cyclically.
        residual: index of an earlier phase whose output is added to this phase's output.
        injected: currents of independent sources, such as noise; None: there are none.
    """

    nodes: int
    duration: float
    batches: tuple[EdgeBatch, ...]
    fill: Fill = Fill.ZERO
    residual: int | None = None
    injected: Injected | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", Fill(self.fill))

    @property
    def edges(self) -> int:
        """How many edges the phase has."""
        return sum(len(batch) for batch in self.batches)

    def with_batches(self, batches: Iterator[EdgeBatch] | tuple[EdgeBatch, ...]) -> Phase:
        """The same phase with other edges; batches without edges are left out."""
        return replace(self, batches=tuple(batch for batch in batches if len(batch)))


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as a circuit: what is compiled.

    Args:
        phases: the layers, in order.
        inputs: how many voltages are given; they start nodes ``1..inputs`` of the first phase.
        outputs: ``int32[M]``, the nodes read at the end of the last phase, in order.
        capacitance: ``float64[nodes]`` in software units (node ``j`` at ``j-1``); default 1 each.
    """

    phases: tuple[Phase, ...]
    inputs: int
    outputs: IndexArray
    capacitance: FloatArray = field(default=None)  # pyright: ignore[reportAssignmentType]

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", frozen(self.outputs, np.int32))
        if self.capacitance is None:  # pyright: ignore[reportUnnecessaryComparison]
            object.__setattr__(self, "capacitance", np.ones(self.nodes))
        object.__setattr__(self, "capacitance", frozen(self.capacitance, np.float64))

    @property
    def nodes(self) -> int:
        """How many nodes the graph has, ground not counted."""
        return max((phase.nodes for phase in self.phases), default=0)

    @property
    def edges(self) -> int:
        """How many edges all phases have together."""
        return sum(phase.edges for phase in self.phases)

    @property
    def duration(self) -> float:
        """Software time from input to output."""
        return sum(phase.duration for phase in self.phases)

    def live(self, node: int) -> tuple[int, ...]:
        """The phases in which ``node`` has edges or holds a voltage."""
        return tuple(k for k, phase in enumerate(self.phases) if node <= phase.nodes)

    def with_phases(self, phases: Iterator[Phase] | tuple[Phase, ...]) -> Graph:
        """The same graph with other phases (same nodes)."""
        return replace(self, phases=tuple(phases))
