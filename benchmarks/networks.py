"""Seeded networks to measure with."""

from __future__ import annotations

import numpy as np

from kcompile.frontend import Mixed, Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate


def neighbourhood_relu(side: int = 28, kernel: int = 3, seed: int = 0) -> Model:
    """One NE layer of ``w*relu(vs - vd - theta)`` edges, every node tied to ground and back.

    784 nodes and 50,240 edges at 28 x 28 pixels with a 3 x 3 kernel.
    """
    src, dst = Mixed(1, side, side, kernel, 0, repeat=(1, 1)).edges()
    rng = np.random.default_rng(seed)
    w = rng.normal(0.03, 0.1, len(src))
    theta = rng.normal(0.0, 0.3, len(src))
    batch = EdgeBatch("relu", src, dst, w, 1.0, -1.0, -theta)
    nodes = side * side
    graph = Graph((Phase(nodes, 1.0, (batch,)),), nodes, np.arange(1, nodes + 1))
    return Model(validate(graph), "shift_relu", "ne-relu")


def pixels(count: int, seed: int = 1) -> np.ndarray:
    """``float64[count]`` input voltages in 0..1."""
    return np.random.default_rng(seed).uniform(0.0, 1.0, count)
