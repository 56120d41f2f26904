"""The graph as networkx sees it, for analysis and export (never the storage)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcompile.errors import GraphError
from kcompile.files import written
from kcompile.ir.graph import COEFFICIENTS, Graph

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(graph: Graph, phase: int = 0) -> nx.MultiDiGraph[Any]:
    """One phase as a ``MultiDiGraph``: node 0 is ground, edge keys are edge numbers.

    Nodes carry ``role`` and ``capacitance``, edges ``phi``, ``w``, ``a``, ``b`` and ``c``, all in
    software units.

    Raises:
        GraphError: there is no such phase.
    """
    import networkx as nx

    if not 0 <= phase < len(graph.phases):
        raise GraphError(f"there is no phase {phase}", hint=f"phases: 0..{len(graph.phases) - 1}")
    layer = graph.phases[phase]
    view: nx.MultiDiGraph[Any] = nx.MultiDiGraph(phase=phase, duration=layer.duration)
    view.add_node(0, role="ground", capacitance=0.0)
    outputs = set(graph.outputs.tolist())
    for node in range(1, layer.nodes + 1):
        role = "+".join(
            name
            for name, holds in (("input", node <= graph.inputs), ("output", node in outputs))
            if holds
        )
        capacitance = float(graph.capacitance[node - 1])
        view.add_node(node, role=role or "hidden", capacitance=capacitance)
    start = 0
    for batch in layer.batches:
        columns = np.stack([batch.column(name) for name in COEFFICIENTS], axis=1).tolist()
        ends = zip(batch.src.tolist(), batch.dst.tolist(), columns, strict=True)
        for key, (s, d, row) in enumerate(ends, start):
            coefficients = dict(zip(COEFFICIENTS, row, strict=True))
            view.add_edge(s, d, key, phi=str(batch.phi), **coefficients)
        start += len(batch)
    return view


def write_graphml(graph: Graph, path: Path | str, phase: int = 0) -> None:
    """Writes one phase as GraphML.

    Raises:
        GraphError: there is no such phase.
        StorageError: the file cannot be written.
    """
    import networkx as nx

    view = to_networkx(graph, phase)
    with written(Path(path)) as stream:
        lines = nx.generate_graphml(view)  # pyright: ignore[reportUnknownMemberType]
        for line in lines:
            stream.write(f"{line}\n".encode())
