"""The scaling advisor: limits, what it recommends, and what it says of a given scale."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given
from hypothesis import strategies as st

import kcompile
from kcompile.errors import UsageError
from kcompile.frontend.model import Samples
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.physics import Limits, NoiseModel, make_plan
from kcompile.physics.limits import rounded
from kcompile.physics.plan import planned_samples
from kcompile.physics.summary import plan_rows
from kcompile.units import Scale

INPUTS = np.array([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125], [0.2, 0.9]])


def plan(model=None, **options):
    return make_plan(model or make_model(nodes=(3, 5)), INPUTS, draws=4, **options)


def values(found):
    return {check.name: check.value or 0.0 for check in found.checks}


def test_it_goes_to_the_limits():
    limits = Limits(swing=0.3, i_max=2e-6, snr=-100.0)
    found = plan(limits=limits)
    assert found.recommended
    assert found.within_limits
    seen = values(found)
    assert 0.99 * 0.3 < seen["voltage"] <= 0.3
    assert 0.99 * 2e-6 < seen["current"] <= 2e-6
    assert found.limited_by[:2] == ("voltage", "current")
    bounds = {"capacitance": limits.c_min, "switching": 1e-9, "sampling": 1e-9}
    limiting = found.limited_by[-1]
    assert bounds[limiting] <= seen[limiting] < 1.02 * bounds[limiting]
    assert all(seen[name] >= bound for name, bound in bounds.items())


@pytest.mark.parametrize(
    ("limits", "limiting", "option"),
    [
        (Limits(c_min=1e-9, snr=-100.0), "capacitance", "--c-min"),
        (Limits(t_switch=1e-3, snr=-100.0), "switching", "--t-switch"),
        (Limits(t_sample=1e-3, snr=-100.0), "sampling", "--t-sample"),
        (Limits(snr=60.0), "noise", "--snr"),
    ],
)
def test_each_limit_can_set_the_capacitances(limits, limiting, option):
    found = plan(limits=limits)
    assert found.within_limits
    assert found.limited_by == ("voltage", "current", limiting)
    assert option in found.verdict
    assert found.verdict.startswith("within all limits")


def test_noise_is_met_without_waste():
    found = plan(limits=Limits(snr=55.0))
    assert found.noise.snr is not None
    assert 55.0 <= found.noise.snr < 57.0


def test_a_given_scale_is_judged():
    found = plan(scale=Scale.from_time_unit(1e-15))
    assert not found.recommended
    assert not found.within_limits
    assert set(found.limited_by) >= {"voltage", "current", "capacitance", "switching", "sampling"}
    assert found.verdict.startswith("beyond the limits: largest voltage")
    assert found.figures == found.paper  # the paper's own scale
    kind = plan(scale=plan(limits=Limits(snr=-100.0)).scale, limits=Limits(snr=-100.0))
    assert kind.within_limits
    assert kind.limited_by == ()


def test_figures_belong_together():
    found = plan()
    figures, scale = found.figures, found.scale
    assert figures["time_unit_s"] == pytest.approx(scale.c0 * scale.v0 / scale.i0)
    assert figures["inference_time_s"] == pytest.approx(sum(figures["layer_times_s"]))
    charge = figures["total_current_mean_a"] * figures["inference_time_s"]
    span = figures["voltage_highest_v"] - figures["voltage_lowest_v"]
    energy = figures["energy"]
    assert energy["supply_span_v"] == pytest.approx(span)
    assert energy["supply_estimate_j"] > charge * span  # and the inputs' charge
    # I = C dv/dt: no node can move faster than all edges together move it.
    slew = figures["slew_peak_v_per_s"] * figures["smallest_capacitor_f"]
    assert slew <= figures["total_current_peak_a"]
    assert figures["edge_current_rms_a"] < figures["edge_current_peak_a"]
    paper = found.paper
    ratio = paper["energy"]["dissipated_j"] / energy["dissipated_j"]
    assert ratio == pytest.approx(1e-15 / (scale.c0 * scale.v0**2))


def test_without_noise_there_is_no_ratio():
    edge = EdgeBatch("relu", [0], [1], [1.0], 1.0, -1.0, 1.0)
    graph = validate(Graph((Phase(1, 1.0, (edge,)),), 1, [1]))
    model = kcompile.Model(graph, "relu_diff")
    cold = NoiseModel(celsius=-273.14999, density=0.0)
    found = make_plan(model, np.zeros((1, 1)), noise_model=cold, draws=2)
    assert found.noise.current_rms == 0.0
    assert found.noise_figures["current_noise_rms_v"] == 0.0
    assert found.noise.snr is not None  # sampling is never quite silent


def test_a_silent_network():
    graph = validate(Graph((Phase(1, 1.0, ()),), 1, [1]))
    found = make_plan(kcompile.Model(graph, "relu_diff"), np.zeros((2, 1)), draws=2)
    assert found.scale.v0 == 0.5
    assert found.noise.snr == -math.inf
    assert not found.within_limits
    assert found.limited_by == ("noise",)
    assert found.verdict.endswith("signal to noise: no signal, at least 40.0 dB (--snr)")
    assert "all voltages and currents are 0" in found.notes[-1]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (told["noise"]["snr_db"], told["noise"]["no_ratio"]) == (None, "no signal")
    last = told["checks"][-1]
    assert (last["value"], last["word"], last["kept"]) == (None, "no signal", False)
    assert "no signal" in dict(row[:2] for row in plan_rows(found)).values()


def test_no_capacitance_is_bought_for_a_network_without_signal():
    # Nodes 1 and 2 hold the inputs, the read-out is node 3, which nothing moves from 0.
    graph = validate(Graph((Phase(3, 1.0, ()),), 2, [3]))
    model = kcompile.Model(graph, "relu_diff")
    lenient, strict = (
        make_plan(model, INPUTS, limits=Limits(snr=snr), draws=2) for snr in (-100.0, 100.0)
    )
    assert lenient.scale == strict.scale
    assert not lenient.within_limits
    assert not strict.within_limits
    assert strict.notes[-1].startswith("all currents are 0: ")


def test_only_a_plan_of_nothing_has_a_note():
    assert plan().notes == ()


def test_the_task_metric_with_noise():
    model = make_model(nodes=(3, 5), task="friedman")
    targets = np.array([[0.1, 0.2], [0.3, 0.1], [0.0, 0.4], [0.2, 0.2]])
    loud = make_plan(
        model, INPUTS, targets, scale=Scale(1e-3, 1e-6, 1e-14), draws=40,
        noise_model=NoiseModel(density=1e-11),
    )  # fmt: skip
    quality = loud.quality
    assert quality is not None
    assert quality.metric == "mse"
    expected = np.mean((loud.noise.signal - targets) ** 2)
    assert quality.without_noise == pytest.approx(expected)
    # Noise of mean 0 adds its mean square to a squared error.
    assert quality.change == pytest.approx(np.mean(loud.noise.both**2), rel=0.3)
    assert quality.change_interval is not None
    low, high = quality.change_interval
    assert low < quality.change < high
    assert quality.with_noise == pytest.approx(quality.without_noise + quality.change)
    assert make_plan(model, INPUTS, scale=loud.scale, draws=2).quality is None  # no targets


def test_everything_is_json():
    found = plan(limits=Limits(snr=300.0), scale=Scale(1e-9, 1e-9, 1e-20))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["verdict"] == found.verdict
    assert told["checks"][0]["kept"] is True
    assert told["options"] == "--v0 1e-09 --i0 1e-09 --c0 1e-20"


def test_the_public_function(tmp_path):
    model = make_model(nodes=(3,), samples=Samples(INPUTS, np.zeros((4, 2))))
    stages = []
    found = kcompile.plan(model, draws=2, on_progress=lambda *told: stages.append(told))
    assert found.samples == 4
    assert {stage for stage, _, _ in stages} == {"solutions", "currents", "noise"}
    assert kcompile.plan(model, samples=2, draws=2).samples == 2
    assert kcompile.plan(model, inputs=INPUTS[0], draws=2, scale=1e-9).scale.time_unit == 1e-9
    assert planned_samples(model) == (4, 64)


@pytest.mark.parametrize("name", ["swing", "i_max", "c_min", "t_sample", "t_switch"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_limits_out_of_range(name, value):
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        Limits(**{name: value})


@given(st.floats(1e-30, 1e30))
def test_rounding_keeps_to_its_side(value):
    down, up = rounded(value, math.floor), rounded(value, math.ceil)
    assert down <= value * (1 + 1e-9)
    assert up >= value * (1 - 1e-9)
    assert up <= down * 1.0101
    assert float(f"{down:.3g}") == down
