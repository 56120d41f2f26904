"""Every law through every device family, at both ends of -O, as layers and as a single deck."""

from __future__ import annotations

import numpy as np
import pytest
from simulators import real_ngspice

import kcompile
from kcompile.errors import PdkError
from kcompile.frontend import Checkpoint, FullyConnected, PhaseRecord
from kcompile.frontend.records import BatchRecord
from kcompile.ir import LAWS, Phi
from kcompile.reference import solve

SAMPLES = 2


def network(law_name: str) -> kcompile.Model:
    """Two fully connected layers with weights of both signs."""
    rng = np.random.default_rng(sorted(LAWS).index(law_name))
    law = LAWS[law_name]
    phases = []
    for nodes in (2, 3):
        src, dst = FullyConnected(nodes + 1).edges()
        params = rng.normal(0.0, 0.5, (law.rows, len(src)))
        phases.append(PhaseRecord(nodes, 0.5, (BatchRecord(law.name, src, dst, params),)))
    return Checkpoint(tuple(phases), 2, np.array([1, 2, 3])).model()


@pytest.mark.parametrize("family", ["ideal", "switch", "diode"])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_law_in_a_family(law, family):
    simulator = real_ngspice()
    model = network(law)
    inputs = np.random.default_rng(1).uniform(-1.0, 1.0, (SAMPLES, 2))
    if LAWS[law].phi is Phi.TANH and family != "ideal":
        with pytest.raises(PdkError, match="--device ideal"):
            kcompile.compile(model, device=family)
        return
    truth = solve(model.graph, model.initial_voltages(inputs), 1e-7).outputs
    allowed = 1e-4 * max(1.0, np.abs(truth).max())
    for level in (0, 2):
        for single in (False, True):
            found = kcompile.simulate(
                model, inputs, device=family, opt_level=level, single_deck=single,
                ngspice=simulator.path,
            )  # fmt: skip
            error = np.abs(found.outputs - truth).max()
            assert error <= allowed, f"-O{level}, single deck {single}: {error:.1e}"


@pytest.mark.parametrize("family", ["ideal", "switch", "diode"])
@pytest.mark.parametrize("slope", [1e-5, 1e-12, 1e-310])
def test_a_law_whose_threshold_is_far_away(slope, family):
    """Trained slopes come close to 0: then c/a is a voltage that no node ever sees.

    As a conductance and a current source behind an open switch such an edge leaks |c/a|/Roff.
    """
    src, dst = FullyConnected(4).edges()
    rng = np.random.default_rng(1)
    a, c = rng.normal(0.0, slope, len(src)), rng.normal(0.0, 0.5, len(src))
    w = rng.normal(0.0, 1.0, len(src))
    batch = BatchRecord("canonical_relu", src, dst, np.stack([w, a, -a, c]))
    model = Checkpoint((PhaseRecord(3, 1.0, (batch,)),), 3, np.array([1, 2, 3])).model()
    inputs = [[0.3, -0.5, 0.2]]
    truth = solve(model.graph, np.array(inputs), 1e-7).outputs
    found = kcompile.simulate(
        model, inputs, device=family, opt_level=0, ngspice=real_ngspice().path
    )
    assert np.abs(found.outputs - truth).max() <= 1e-5


@pytest.mark.parametrize("law", ["relu_diff", "shift_relu", "relu_affine"])
def test_weights_have_both_signs_and_both_directions(law):
    """The networks above are worth their name: every circuit form of Fig. 5 occurs."""
    batch = network(law).graph.phases[1].batches[0]
    assert {-1.0, 1.0} >= set(np.sign(batch.column("w") * batch.column("a")).tolist())
    compiled = kcompile.compile(network(law), device="switch", opt_level=0)
    templates = {table.template for layer in compiled.circuit.layers for table in layer.tables}
    expected = {"relu_affine.j2"} if law == "relu_affine" else {
        "relu_conductance.j2", "relu_diff.j2"
    }  # fmt: skip
    assert templates == expected
