"""Edges whose argument becomes zero at a voltage that no node ever sees."""

from __future__ import annotations

import numpy as np
import pytest

import kcompile
from kcompile.frontend import Checkpoint, FullyConnected, PhaseRecord
from kcompile.frontend.records import BatchRecord
from kcompile.reference import solve
from kcompile.simulation import Ngspice

INPUTS = np.array([[0.3, -0.5, 0.2]])


def model_of(slope: float) -> kcompile.Model:
    """One fully connected layer of relu diff edges with slopes of the size given."""
    src, dst = FullyConnected(4).edges()
    rng = np.random.default_rng(1)
    a, c = rng.normal(0.0, slope, len(src)), rng.normal(0.0, 0.5, len(src))
    w = rng.normal(0.0, 1.0, len(src))
    batch = BatchRecord("canonical_relu", src, dst, np.stack([w, a, -a, c]))
    return Checkpoint((PhaseRecord(3, 1.0, (batch,)),), 3, np.array([1, 2, 3])).model()


@pytest.mark.parametrize("family", ["ideal", "switch", "diode"])
@pytest.mark.parametrize("slope", [1e-5, 1e-12, 1e-310])
def test_a_far_threshold_costs_no_accuracy(ngspice: Ngspice, slope: float, family: str) -> None:
    """Trained slopes come close to 0, and then c/a is large.

    As a conductance and a current source behind an open switch such an edge would leak |c/a|/Roff.
    """
    model = model_of(slope)
    truth = solve(model.graph, INPUTS, 1e-7).outputs
    found = kcompile.simulate(model, INPUTS, device=family, opt_level=0, ngspice=ngspice.path)
    assert np.abs(found.outputs - truth).max() <= 1e-5


def test_every_form_of_the_switch_family_occurs() -> None:
    near, far, farther = (model_of(slope) for slope in (1.0, 1e-5, 1e-12))
    forms = [
        {
            table.template
            for layer in kcompile.compile(model, device="switch", opt_level=0).circuit.layers
            for table in layer.tables
        }
        for model in (near, far, farther)
    ]
    assert forms[0] == {"relu_conductance.j2", "relu_diff.j2"}
    assert "relu_diff.j2" in forms[1]
    assert forms[2] == {"relu_affine.j2"}
