"""From a network to a verdict with the real ngspice, and the ways in which that must fail."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model
from reports import evidence

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import MissingExtra, SimulationFailed, SimulatorNotFound
from kcompile.frontend.model import Samples, TrainingSolver
from kcompile.frontend.software import Linear, Software
from kcompile.ir import Fill
from kcompile.simulation import Ngspice, find_pyspice
from kcompile.units import Scale
from kcompile.verification import load_report, simulate_compiled, verify_model

INPUTS = np.array([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]])
IDEAL = CompileOptions(device="ideal")


@pytest.fixture(scope="module")
def passed(ngspice):
    return verify_model(make_model(), IDEAL, inputs=INPUTS, ngspice=ngspice.path, command="x y")


def test_a_faithful_circuit_passes(passed, ngspice):
    assert (passed.verdict, passed.reason, passed.exit_status) == ("pass", None, 0)
    assert [sample.status for sample in passed.samples] == ["ok"] * 3
    summary = passed.summary
    assert (summary.samples, summary.failed, summary.tolerance) == (3, 0, 1e-3)
    assert summary.max_abs_error is not None
    assert 0 < summary.max_abs_error < 1e-3
    assert summary.max_abs_error == max(sample.max_abs_error for sample in passed.samples)
    assert summary.max_wave_error >= summary.max_abs_error
    assert summary.inference_time_s == pytest.approx(1.4e-15, rel=1e-9)
    assert passed.simulator.name == "ngspice"
    assert passed.simulator.version == str(ngspice.version)
    assert passed.simulator.time_points > 3 * 2 * 200
    assert passed.simulator.iterations > passed.simulator.time_points
    assert passed.compile.elements["C"] == 6
    assert passed.compile.deck_bytes > 1000
    assert passed.provenance.command == "x y"
    assert passed.reference.convergence_error is not None
    assert 0 <= passed.reference.convergence_error < 1e-4


def test_the_energy_of_solutions_and_of_waveforms_agree(passed):
    energy = passed.energy
    assert energy["estimate"] is True
    assert energy["samples"] == energy["spice_samples"] == 3
    names = ("dissipated_j", "supplied_j", "supply_estimate_j", "voltage_peak_v", "current_peak_a")
    for name in names:
        assert energy[name] > 0
        assert energy[f"spice_{name}"] == pytest.approx(energy[name], rel=5e-3), name
    assert energy["spice_difference"] < 5e-3
    balance = energy["supplied_j"] - energy["dissipated_j"] - energy["stored_change_j"]
    assert abs(balance) < 5e-3 * (energy["supplied_j"] + energy["dissipated_j"])
    power = energy["supply_estimate_j"] / passed.summary.inference_time_s
    assert energy["mean_power_w"] == pytest.approx(power)
    assert ("energy of an inference, estimate" in dict(passed.table())) is True


def test_the_evidence_supports_the_numbers(passed):
    found = evidence(passed)
    np.testing.assert_array_equal(found.inputs, INPUTS)
    error = np.abs(found.spice - found.reference).max()
    assert error == passed.summary.max_abs_error
    assert np.abs(found.reference).max() == passed.summary.peak
    assert found.nodes == (2, 3)
    assert found.sample == 0
    last = found.waves[-1]
    np.testing.assert_allclose(last.spice[-1, [1, 2]], found.spice[0])
    np.testing.assert_allclose(last.reference[-1, [1, 2]], found.reference[0], atol=1e-6)


def test_it_can_be_written_and_read(passed, tmp_path):
    paths = passed.write(tmp_path)
    assert len(paths) == 5
    assert load_report(tmp_path) == passed


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": (3, 5), "fill": Fill.REPEAT},
        {"nodes": (2, 4, 2)},
        {"nodes": (3, 3, 3), "residual": 0},
        {"nodes": (4, 4), "residual": 0, "fill": Fill.REPEAT},
        {"nodes": (3,), "phi": "tanh"},
    ],
    ids=["repeat", "grow-and-drop", "residual", "residual-of-the-first", "tanh"],
)
def test_every_hand_over_passes(ngspice, changes):
    report = verify_model(make_model(**changes), IDEAL, inputs=INPUTS[:1], ngspice=ngspice.path)
    assert report.passed, report.reason
    # Also where nobody judges, every node follows the ODE.
    assert float(report.summary.max_wave_error or 1.0) < 1e-2


def test_a_single_deck_passes(ngspice):
    options = replace(IDEAL, single_deck=True)
    report = verify_model(make_model(), options, inputs=INPUTS[:1], ngspice=ngspice.path)
    assert report.passed, report.reason
    assert len(evidence(report).waves) == 2


def test_the_answer_does_not_depend_on_the_units(ngspice, passed):
    options = replace(IDEAL, scale=Scale(0.25, 1e-5, 1e-12))
    report = verify_model(make_model(), options, inputs=INPUTS, ngspice=ngspice.path)
    np.testing.assert_allclose(evidence(report).spice, evidence(passed).spice, atol=1e-6)
    assert report.simulator.time_points == passed.simulator.time_points
    assert report.summary.inference_time_s == pytest.approx(1.4 * 2.5e-8)


def test_a_tolerance_beyond_reach_fails_with_a_reason_and_a_report(ngspice, tmp_path):
    report = verify_model(
        make_model(), IDEAL, inputs=INPUTS[:1], tolerance=1e-12, ngspice=ngspice.path
    )
    assert (report.verdict, report.exit_status) == ("fail", 1)
    assert "times the" in str(report.reason)
    report.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["reason"] == report.reason


def test_a_tolerance_beyond_double_precision_blames_the_reference_too(ngspice):
    report = verify_model(
        make_model(), IDEAL, inputs=INPUTS[:1], tolerance=1e-15, ngspice=ngspice.path
    )
    assert report.exit_status == 1
    assert "double precision" in str(report.reason)


def test_one_lost_sample_fails_the_whole(unreliable):
    inputs = np.array([[0.5, -0.25], [0.666, 0.0], [0.25, 0.5]])
    report = verify_model(make_model(), IDEAL, inputs=inputs, ngspice=unreliable)
    assert (report.verdict, report.exit_status) == ("fail", 1)
    assert [sample.status for sample in report.samples] == ["ok", "crashed", "ok"]
    assert report.summary.failed == 1
    assert report.samples[1].max_abs_error is None
    assert str(report.reason).startswith("sample 1: the simulator crashed (SIGSEGV)")
    assert np.isnan(evidence(report).spice[1]).all()
    assert math.isfinite(report.summary.max_abs_error)


def test_no_sample_at_all_is_the_simulators_failure(unreliable, tmp_path):
    report = verify_model(make_model(), IDEAL, inputs=[0.666, 0.0], ngspice=unreliable)
    assert (report.verdict, report.exit_status) == ("fail", 4)
    assert report.summary.max_abs_error is None
    assert report.summary.inference_time_s is None
    assert [path.name for path in report.write(tmp_path)] == ["report.json", "report.html"]


def test_simulate_gives_outputs_or_says_which_sample_failed(ngspice, unreliable, passed):
    compiled = compile_model(make_model(), IDEAL)
    outputs, results = simulate_compiled(compiled, INPUTS, ngspice=ngspice.path)
    np.testing.assert_array_equal(outputs, evidence(passed).spice)
    assert all(result.waveforms for result in results)
    with pytest.raises(SimulationFailed, match="sample 1: the simulator crashed"):
        simulate_compiled(compiled, [[0.0, 0.0], [0.666, 0.0]], ngspice=unreliable)


def test_targets_head_and_encoder_count(ngspice):
    head = Software((Linear(np.array([[2.0, -1.0]]), np.array([0.5])),))
    encoder = Software((Linear(np.array([[1.0, 0.0, 1.0], [0.0, 0.5, 0.0]]), np.zeros(2)),))
    inputs = np.array([[0.5, -0.25, 0.125], [0.25, 0.5, 0.0]])
    model = make_model(
        head=head, encoder=encoder, task="friedman",
        samples=Samples(inputs, np.array([[1.0], [2.0]])),
    )  # fmt: skip
    report = verify_model(model, IDEAL, ngspice=ngspice.path)
    assert report.passed, report.reason
    np.testing.assert_array_equal(evidence(report).inputs, inputs)
    metric = report.summary.task_metrics["mse"]
    answers = evidence(report).reference @ [2.0, -1.0] + 0.5
    assert metric.software == pytest.approx(np.mean((answers - [1.0, 2.0]) ** 2))
    assert metric.agreement == pytest.approx(abs(metric.spice - metric.software))
    assert metric.agreement < 1e-2
    assert any("behind the read-out nodes: linear 2x1" in note for note in report.notes)
    assert any("before the circuit: linear 3x2" in note for note in report.notes)


def test_the_training_solver_is_compared_where_it_is_known(ngspice):
    pytest.importorskip("torchdiffeq")
    coarse = TrainingSolver("rk4", 1e-3, 1e-3, steps=1)
    fine = TrainingSolver("rk4", 1e-3, 1e-3, steps=64)
    errors = [
        verify_model(
            make_model(solver=solver), IDEAL, inputs=INPUTS[:1], ngspice=ngspice.path
        ).reference.training_solver_error
        for solver in (coarse, fine)
    ]
    one_step, many_steps = (float(error or 0.0) for error in errors)
    assert 0 < many_steps < 1e-4 < one_step


def test_progress_is_told(ngspice):
    heard = []
    verify_model(
        make_model(), IDEAL, inputs=INPUTS[:2], ngspice=ngspice.path,
        on_progress=lambda *said: heard.append(said),
    )  # fmt: skip
    assert ("reference", 4, 4) in heard
    assert heard[-1] == ("simulation", 2, 2)


def test_pyspice_agrees(ngspice, passed):
    try:
        report = verify_model(make_model(), IDEAL, inputs=INPUTS[:1], simulator="pyspice")
    except (MissingExtra, SimulatorNotFound) as error:
        pytest.skip(str(error))
    assert report.passed, report.reason
    assert report.simulator.name == "pyspice"
    assert report.simulator.version == str(find_pyspice().version)
    np.testing.assert_allclose(evidence(report).spice[0], evidence(passed).spice[0], atol=1e-4)


def test_only_the_first_rows_of_given_inputs_where_fewer_are_wanted(ngspice: Ngspice):
    report = verify_model(make_model(), IDEAL, inputs=INPUTS, samples=1, ngspice=ngspice.path)
    assert report.summary.samples == 1
