"""What a checkpoint holds, and what compiling and simulating it would roughly cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcompile.frontend.model import Model
from kcompile.ir import COEFFICIENTS, EdgeBatch, Graph, Phi, digest
from kcompile.passes import LEVELS, devices, optimise

_ITERATIONS = 500
"""Newton iterations a layer at 200 and more time points (docs/findings.md)."""

_COST = {
    Phi.RELU: (1.7e-6, 3300),
    Phi.LEAKY_RELU: (1.9e-6, 3700),
    Phi.IDENTITY: (0.2e-6, 600),
    Phi.TANH: (2.4e-6, 3800),
}
"""Seconds an iteration and bytes of ngspice memory of one behavioural source (docs/findings.md)."""

_TABLE_COST = (1.1e-6, 2400)
"""The same of one piecewise-linear table."""


@dataclass(frozen=True)
class LevelCost:
    """What behavioural decks of one ``-O`` level would cost; rough, for planning.

    Args:
        opt_level: the level.
        devices: how many devices there would be in all layers.
        memory_bytes: of ngspice.
        seconds: of simulation, one sample.
    """

    opt_level: int
    devices: int
    memory_bytes: float
    seconds: float


@dataclass(frozen=True)
class Inspection:
    """What is in a checkpoint.

    Args:
        summary: names and sizes, ready to be shown or written as JSON.
        phases: one mapping a phase: nodes, edges, duration, fill, residual, ranges of w, a, b, c.
        costs: one entry an ``-O`` level.
    """

    summary: Mapping[str, Any]
    phases: tuple[Mapping[str, Any], ...]
    costs: tuple[LevelCost, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        costs = [
            {
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
            "estimates": costs,
        }


def inspect_model(model: Model) -> Inspection:
    """What a network holds and what its behavioural decks would cost.

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
    levels = (optimise(graph, level)[0] for level in range(len(LEVELS)))
    costs = tuple(_cost(level, compiled) for level, compiled in enumerate(levels))
    return Inspection(summary, tuple(phases), costs)


def _range(batches: tuple[EdgeBatch, ...], name: str) -> list[float] | None:
    columns = [getattr(batch, name) for batch in batches if len(batch)]
    if not columns:
        return None
    low = min(float(np.min(column)) for column in columns)
    return [low, max(float(np.max(column)) for column in columns)]


def _cost(level: int, graph: Graph) -> LevelCost:
    seconds = memory = 0.0
    for phase in graph.phases:
        for batch in phase.batches:
            grouped = batch.group_ptr is not None
            count = len(batch.group_ptr) - 1 if batch.group_ptr is not None else len(batch)
            per_iteration, size = _TABLE_COST if grouped else _COST[batch.phi]
            seconds += count * per_iteration * _ITERATIONS
            memory += count * size
    return LevelCost(level, devices(graph), memory, seconds)
