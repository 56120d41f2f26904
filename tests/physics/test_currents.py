"""Peaks, charges and energies of edges, against formulas, brute force and the balance of energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given, settings
from hypothesis import strategies as st

from kcompile.ir import EdgeBatch, Graph, Phase, edge_currents, validate
from kcompile.physics import (
    CurrentMeter,
    figures_of_waves,
    sample_figures,
    simpson,
    statistics,
    trapezoidal,
)
from kcompile.physics.sample import ACCURACY, written_charge, written_nodes
from kcompile.reference import solve

INPUT = np.array([[0.5, -0.25]])


def resistor(conductance=2.0, capacitance=0.5, duration=1.5):
    """One node that discharges through a linear edge to ground."""
    edge = EdgeBatch("identity", [1], [0], [conductance], 1.0, -1.0, 0.0)
    return validate(Graph((Phase(1, duration, (edge,)),), 1, [1], [capacitance]))


def figures(graph, start, tolerance=1e-6):
    reference = solve(graph, np.atleast_2d(start), tolerance)
    return sample_figures(CurrentMeter(graph), reference.trajectory(0))


def test_a_discharging_capacitor():
    conductance, capacitance, duration, v0 = 2.0, 0.5, 1.5, 3.0
    found, (sums,) = figures(resistor(conductance, capacitance, duration), [v0])
    left = np.exp(-2 * conductance * duration / capacitance)
    stored = capacitance * v0**2 / 2
    assert found.dissipated == pytest.approx(stored * (1 - left), rel=1e-3)
    assert found.supplied == pytest.approx(0.0, abs=1e-9)
    assert found.stored_change == pytest.approx(-stored * (1 - left), rel=1e-6)
    assert found.charge == pytest.approx(capacitance * v0 * (1 - left**0.5), rel=1e-3)
    assert found.current_peak == pytest.approx(conductance * v0, rel=1e-9)
    assert (found.lowest, found.highest) == (0.0, pytest.approx(v0))  # ground counts
    (phase,) = found.phases
    assert phase.slew == pytest.approx(conductance * v0 / capacitance)
    square = v0**2 * capacitance / (2 * conductance) * (1 - left)
    assert phase.voltage_square == pytest.approx(square, rel=1e-3)
    assert sums.square == pytest.approx(conductance**2 * square, rel=1e-3)
    assert found.written_charge == pytest.approx(capacitance * v0)


def test_a_current_source_needs_a_supply():
    edge = EdgeBatch("tanh", [0], [1], [2.0], 0.0, 0.0, 30.0)  # saturated: 2 out of ground
    graph = validate(Graph((Phase(1, 3.0, (edge,)),), 1, [1]))
    found, _ = figures(graph, [0.0])
    assert found.supplied == pytest.approx(2.0 * 2.0 * 3.0**2 / 2)  # integral of i * (i t)
    assert found.dissipated == 0.0
    assert found.stored_change == pytest.approx(6.0**2 / 2)


def test_edges_are_told_one_by_one_in_pieces(monkeypatch):
    model = make_model(nodes=(5, 6), phi="leaky_relu")
    reference = solve(model.graph, model.initial_voltages(INPUT), 1e-6)
    instants = simpson(reference.trajectory(0), 1, 40)
    whole, sums = CurrentMeter(model.graph).measure(1, instants)
    monkeypatch.setattr("kcompile.physics.currents._EDGES", 7)
    monkeypatch.setattr("kcompile.physics.currents._TIMES", 11)
    pieces, parts = CurrentMeter(model.graph).measure(1, instants)
    assert pieces.dissipated == pytest.approx(whole.dissipated, rel=1e-12)
    assert pieces.total_peak == pytest.approx(whole.total_peak, rel=1e-12)
    np.testing.assert_array_equal(parts.peak, sums.peak)
    (batch,) = model.graph.phases[1].batches
    grounded = np.pad(instants.states, ((0, 0), (1, 0)))
    current, _ = edge_currents(batch, grounded)
    np.testing.assert_allclose(parts.peak, np.abs(current).max(axis=0), rtol=1e-12)
    np.testing.assert_allclose(parts.charge, instants.weights @ np.abs(current), rtol=1e-12)
    np.testing.assert_allclose(parts.square, instants.weights @ current**2, rtol=1e-12)


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["relu", "tanh", "leaky_relu", "identity"]),
    st.integers(1, 5),
)
def test_energy_is_conserved(seed, phi, nodes):
    random = np.random.default_rng(seed)
    src, dst = random.integers(0, nodes + 1, (2, 12))  # self-loops, edges from and to ground
    w, a, b, c = random.normal(size=(4, 12))
    graph = validate(
        Graph(
            (Phase(nodes, 0.7, (EdgeBatch(phi, src, dst, w, a, b, c),)),), nodes, [1],
            random.uniform(0.5, 2.0, nodes),
        )
    )  # fmt: skip
    found, _ = figures(graph, random.normal(size=nodes))
    flows = found.supplied + found.dissipated
    balance = found.supplied - found.dissipated - found.stored_change
    assert abs(balance) <= ACCURACY * flows
    assert found.supplied >= 0
    assert found.dissipated >= 0
    assert found.error < ACCURACY


def test_wrong_voltages_do_not_balance():
    model = make_model(nodes=(4,))
    reference = solve(model.graph, model.initial_voltages(INPUT), 1e-6)
    instants = simpson(reference.trajectory(0), 0, 60)
    meter = CurrentMeter(model.graph)
    assert meter.measure(0, instants)[0].imbalance < 1e-6
    bent = replace(instants, states=instants.states * np.linspace(1.0, 1.3, 121)[:, None])
    assert meter.measure(0, bent)[0].imbalance > 0.01


def test_panels_are_refined_until_certain():
    # Ten time constants: what happens, happens in the first tenth.
    found, _ = figures(resistor(conductance=10.0, capacitance=0.1, duration=1.0), [1.0])
    assert found.error < ACCURACY
    assert found.dissipated == pytest.approx(0.05, rel=ACCURACY)


def test_waveforms_give_the_same():
    model = make_model(nodes=(3, 4), phi="tanh")
    reference = solve(model.graph, model.initial_voltages(INPUT), 1e-6)
    meter = CurrentMeter(model.graph)
    expected, _ = sample_figures(meter, reference.trajectory(0))
    instants = []
    for index, phase in enumerate(model.graph.phases):
        times = np.linspace(0.0, phase.duration, 300) ** 1.5 / phase.duration**0.5
        instants.append(trapezoidal(times, reference.at(0, index, times)))
    found = figures_of_waves(meter, instants)
    for name in ("dissipated", "supplied", "stored_change", "charge", "current_peak", "highest"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=5e-3), name
    assert found.written_charge == pytest.approx(expected.written_charge)


def test_written_nodes():
    grown = make_model(nodes=(3, 5, 4)).graph
    assert [written_nodes(grown, k).tolist() for k in range(3)] == [[0, 1, 2], [3, 4], []]
    residual = make_model(nodes=(3, 3, 3, 3), residual=0).graph
    assert [len(written_nodes(residual, k)) for k in range(4)] == [3, 0, 0, 0]
    added = residual.with_phases(
        replace(phase, residual=0 if k == 1 else None) for k, phase in enumerate(residual.phases)
    )
    assert [len(written_nodes(added, k)) for k in range(4)] == [3, 0, 3, 0]
    starts = [np.array([1.0, -2.0, 0.0]), np.full(5, -3.0), np.zeros(4)]
    assert written_charge(grown, starts) == pytest.approx(3.0 + 6.0)


def test_statistics_of_samples():
    model = make_model(nodes=(3, 5))
    inputs = np.array([[0.5, -0.25], [1.5, 0.75], [-0.5, 0.125]])
    reference = solve(model.graph, model.initial_voltages(inputs), 1e-6)
    each = [statistics(model.graph, [reference.trajectory(k)]) for k in range(3)]
    seen = []
    both = statistics(model.graph, map(reference.trajectory, range(3)), seen.append)
    assert seen == [1, 2, 3]
    for name in ("highest", "voltage_peak", "current_peak", "total_peak", "slew", "error"):
        assert getattr(both, name) == max(getattr(one, name) for one in each), name
    assert both.lowest == min(one.lowest for one in each)
    for name in ("voltage_rms", "current_rms", "total_rms"):
        square = np.mean([getattr(one, name) ** 2 for one in each])
        assert getattr(both, name) == pytest.approx(square**0.5), name
    assert both.total_mean == pytest.approx(np.mean([one.total_mean for one in each]))
    for phase in (0, 1):
        peaks = [one.edges[phase].peak for one in each]
        np.testing.assert_array_equal(both.edges[phase].peak, np.max(peaks, axis=0))
        charges = [one.edges[phase].charge for one in each]
        np.testing.assert_allclose(both.edges[phase].charge, np.mean(charges, axis=0))
    assert both.total_mean * both.duration == pytest.approx(
        sum(edges.charge.sum() for edges in both.edges)
    )
