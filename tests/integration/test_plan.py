"""What a plan says of a scale, and what ngspice does there."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model

import kcompile
from kcompile.physics import Limits
from kcompile.simulation import Ngspice

INPUTS = np.array([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]])


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_ngspice_does_what_the_plan_says(ngspice: Ngspice, phi):
    model = make_model(nodes=(3, 5), phi=phi)
    limits = Limits(swing=0.3, i_max=3e-6)
    plan = kcompile.plan(model, inputs=INPUTS, limits=limits, draws=8)
    assert plan.within_limits, plan.verdict
    report = kcompile.verify(model, inputs=INPUTS, scale=plan.scale, ngspice=ngspice.path)
    assert report.passed, report.reason
    assert report.summary.inference_time_s == pytest.approx(plan.figures["inference_time_s"])
    figures, energy = plan.figures, report.energy
    peak = max(-figures["voltage_lowest_v"], figures["voltage_highest_v"])
    assert energy["spice_voltage_peak_v"] == pytest.approx(peak, rel=5e-3)
    assert energy["spice_voltage_peak_v"] == pytest.approx(limits.swing, rel=0.02)
    assert energy["spice_current_peak_a"] == pytest.approx(figures["edge_current_peak_a"], rel=5e-3)
    for name in ("dissipated_j", "supplied_j", "supply_estimate_j"):
        assert energy[f"spice_{name}"] == pytest.approx(figures["energy"][name], rel=5e-3), name
