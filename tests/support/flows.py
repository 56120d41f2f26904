"""Small networks that generate, and where the published ones are there."""

from __future__ import annotations

import numpy as np
import pytest
from published import FOLDER

from kcompile.frontend import Checkpoint, Model, PhaseRecord
from kcompile.nn import Edges, KirchhoffNet, Layer

PUBLISHED = pytest.mark.skipif(
    not (FOLDER / "twomoon").is_dir(), reason="the published checkpoints are not there"
)


def flow(
    task: str, nodes: int = 2, seed: int = 0, durations: tuple[float, ...] = (0.4, 0.6)
) -> Model:
    """A random flow of a few layers of smooth edges, ground included."""
    random = np.random.default_rng(seed)
    layers: list[Layer] = []
    for duration in durations:
        src, dst = random.integers(0, nodes + 1, (2, 6 * nodes))
        params = random.normal(scale=0.6, size=(2, 6 * nodes))
        layers.append(Layer([Edges("tanh_diff", src, dst, params)], nodes, duration))
    net = KirchhoffNet(layers, nodes, range(1, nodes + 1))
    return net.to_checkpoint(task=task).model()


def untouched(task: str, nodes: int = 2) -> Model:
    """A flow without edges: it gives what it is given."""
    outputs = list(range(1, nodes + 1))
    return Checkpoint((PhaseRecord(nodes, 1.0, ()),), nodes, outputs, task=task).model()
