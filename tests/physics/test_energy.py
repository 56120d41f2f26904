"""The energy of an inference in joules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from circuits import make_model

from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.physics import CurrentMeter, energy_estimate, sample_figures
from kcompile.physics.energy import FORMULA
from kcompile.reference import solve
from kcompile.units import Scale

SCALE = Scale(0.2, 3e-6, 4e-13)


def figures(graph, start):
    reference = solve(graph, np.atleast_2d(start), 1e-6)
    meter = CurrentMeter(graph)
    return [
        sample_figures(meter, reference.trajectory(k))[0] for k in range(len(reference.finals[0]))
    ]


def test_a_resistor_turns_half_c_v_squared_into_heat():
    edge = EdgeBatch("identity", [1], [0], [1.0], 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(1, 20.0, (edge,)),), 1, [1], [2.0]))
    found = energy_estimate(figures(graph, [1.5]), 20.0, SCALE)
    farads, volts = 2.0 * SCALE.c0, 1.5 * SCALE.v0
    assert found["dissipated_j"] == pytest.approx(farads * volts**2 / 2, rel=5e-3)
    assert found["stored_change_j"] == pytest.approx(-farads * volts**2 / 2, rel=5e-3)
    # Once to charge the capacitor and once through the edge, each across the whole range.
    assert found["supply_span_v"] == pytest.approx(volts)
    assert found["supply_estimate_j"] == pytest.approx(2 * farads * volts**2, rel=5e-3)
    seconds = 20.0 * SCALE.time_unit
    assert found["mean_power_w"] == pytest.approx(found["supply_estimate_j"] / seconds)
    assert found["supply_with_tails_j"] == found["supply_estimate_j"]


def test_tails_flow_all_the_time():
    edge = EdgeBatch("tanh", [1], [0], [-4.0], 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(1, 0.5, (edge,)),), 1, [1]))
    (found,) = figures(graph, [0.01])
    assert found.drawn == pytest.approx(4.0 * 0.5)
    assert found.charge < 0.5 * found.drawn


def test_energies_add_up_and_scale():
    model = make_model(nodes=(3, 5))
    start = model.initial_voltages(np.array([[0.5, -0.25], [1.0, 0.75]]))
    samples, duration = figures(model.graph, start), model.graph.duration
    both = energy_estimate(samples, duration, SCALE)
    assert both["estimate"] is True
    assert both["samples"] == 2
    balance = both["supplied_j"] - both["dissipated_j"] - both["stored_change_j"]
    assert abs(balance) < 5e-3 * (both["supplied_j"] + both["dissipated_j"])
    span = both["supply_span_v"] / SCALE.v0
    each = [energy_estimate([sample], duration, SCALE, span) for sample in samples]
    for key in ("dissipated_j", "supplied_j", "supply_estimate_j", "mean_power_w"):
        assert both[key] == pytest.approx(np.mean([one[key] for one in each])), key
    # Energy goes with c0 v0^2; power with v0 i0.
    other = Scale(2 * SCALE.v0, 5 * SCALE.i0, 3 * SCALE.c0)
    bigger = energy_estimate(samples, duration, other)
    assert bigger["dissipated_j"] == pytest.approx(12 * both["dissipated_j"])
    assert bigger["mean_power_w"] == pytest.approx(10 * both["mean_power_w"])


def test_keys_end_in_their_unit():
    model = make_model(nodes=(2,))
    found = energy_estimate(figures(model.graph, [0.1, 0.2]), model.graph.duration, SCALE)
    plain = {"estimate", "formula", "samples", "relative_error"}
    for key in found.keys() - plain:
        assert key.rpartition("_")[2] in {"j", "w", "v"}, key


def test_the_formulas_are_where_it_says():
    page, _, anchor = FORMULA.partition("#")
    text = (Path(__file__).parents[2] / page).read_text()
    assert f"## {anchor.capitalize()}\n" in text
