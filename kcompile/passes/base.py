"""What a pass is: graph in, graph out, with a bound on what it changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from kcompile.ir import EdgeBatch, Graph


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass delivers.

    Args:
        graph: the new graph (the old one where nothing was to be done).
        error_bound: the largest current, in software units, by which any node's sum can differ
            from the old graph's; 0 for an exact pass (rounding apart).
        notes: what a reader of the report should know.
    """

    graph: Graph
    error_bound: float = 0.0
    notes: tuple[str, ...] = ()


class Pass(Protocol):
    """A graph-to-graph transformation; its fields are its options.

    Passes are frozen dataclasses; ``name`` is what reports and logs call it (kebab-case).
    """

    name: ClassVar[str]

    def apply(self, graph: Graph) -> PassResult:
        """The transformed graph. Raises ``GraphError`` where the graph is not fit for it."""
        ...


def map_batches(graph: Graph, change: Callable[[EdgeBatch], tuple[EdgeBatch, ...]]) -> Graph:
    """The graph with every batch replaced by what ``change`` makes of it.

    Batches without edges are left out, and grouped batches are left as they are.
    """
    return graph.with_phases(
        tuple(
            phase.with_batches(
                tuple(
                    part
                    for batch in phase.batches
                    for part in ((batch,) if batch.group_ptr is not None else change(batch))
                )
            )
            for phase in graph.phases
        )
    )
