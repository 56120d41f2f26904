"""Small networks that generate, as models and checkpoints, and whether published ones are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published import FOLDER

from kcompile.frontend import Checkpoint, Model, PhaseRecord, save_checkpoint
from kcompile.nn import Edges, KirchhoffNet, Layer

PUBLISHED = pytest.mark.skipif(
    not (FOLDER / "twomoon").is_dir(), reason="the published checkpoints are not there"
)

FRIEDMAN = Path(__file__).parents[2] / "golden" / "friedman" / "model.safetensors"
"""A small trained network."""


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


def write(path: Path, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint; gives its path."""
    save_checkpoint(path, checkpoint)
    return path


def write_flow(path: Path, task: str, nodes: int = 2) -> Path:
    """Writes a random flow; gives its path."""
    model = flow(task, nodes)
    return write(path, Checkpoint.from_graph(model.graph, task=model.task))


def write_classifier(path: Path, task: str | None = "mnist") -> Path:
    """784 inputs and no edge; read from the first ten pixels, the brightest is its answer."""
    return write(path, Checkpoint((PhaseRecord(784, 1.0, ()),), 784, range(1, 11), task=task))
