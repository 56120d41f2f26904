"""Errors at the read-outs and of waveforms, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kcompile.compiler import LayerPlan
from kcompile.errors import SimulationFailed
from kcompile.reference import solve
from kcompile.simulation import Waveforms
from kcompile.verification import output_errors, phase_waves

FINITE = st.floats(-1e6, 1e6)


def test_errors_by_hand():
    reference = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    spice = np.array([[1.0, 2.5], [np.nan, np.nan], [8.0, 2.0]])
    errors = output_errors(spice, reference)
    np.testing.assert_allclose(errors.max_abs, [0.5, np.nan, 4.0])
    np.testing.assert_allclose(errors.rms, [0.5 / np.sqrt(2), np.nan, 5 / np.sqrt(2)])
    assert errors.worst == (2, 1)
    assert errors.overall_max == 4.0
    assert errors.overall_rms == pytest.approx(np.sqrt((0.25 + 25.0) / 4))


def test_a_sample_with_one_missing_read_out_has_no_result():
    errors = output_errors(np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]))
    assert np.isnan(errors.max_abs).all()
    assert errors.worst is None
    assert errors.overall_max is None
    assert errors.overall_rms is None


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=FINITE), st.data())
def test_errors_have_the_order_that_norms_have(reference, data):
    spice = data.draw(hnp.arrays(np.float64, reference.shape, elements=FINITE))
    errors = output_errors(spice, reference)
    # The root of a mean of squares can exceed the largest by rounding, and lose tiny numbers.
    # Squares of tiny numbers underflow.
    assert (errors.rms <= errors.max_abs * (1 + 1e-12) + 1e-150).all()
    assert errors.worst is not None
    sample, output = errors.worst
    assert abs(spice - reference)[sample, output] == errors.overall_max == errors.max_abs.max()


def waves(time, *columns) -> Waveforms:
    names = tuple(f"n{k + 1}" for k in range(len(columns)))
    return Waveforms(names, np.asarray(time), np.stack(columns, axis=1))


@pytest.fixture
def trajectory():
    model = make_model()
    return solve(model.graph, model.initial_voltages(np.array([[0.4, -0.2]])), 1e-6).trajectory(0)


def test_waveforms_are_scaled_and_laid_end_to_end(trajectory):
    tau, v0 = 1e-9, 0.25
    plans = (
        LayerPlan(0, "layer1.raw", 0.0, 0.6 * tau, 0.6, tau),
        LayerPlan(1, "layer2.raw", 0.0, 0.8 * tau, 0.8, tau),
    )
    software = [np.array([0.0, 0.1, 0.6]), np.array([0.0, 0.5, 0.8])]
    files = {}
    for phase, times in enumerate(software):
        volts = trajectory.at(phase, times) * v0
        volts[1, 2] += 0.01 * v0
        files[f"layer{phase + 1}.raw"] = waves(times * tau, *volts.T)
    first, second = phase_waves(files, plans, (3, 3), v0, trajectory)
    np.testing.assert_allclose(first.times, software[0])
    np.testing.assert_allclose(second.seconds, (software[1] + 0.6) * tau)
    np.testing.assert_allclose(first.error, [0.0, 0.01, 0.0], atol=1e-12)
    np.testing.assert_allclose(second.error, [0.0, 0.01, 0.0], atol=1e-12)


def test_layers_in_one_file_are_cut_out_of_it(trajectory):
    plans = (
        LayerPlan(0, "run.raw", 0.0, 0.6, 0.6, 1.0),
        LayerPlan(1, "run.raw", 0.7, 1.5, 0.8, 1.0),
    )
    time = np.array([0.0, 0.3, 0.6, 0.65, 0.7, 1.1, 1.5])
    volts = np.concatenate(
        [
            trajectory.at(0, np.array([0.0, 0.3, 0.6])),
            np.full((1, 3), 99.0),
            trajectory.at(1, np.array([0.0, 0.4, 0.8])),
        ]
    )
    found = phase_waves({"run.raw": waves(time, *volts.T)}, plans, (3, 3), 1.0, trajectory)
    assert [len(part.times) for part in found] == [3, 3]
    for part in found:
        np.testing.assert_allclose(part.error, 0.0, atol=1e-12)
    np.testing.assert_allclose(found[1].seconds, [0.7, 1.1, 1.5])


def test_a_node_that_was_not_saved(trajectory):
    plans = (LayerPlan(0, "layer1.raw", 0.0, 0.6, 0.6, 1.0),)
    files = {"layer1.raw": waves([0.0, 0.6], [0.0, 0.0])}
    with pytest.raises(SimulationFailed, match="no voltage of node n2"):
        phase_waves(files, plans, (3,), 1.0, trajectory)
