"""Small seeded networks whose circuits are quick to simulate."""

from __future__ import annotations

import numpy as np

from kcompile.frontend.model import Model
from kcompile.ir import EdgeBatch, Fill, Graph, Phase, validate


def make_model(
    *, nodes: tuple[int, ...] = (3, 3), residual: int | None = None, fill: Fill = Fill.ZERO,
    phi: str = "relu", **fields,
) -> Model:  # fmt: skip
    """Fully connected layers (with ground) of the given sizes, two inputs, two read-outs."""
    random = np.random.default_rng(7)
    phases = []
    for index, count in enumerate(nodes):
        src, dst = np.array(
            [(s, d) for s in range(count + 1) for d in range(count + 1) if s != d]
        ).T
        w, c = random.normal(size=(2, len(src)))
        edges = EdgeBatch(phi, src, dst, 0.5 * w, 1.0, -1.0, c * 0.3)
        last = index == len(nodes) - 1
        phases.append(Phase(count, 0.6 + 0.2 * index, (edges,), fill, residual if last else None))
    graph = Graph(tuple(phases), 2, [nodes[-1] - 1, nodes[-1]])
    return Model(validate(graph), "shift_relu" if phi == "relu" else phi, **fields)
