"""What a checkpoint holds, and what compiling and simulating it would roughly cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcompile.estimate import FAMILIES, Cost, SimulationCost, compiling, simulating
from kcompile.frontend.model import Model
from kcompile.ir import COEFFICIENTS, EdgeBatch, digest
from kcompile.passes import BOUNDED, optimise


@dataclass(frozen=True)
class Inspection:
    """What is in a checkpoint.

    Args:
        summary: names and sizes, ready to be shown or written as JSON.
        phases: one mapping a phase: nodes, edges, duration, fill, residual, ranges of w, a, b, c.
        compiling: roughly what compiling takes.
        costs: roughly what simulating takes, one entry an ``-O`` level and device family.
    """

    summary: Mapping[str, Any]
    phases: tuple[Mapping[str, Any], ...]
    compiling: Cost
    costs: tuple[SimulationCost, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        costs = [
            {
                "device_family": cost.device,
                "opt_level": cost.opt_level,
                "devices": cost.devices,
                "memory_bytes": cost.memory_bytes,
                "seconds_per_sample": cost.seconds,
            }
            for cost in self.costs
        ]
        return {
            **self.summary,
            "phases": [dict(phase) for phase in self.phases],
            "compiling": {
                "memory_bytes": self.compiling.memory_bytes,
                "seconds": self.compiling.seconds,
            },
            "estimates": costs,
        }


def inspect_model(model: Model) -> Inspection:
    """What a network holds and what compiling and simulating it would cost.

    Raises:
        GraphError: the graph is invalid.
    """
    graph = model.graph
    summary = {
        "name": model.name,
        "path": None if model.source is None else str(model.source),
        "sha256": model.sha256,
        "law": model.law,
        "task": model.task,
        "nodes": graph.nodes,
        "edges": graph.edges,
        "duration": graph.duration,
        "inputs": model.input_width,
        "outputs": len(graph.outputs),
        "encoder": model.encoder.describe() or None,
        "head": model.head.describe() or None,
        "solver": None if model.solver is None else model.solver.method,
        "graph_sha256": digest(graph),
        "notes": list(model.notes),
    }
    phases: list[dict[str, Any]] = [
        {
            "nodes": phase.nodes,
            "edges": phase.edges,
            "duration": phase.duration,
            "fill": str(phase.fill),
            "residual": phase.residual,
            "ranges": {name: _range(phase.batches, name) for name in COEFFICIENTS},
        }
        for phase in graph.phases
    ]
    costs: list[SimulationCost] = []
    compiled = graph
    for level in range(BOUNDED + 1):
        if level < BOUNDED:  # what -O3 approximates depends on voltages that are yet to be solved
            compiled, _ = optimise(graph, level)
        found = (simulating(compiled, device, level) for device in FAMILIES)
        costs += (cost for cost in found if cost is not None)
    return Inspection(summary, tuple(phases), compiling(graph), tuple(costs))


def _range(batches: tuple[EdgeBatch, ...], name: str) -> list[float] | None:
    columns = [getattr(batch, name) for batch in batches if len(batch)]
    if not columns:
        return None
    low = min(float(np.min(column)) for column in columns)
    return [low, max(float(np.max(column)) for column in columns)]
