"""Whether all phases of a graph can be one circuit, whose nodes just keep their voltages."""

from __future__ import annotations

from kcompile.errors import UsageError
from kcompile.ir.graph import Fill, Graph


def require_continuous(graph: Graph) -> None:
    """Sees that wires can do every hand-over between phases.

    Raises:
        UsageError: a phase adds an earlier output, begins with copied voltages or on nodes that
            are charged already, or has currents that are told from its own beginning.
    """
    most = 0
    for index, phase in enumerate(graph.phases):
        before = graph.phases[index - 1].nodes if index else phase.nodes
        grows = phase.nodes > before
        obstacle = None
        if phase.injected is not None:
            obstacle = "injected currents are told from the beginning of each layer"
        elif phase.residual is not None:
            obstacle = f"layer {index + 1} adds an earlier output, which no wire can do"
        elif grows and phase.fill is Fill.REPEAT:
            obstacle = f"layer {index + 1} repeats voltages on new nodes, which no wire can do"
        elif grows and most > before:
            obstacle = f"layer {index + 1} uses nodes again that an earlier layer left charged"
        if obstacle is not None:
            raise UsageError(
                obstacle, where="--single-deck", hint="leave out --single-deck and timing"
            )
        most = max(most, phase.nodes)
