"""Seeded networks to measure with."""

from __future__ import annotations

import numpy as np

from kcompile.frontend import BatchRecord, Checkpoint, Mixed, Model, PhaseRecord
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, Phi, validate


def neighbourhood_relu(side: int = 28, kernel: int = 3, seed: int = 0) -> Model:
    """One NE layer of ``w*relu(vs - vd - theta)`` edges, every node tied to ground and back.

    784 nodes and 50,240 edges at 28 x 28 pixels with a 3 x 3 kernel.
    """
    src, dst = Mixed(1, side, side, kernel, 0, repeat=(1, 1)).edges()
    rng = np.random.default_rng(seed)
    w = rng.normal(0.03, 0.1, len(src))
    theta = rng.normal(0.0, 0.3, len(src))
    batch = EdgeBatch(Phi.RELU, src, dst, w, np.array(1.0), np.array(-1.0), -theta)
    nodes = side * side
    graph = Graph((Phase(nodes, 1.0, (batch,)),), nodes, np.arange(1, nodes + 1, dtype=np.int32))
    return Model(validate(graph), "shift_relu", "ne-relu")


def neighbourhood_tanh(
    side: int = 28, kernel: int = 3, layers: int = 2, seed: int = 0
) -> Checkpoint:
    """The shape of the published genmnist: NE layers of ``tanh_diff`` edges, as a checkpoint.

    784 nodes and 100,480 edges in two layers at 28 x 28 pixels with a 3 x 3 kernel.
    """
    src, dst = Mixed(1, side, side, kernel, 0, repeat=(1, 1)).edges()
    rng = np.random.default_rng(seed)
    nodes = side * side
    phases = tuple(
        PhaseRecord(
            nodes,
            1.0,
            (
                BatchRecord(
                    "tanh_diff", src, dst, rng.normal(0.0, 0.1, (2, len(src))).astype(np.float32)
                ),
            ),
        )
        for _ in range(layers)
    )
    return Checkpoint(phases, nodes, np.arange(1, nodes + 1))


def mixed_relu(side: int = 28, seed: int = 0) -> Checkpoint:
    """The shape of a layer of the published mnist: neighbourhoods, and 50 nodes joined to all.

    834 nodes and 230,068 ``shift_relu`` edges at 28 x 28 pixels; the last ten nodes are read.
    """
    src, dst = Mixed(1, side, side, 4, 50, repeat=(1, 1)).edges()
    rng = np.random.default_rng(seed)
    params = np.stack((rng.normal(0.0, 0.3, len(src)), rng.normal(0.03, 0.1, len(src))))
    nodes = side * side + 50
    batch = BatchRecord("shift_relu", src, dst, params.astype(np.float32))
    outputs = np.arange(nodes - 9, nodes + 1)
    return Checkpoint((PhaseRecord(nodes, 1.0, (batch,)),), side * side, outputs)


def pixels(count: int, seed: int = 1) -> FloatArray:
    """``float64[count]`` input voltages in 0..1."""
    return np.random.default_rng(seed).uniform(0.0, 1.0, count)
