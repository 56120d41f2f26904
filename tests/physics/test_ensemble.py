"""Noise through networks, against covariances by the linearised equations and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model
from covariances import read_out_covariance

from kcompile import kernels
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.physics import ELEMENTARY_CHARGE, NodeNoise, NoiseModel, kt_over_c, noise_figures
from kcompile.physics.flow import Flow
from kcompile.reference import solve
from kcompile.units import Scale

SCALE = Scale(0.1, 1e-5, 1e-12)
INPUT = np.array([[0.5, -0.25]])
DRAWS = 4000
# Four standard errors of a variance told from so many draws.
CLOSE = 4 * (2 / DRAWS) ** 0.5


def deviations(graph, start, model=NoiseModel(), scale=SCALE, draws=DRAWS, seed=0):  # noqa: B008
    reference = solve(graph, np.atleast_2d(start), 1e-6)
    paths = map(reference.trajectory, range(reference.samples))
    return reference, noise_figures(graph, paths, model, scale, draws, seed)


@pytest.mark.parametrize("phi", ["relu", "tanh", "leaky_relu", "identity"])
def test_ensemble_and_linearised_equations_agree(phi):
    network = make_model(nodes=(3, 4), phi=phi)
    start = network.initial_voltages(INPUT)
    reference, found = deviations(network.graph, start)
    expected = read_out_covariance(network.graph, reference.trajectory(0), NoiseModel(), SCALE)
    measured = np.cov(found.both[0].T)
    np.testing.assert_allclose(np.diag(measured), np.diag(expected), rtol=CLOSE)
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(measured / spread, expected / spread, atol=CLOSE)
    alone = found.sampled_rms**2 + found.current_rms**2
    assert found.both_rms**2 == pytest.approx(alone, rel=2 * CLOSE)
    assert found.step_error < 1e-3


def test_a_given_density_agrees_too():
    network = make_model(nodes=(4,), phi="relu")
    model = NoiseModel(celsius=-40.0, density=1e-12)
    reference, found = deviations(network.graph, network.initial_voltages(INPUT), model)
    expected = read_out_covariance(network.graph, reference.trajectory(0), model, SCALE)
    np.testing.assert_allclose(found.both[0].var(axis=0), np.diag(expected), rtol=CLOSE)


def test_no_edges_keep_what_was_sampled():
    graph = validate(Graph((Phase(2, 1.0, ()),), 2, [1, 2], [1.0, 4.0]))
    _, found = deviations(graph, [0.3, 0.4])
    expected = kt_over_c(SCALE.c0 * np.array([1.0, 4.0]), NoiseModel().kelvin) / SCALE.v0
    np.testing.assert_allclose(found.sampled[0].std(axis=0), expected, rtol=CLOSE)
    assert found.current_rms == 0.0


def test_a_resistor_thermalises_its_capacitor():
    # After many time constants the sampled voltage is forgotten and kT/C is there again.
    edge = EdgeBatch("identity", [1], [0], [5.0], 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(1, 2.0, (edge,)),), 1, [1]))
    _, found = deviations(graph, [1.0])
    thermal = kt_over_c(SCALE.c0, NoiseModel().kelvin) / SCALE.v0
    assert found.sampled_rms < 1e-3 * thermal
    assert found.current_rms == pytest.approx(thermal, rel=CLOSE)


def test_a_tail_current_has_shot_noise():
    # A balanced pair drives nothing, and its tail's electrons are counted all the same.
    edge = EdgeBatch("tanh", [0], [1], [-3.0], 0.0, 0.0, 0.0)
    graph = validate(Graph((Phase(1, 0.5, (edge,)),), 1, [1]))
    _, found = deviations(graph, [0.0])
    moved = 3.0 * 0.5 * SCALE.c0 * SCALE.v0 / ELEMENTARY_CHARGE
    electrons = found.current_rms * SCALE.c0 * SCALE.v0 / ELEMENTARY_CHARGE
    assert electrons == pytest.approx(moved**0.5, rel=CLOSE)


def test_covariance_counts_every_edge_once():
    edges = EdgeBatch("tanh", [1, 2, 2, 0], [2, 1, 2, 1], [1.0, -2.0, 9.0, 4.0], 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(2, 1.0, (edges,)),), 2, [1], [1.0, 2.0]))
    found = NodeNoise(graph, 0, NoiseModel(), SCALE)
    unit = ELEMENTARY_CHARGE / (SCALE.c0 * SCALE.v0)
    expected = unit * np.array([[3.0 + 4.0, -3.0 / 2], [-3.0 / 2, 3.0 / 4]])  # no self-loop
    np.testing.assert_allclose(found.covariance(np.zeros(2)), expected)
    factor = found.factor(np.zeros(2))
    np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-9)
    assert found.factor(np.ones(2)) is factor  # tails do not care about voltages


def test_relu_noise_follows_the_current():
    edge = EdgeBatch("relu", [1], [0], [1.0], 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(1, 1.0, (edge,)),), 1, [1]))
    noise = NodeNoise(graph, 0, NoiseModel(), SCALE)
    unit = ELEMENTARY_CHARGE / (SCALE.c0 * SCALE.v0)
    assert noise.covariance(np.array([2.0])) == pytest.approx(2.0 * unit)
    assert noise.covariance(np.array([-2.0])) == 0.0
    assert (noise.factor(np.array([-2.0])) == 0.0).all()


def test_charge_between_nodes_can_have_no_noise_in_sum():
    edges = EdgeBatch("tanh", [1, 2], [2, 3], [1.0, 1.0], 1.0, -1.0, 0.0)  # nothing to ground
    graph = validate(Graph((Phase(3, 1.0, (edges,)),), 3, [1, 2, 3]))
    _, found = deviations(graph, [0.1, 0.2, 0.3], draws=200)
    total = found.current[0].sum(axis=1)
    assert np.abs(total).max() < 1e-4 * found.current_rms


def test_draws_are_seeded_sample_by_sample():
    network = make_model(nodes=(3,))
    start = network.initial_voltages(np.array([[0.5, -0.25], [1.0, 0.75]]))
    _, both = deviations(network.graph, start, draws=3)
    _, first = deviations(network.graph, start[:1], draws=3)
    _, other = deviations(network.graph, start, draws=3, seed=1)
    np.testing.assert_array_equal(both.both[:1], first.both)
    assert not np.array_equal(both.both, other.both)
    assert (both.worst_snr or 0.0) <= (both.snr or 0.0)


def test_flow_without_the_compiled_kernel_is_the_same(monkeypatch):
    graph = make_model(nodes=(4,), phi="tanh").graph
    states = np.random.default_rng(3).normal(size=(4, 5))
    compiled = states.copy()
    Flow(graph, 0).advance(compiled, 0.4, 3)
    monkeypatch.setattr(kernels, "chosen", lambda: None)
    plain = states.copy()
    Flow(graph, 0).advance(plain, 0.4, 3)
    np.testing.assert_allclose(plain, compiled, rtol=1e-12)
    assert not np.array_equal(plain, states)
