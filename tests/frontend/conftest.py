"""How the tests of this package run a model, and a checkpoint that holds one of everything."""

from __future__ import annotations

import numpy as np
import published
import pytest
from whole_checkpoint import full

from kcompile.frontend import save_checkpoint
from kcompile.ir import hand_over, phase_output


def _run(model, x):
    """What comes out of a model for one sample, integrated as ``published.forward`` does."""
    v = model.initial_voltages(np.asarray(x, float))
    outputs = []
    for k, phase in enumerate(model.graph.phases):
        v = hand_over(v, phase)
        for _ in range(published.EULER_STEPS):
            v = v + phase.duration / published.EULER_STEPS * model.derivative(k, v)
        v = phase_output(model.graph, k, v, outputs)
        outputs.append(v)
    return model.head(model.read_out(v))


@pytest.fixture
def run():
    return _run


@pytest.fixture
def path(tmp_path):
    """A file of our own format with one of everything."""
    save_checkpoint(tmp_path / "net.pt", full())
    return tmp_path / "net.pt"
