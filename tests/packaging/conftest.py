"""The installed wheel, and a small checkpoint to try it with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from installation import Installation, install

from kcompile.frontend import Checkpoint, save_checkpoint
from kcompile.ir import EdgeBatch, Graph, Phase, Phi


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel in an environment without torch and without the tools of this one."""
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A network of two nodes and five edges, relu and ground among them, as our own checkpoint."""
    batch = EdgeBatch(
        Phi.RELU,
        np.array([1, 2, 1, 0, 2]),
        np.array([2, 1, 0, 1, 0]),
        np.array([1.0, -0.5, 0.8, 0.3, 1.2]),
        np.array(1.0),
        np.array(-1.0),
        np.array([0.1, 0.2, -0.1, 0.4, 0.0]),
    )
    graph = Graph((Phase(2, 1.0, (batch,)),), 2, np.array([2]))
    path = tmp_path / "small.kc"
    save_checkpoint(path, Checkpoint.from_graph(graph))
    return path
