"""Which passes an optimisation level runs, and what each of them did."""

from __future__ import annotations

from dataclasses import dataclass

from kcompile.errors import UsageError
from kcompile.ir import Graph, validate
from kcompile.passes.base import Pass
from kcompile.passes.drop_dead import DropDead
from kcompile.passes.drop_negligible import DropNegligible
from kcompile.passes.fold_ground import FoldGround
from kcompile.passes.group_pairs import GroupPairs
from kcompile.passes.merge_equal import MergeEqual
from kcompile.passes.order_edges import OrderEdges
from kcompile.passes.ranges import Approximation
from kcompile.passes.tabulate_pairs import TabulatePairs

_CLEAN: tuple[Pass, ...] = (FoldGround(), MergeEqual(), DropDead())

LEVELS: tuple[tuple[Pass, ...], ...] = ((), _CLEAN, (*_CLEAN, GroupPairs(), OrderEdges()))
"""The passes of ``-O0`` (literal), ``-O1`` (exact clean-ups) and ``-O2`` (all that is exact)."""

GROUPED, BOUNDED = 2, 3
"""The first level that joins the edges of a pair of nodes, and the one that approximates within
bounds, the highest."""

_DROPPED = 0.1
"""The share of the error bound for edges that are left out."""


@dataclass(frozen=True)
class PassRecord:
    """What one pass did, for the report.

    Args:
        name: of the pass.
        edges_before, edges_after: devices in all phases (a group of edges counts once).
        error_bound: current error it adds at any node, software units.
        notes: its remarks.
    """

    name: str
    edges_before: int
    edges_after: int
    error_bound: float
    notes: tuple[str, ...] = ()


def run_passes(graph: Graph, passes: tuple[Pass, ...]) -> tuple[Graph, tuple[PassRecord, ...]]:
    """Runs ``passes`` in order over a valid graph.

    Returns:
        The last graph, validated, and one record a pass.

    Raises:
        GraphError: the graph is invalid.
    """
    records: list[PassRecord] = []
    for step in passes:
        result = step.apply(graph)
        records.append(
            PassRecord(
                step.name, devices(graph), devices(result.graph), result.error_bound, result.notes
            )
        )
        graph = result.graph
    return validate(graph), tuple(records)


def check_level(level: int) -> None:
    """Raises ``UsageError`` where there is no level ``-O<level>``."""
    if not 0 <= level <= BOUNDED:
        raise UsageError(f"no level {level}", where="-O", hint=f"levels: 0..{BOUNDED}")


def optimise(
    graph: Graph, level: int, approximation: Approximation | None = None
) -> tuple[Graph, tuple[PassRecord, ...]]:
    """Runs the passes of ``-O<level>``.

    Args:
        graph: valid.
        level: 0 to 3.
        approximation: how far ``-O3`` may go, and where; the exact levels need none.

    Raises:
        UsageError: there is no such level, or no approximation that fits the graph.
        GraphError: the graph is invalid.
    """
    check_level(level)
    if level < BOUNDED:
        return run_passes(graph, LEVELS[level])
    if approximation is None:
        raise UsageError(
            f"-O{BOUNDED} needs voltage ranges and an error bound", where="approximation",
            hint="give them, or let kcompile.compile find them",
        )  # fmt: skip
    approximation.check(graph)
    return run_passes(graph, bounded_passes(approximation))


def bounded_passes(approximation: Approximation) -> tuple[Pass, ...]:
    """The passes of ``-O3``; what they add to a node's current stays within the bound together."""
    ranges, bound = approximation.ranges, approximation.error_bound
    return (
        *_CLEAN,
        DropNegligible(ranges, _DROPPED * bound),
        GroupPairs(),
        TabulatePairs(ranges, (1 - _DROPPED) * bound),
        OrderEdges(),
    )


def devices(graph: Graph) -> int:
    """How many devices the graph's edges become: groups count once."""
    return sum(
        len(batch) if batch.group_ptr is None else len(batch.group_ptr) - 1
        for phase in graph.phases
        for batch in phase.batches
    )
