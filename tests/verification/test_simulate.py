"""Where initial voltages come from, what a job is, and how its result is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given
from hypothesis import strategies as st

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.ir import Fill, Graph, Phase, hand_over, phase_output
from kcompile.simulation import JobResult, Status, Waveforms
from kcompile.units import Scale
from kcompile.verification.simulate import (
    choose_simulator,
    final_outputs,
    layer_decks,
    make_jobs,
    read_run,
    voltage_sources,
)


@st.composite
def chains(draw) -> Graph:
    """Phases of any sizes with every hand-over; edges do not matter here."""
    phases = []
    for index, nodes in enumerate(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))):
        same = [k for k in range(index) if phases[k].nodes == nodes]
        residual = draw(st.sampled_from([None, *same]))
        phases.append(Phase(nodes, 1.0, (), draw(st.sampled_from(list(Fill))), residual))
    return Graph(tuple(phases), 1, [1])


@given(chains(), st.integers(0, 2**32 - 1))
def test_sources_add_up_to_what_is_handed_over(graph, seed):
    random = np.random.default_rng(seed)
    finals = [random.normal(size=phase.nodes) for phase in graph.phases]
    sources = voltage_sources(graph)
    passed = []
    for index, phase in enumerate(graph.phases[:-1]):
        passed.append(phase_output(graph, index, finals[index], passed))
        starts = [sum(finals[k][node - 1] for k, node in pairs) for pairs in sources[index + 1]]
        np.testing.assert_allclose(starts, hand_over(passed[-1], graph.phases[index + 1]))
        assert phase is graph.phases[index]
    assert sources[0] == ()


@pytest.fixture
def compiled():
    model = make_model(nodes=(3, 3, 3), residual=0)
    return compile_model(model, CompileOptions(scale=Scale(0.25, 1e-5, 1e-12), device="ideal"))


def result(compiled, values, **changes) -> JobResult:
    """What a simulator would leave that ends every layer at the given software voltages."""
    waves = {}
    for plan, final in zip(compiled.layers, values, strict=True):
        volts = np.stack([np.zeros(3), np.asarray(final)]) * compiled.scale.v0
        waves[plan.waveform] = Waveforms(("n1", "n2", "n3"), np.array([0.0, plan.end]), volts)
    outputs = np.asarray(values[-1]) + np.asarray(values[0])
    printed = {f"n{k + 1}": float(outputs[k] * compiled.scale.v0) for k in range(3)}
    fields = {"waveforms": waves, "printed": printed, "time_points": 6, "iterations": 12}
    return JobResult("sample 0", Status.OK, **{**fields, **changes})


VALUES = ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [10.0, 20.0, 30.0])


def test_read_outs_are_the_last_points_in_software_units_with_the_residual(compiled):
    run = read_run(compiled, 0, result(compiled, VALUES), printed=True)
    np.testing.assert_allclose(run.outputs, [22.0, 33.0])
    assert (run.status, run.problem) == ("ok", None)
    total = sum(plan.end for plan in compiled.layers)
    assert run.inference_time == pytest.approx(total)
    assert total == pytest.approx((0.6 + 0.8 + 1.0) * compiled.scale.time_unit)
    assert (run.time_points, run.iterations) == (6, 12)


def test_a_waveform_that_ends_too_late_is_a_mismatch(compiled):
    good = result(compiled, VALUES)
    name = compiled.layers[1].waveform
    wave = good.waveforms[name]
    late = replace(wave, time=wave.time * 1.01)
    run = read_run(
        compiled, 0, replace(good, waveforms={**good.waveforms, name: late}), printed=True
    )
    assert run.status == "mismatch"
    assert run.finished
    assert run.problem is not None
    assert f"{name} ends at" in run.problem
    np.testing.assert_allclose(run.outputs, [22.0, 33.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p | {"n2": p["n2"] * (1 + 1e-6)}, "the decks print n2 = "),
        (lambda p: p | {"n3": float("nan")}, "the decks print n3 = nan"),
        (lambda p: {"n2": p["n2"]}, "the decks print no read-out n3"),
    ],
)
def test_prints_that_contradict_the_waveforms_are_a_mismatch(compiled, change, message):
    good = result(compiled, VALUES)
    said = replace(good, printed=change(good.printed))
    run = read_run(compiled, 0, said, printed=True)
    assert run.status == "mismatch"
    assert run.problem is not None
    assert message in run.problem
    # Where the folder's own script did not run, nothing is compared.
    assert read_run(compiled, 0, said, printed=False).problem is None


def test_rounding_in_the_prints_is_no_mismatch(compiled):
    good = result(compiled, VALUES)
    printed = {name: value * (1 + 1e-13) for name, value in good.printed.items()}
    assert read_run(compiled, 0, replace(good, printed=printed), printed=True).problem is None


def test_a_crash_has_no_result(compiled, tmp_path):
    run = read_run(
        compiled, 3, JobResult("sample 3", Status.CRASHED, "it crashed", folder=tmp_path),
        printed=True,
    )  # fmt: skip
    assert np.isnan(run.outputs).all()
    assert (run.status, run.finished, run.inference_time) == ("crashed", False, None)
    assert run.problem == f"it crashed (see {tmp_path})"


def test_a_run_that_stopped_early_has_an_answer_but_a_problem(compiled):
    early = replace(result(compiled, VALUES), status=Status.STOPPED_EARLY, reason="ends early")
    run = read_run(compiled, 0, early, printed=True)
    np.testing.assert_allclose(run.outputs, [22.0, 33.0])
    assert (run.status, run.problem, run.finished) == ("stopped-early", "ends early", True)


def test_a_node_that_was_not_saved_is_a_mismatch(compiled):
    good = result(compiled, VALUES)
    name = compiled.layers[-1].waveform
    poor = Waveforms(("n1",), good.waveforms[name].time, good.waveforms[name].values[:, :1])
    run = read_run(
        compiled, 0, replace(good, waveforms={**good.waveforms, name: poor}), printed=True
    )
    assert run.status == "mismatch"
    assert np.isnan(run.outputs).all()


def test_jobs_name_the_sample_its_inputs_and_what_must_come(compiled, tmp_path):
    initial = compiled.model.initial_voltages(np.array([[0.5, -0.25], [1.0, 0.125]]))
    first, second = make_jobs(compiled, tmp_path, initial)
    assert (first.name, second.name) == ("sample 0", "sample 1")
    assert first.files["inputs.inc"] == compiled.inputs_text(initial[0])
    assert first.files != second.files
    assert list(first.waveforms) == ["layer1.raw", "layer2.raw", "layer3.raw"]
    verbatim, other = make_jobs(compiled, tmp_path, initial, verbatim_first=True)
    assert dict(verbatim.files) == {}
    assert other.files == second.files


def test_a_single_deck_is_one_waveform():
    compiled = compile_model(make_model(), CompileOptions(single_deck=True, device="ideal"))
    (job,) = make_jobs(compiled, "deck", compiled.model.initial_voltages(np.zeros((1, 2))))
    assert list(job.waveforms) == ["run.raw"]
    assert job.waveforms["run.raw"] == compiled.layers[-1].end
    assert layer_decks(compiled) == ()
    waves = Waveforms(("n1", "n2", "n3"), np.array([0.0, 1.0]), np.array([[0.0] * 3, [1, 2, 3]]))
    np.testing.assert_array_equal(final_outputs(compiled, {"run.raw": waves}), [2.0, 3.0])


def test_unknown_simulators():
    with pytest.raises(UsageError, match="unknown simulator 'spectre'"):
        choose_simulator("spectre")
