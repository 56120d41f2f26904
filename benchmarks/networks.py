"""Seeded networks to measure with."""

from __future__ import annotations

import numpy as np

from kcompile.frontend import (
    BatchRecord,
    Checkpoint,
    FullyConnected,
    Mixed,
    Model,
    PhaseRecord,
)
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


def trained_like(side: int = 28, seed: int = 0) -> Checkpoint:
    """The shape of the published mnist, two layers, with weights as training leaves them.

    834 nodes and 460,136 ``shift_relu`` edges at 28 x 28 pixels; the last ten nodes are read. The
    parameters spread as those of one that ``kcompile train mnist`` made, and the mean of w is such
    that voltages grow as they do there.
    """
    rng = np.random.default_rng(seed)
    src, dst = Mixed(1, side, side, 4, 50, repeat=(1, 1)).edges()
    nodes = side * side + 50
    spreads = (((0.0116, 0.0206), (-0.003, 0.0195)), ((0.0088, 0.0257), (-0.003, 0.0203)))
    phases = tuple(
        PhaseRecord(
            nodes,
            1.0,
            (
                BatchRecord(
                    "shift_relu",
                    src,
                    dst,
                    np.stack([rng.normal(*spread, len(src)) for spread in layer]).astype("f4"),
                ),
            ),
        )
        for layer in spreads
    )
    return Checkpoint(phases, side * side, np.arange(nodes - 9, nodes + 1))


def strokes(count: int, side: int = 28, seed: int = 1) -> FloatArray:
    """``float64[count, side**2]`` images of a few soft strokes on black, in 0..1, as digits are."""
    rng = np.random.default_rng(seed)
    place = np.linspace(-1.0, 1.0, side)
    x, y = np.meshgrid(place, place)
    images = np.zeros((count, side, side))
    for image in images:
        for _ in range(3):
            ends = rng.uniform(-0.7, 0.7, (2, 2))
            for t in np.linspace(0.0, 1.0, 2 * side):
                px, py = ends[0] + t * (ends[1] - ends[0])
                np.maximum(image, np.exp(-((x - px) ** 2 + (y - py) ** 2) / 0.01), out=image)
    return images.reshape(count, -1)


def two_nodes(layers: int = 2, copies: int = 25, seed: int = 0) -> Model:
    """The shape of the published twomoon: 2 nodes and ground, 300 ``tanh_affine`` edges a layer."""
    rng = np.random.default_rng(seed)
    src, dst = (np.repeat(ends, copies) for ends in FullyConnected(3).edges())
    phases = tuple(
        PhaseRecord(2, 0.5, (BatchRecord("tanh_affine", src, dst, _affine(rng, len(src))),))
        for _ in range(layers)
    )
    return Checkpoint(phases, 2, np.arange(1, 3), task="twomoon").model()


def _affine(rng: np.random.Generator, edges: int) -> FloatArray:
    return rng.normal(0.0, np.array([[0.15], [0.15], [0.09]]), (3, edges))
