"""Many samples of one network: measured settings, compiled devices, faults, and interruptions."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from reports import evidence
from simulators import real_ngspice

import kcompile
from kcompile.compiler import CompileOptions
from kcompile.errors import SimulationFailed, StorageError
from kcompile.simulation import JobResult, Session
from kcompile.simulation import session as session_module
from kcompile.verification import Report, choosing, journal, verify_model
from kcompile.verification.sections import AccelerationSection, CalibrationSection

TWOMOON = Path(__file__).parents[2] / "golden" / "twomoon" / "model.safetensors"


@pytest.fixture(scope="module")
def twomoon():
    return kcompile.load(TWOMOON)


@pytest.fixture(scope="module")
def straight(twomoon) -> Report:
    return verify_model(twomoon, samples=50, ngspice=real_ngspice().path)


def acceleration(report: Report) -> AccelerationSection:
    assert report.simulator.acceleration is not None
    return report.simulator.acceleration


def calibration(report: Report) -> CalibrationSection:
    assert report.simulator.calibration is not None
    return report.simulator.calibration


def without_times(report: Report) -> dict:
    """What two reports on the same samples share: all but how long things took and how often."""
    values = report.to_dict()
    for section, names in (
        ("compile", ("seconds",)),
        ("simulator", ("seconds", "calibration_seconds")),
        ("reference", ("seconds",)),
    ):
        for name in names:
            del values[section][name]
    for trial in values["simulator"]["calibration"]["trials"]:
        del trial["seconds"]
    for sample in values["samples"]:
        for name in ("seconds", "attempts", "earlier"):
            del sample[name]
    values["notes"] = [
        note for note in values["notes"] if "an earlier run" not in note and "ran twice" not in note
    ]
    return values


def test_many_samples_pass(straight: Report) -> None:
    assert (straight.verdict, straight.reason) == ("pass", None)
    assert straight.compile.device_family == "ideal"
    found, settings = straight.simulator.acceleration, straight.simulator.calibration
    assert found is not None
    assert settings is not None
    if "osdi" in real_ngspice().features:
        assert (found.device_family, found.jacobian) == ("native", "diagonal")
        assert found.jacobian_difference is not None
    assert found.difference is not None
    assert 0 <= found.difference < 0.1 * straight.allowed
    assert settings.order is not None
    assert 1.5 < settings.order < 3.0  # the trapezoidal rule's is 2, at small steps
    assert settings.trials[-1].steps == settings.steps
    assert settings.trials[-1].error < straight.allowed / 2
    assert straight.summary.max_wave_error is not None
    assert len(straight.samples) == 50


def test_the_tolerance_decides_how_fine(twomoon) -> None:
    """A hundred times less error, about ten times the steps."""
    reports = [
        verify_model(
            twomoon, samples=9, tolerance=tolerance, ngspice=real_ngspice().path, resume=False
        )
        for tolerance in (1e-3, 1e-5)
    ]
    steps = [calibration(report).steps for report in reports]
    assert [report.verdict for report in reports] == ["pass", "pass"]
    assert 5 < steps[1] / steps[0] < 20


def test_a_named_family_is_the_one_that_runs(twomoon) -> None:
    report = verify_model(
        twomoon, CompileOptions(device="ideal"), samples=9, ngspice=real_ngspice().path
    )
    assert report.verdict == "pass"
    assert acceleration(report).device_family == "ideal"
    assert acceleration(report).jacobian is None
    assert (acceleration(report).difference or 0.0) < 1e-6


def test_every_hand_over_survives(tmp_path: Path) -> None:
    """Layers of different sizes that carry, repeat and add."""
    golden = Path(__file__).parents[2] / "golden"
    for name in ("shift-relu-mixed-repeat", "leaky-relu-growing", "relu-affine-diode-residual"):
        model = kcompile.load(next((golden / name).glob("model.*")))
        inputs = np.random.default_rng(0).normal(size=(9, model.input_width)) * 0.3
        report = verify_model(model, inputs=inputs, ngspice=real_ngspice().path)
        assert (name, report.verdict, report.reason) == (name, "pass", None)
        assert report.simulator.acceleration is not None


class Interrupts:
    """Ctrl-C after so many samples."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, stage: str, _done: int, _total: int) -> None:
        if stage == "simulation":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(twomoon, straight: Report, state: Path) -> None:
    for after in (7, 13):  # the second one hears of the first one's samples too
        with pytest.raises(KeyboardInterrupt):
            verify_model(
                twomoon, samples=50, ngspice=real_ngspice().path, on_progress=Interrupts(after)
            )
    (folder,) = state.iterdir()
    assert len((folder / "runs.jsonl").read_text().splitlines()) >= 10
    solved: list[str] = []

    def listen(stage: str, _done: int, _total: int) -> None:
        solved.append(stage)

    again = verify_model(twomoon, samples=50, ngspice=real_ngspice().path, on_progress=listen)
    assert "reference" not in solved
    assert any("an earlier run had finished" in note for note in again.notes)
    assert without_times(again) == without_times(straight)
    assert list(state.iterdir()) == []


def test_other_inputs_do_not_go_on(twomoon, state: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        verify_model(twomoon, samples=20, ngspice=real_ngspice().path, on_progress=Interrupts(9))
    other = verify_model(twomoon, samples=20, seed=1, ngspice=real_ngspice().path)
    assert not any("an earlier run" in note for note in other.notes)
    again = verify_model(twomoon, samples=20, ngspice=real_ngspice().path)
    assert any("an earlier run" in note for note in again.notes)


def test_fresh_forgets_and_keeps_anew(twomoon, state: Path) -> None:
    for resume in (True, False):
        with pytest.raises(KeyboardInterrupt):
            verify_model(
                twomoon, samples=20, ngspice=real_ngspice().path, resume=resume,
                on_progress=Interrupts(12 if resume else 4),
            )  # fmt: skip
    (folder,) = state.iterdir()
    assert len((folder / "runs.jsonl").read_text().splitlines()) <= 5


def test_a_journal_that_cannot_be_written_is_no_reason_to_stop(
    twomoon, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path):
        raise StorageError("no space left on device", where=path)

    monkeypatch.setattr(journal, "written", full)
    monkeypatch.setattr(journal, "write_text", lambda path, _text: full(path))
    report = verify_model(twomoon, samples=12, ngspice=real_ngspice().path)
    assert report.verdict == "pass"
    assert any("could not be kept: " in note for note in report.notes)
    assert list(state.iterdir()) == []


def test_errors_that_no_step_lowers_are_not_chased(monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit with an error floor fails in the time that a good one takes to pass."""
    graph_options = CompileOptions(device="switch", parameters={"roff": 30.0, "ron": 1e-3})
    inputs = np.random.default_rng(0).normal(size=(9, 2)) * 0.5
    report = verify_model(
        make_model(), graph_options, inputs=inputs, ngspice=real_ngspice().path, resume=False
    )
    assert report.verdict == "fail"
    assert calibration(report).steps < 2000
    assert max(sample.steps or 0 for sample in report.samples) <= 2 * calibration(report).steps


def test_a_torn_journal_is_read_as_far_as_it_goes(twomoon, straight: Report, state: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        verify_model(twomoon, samples=50, ngspice=real_ngspice().path, on_progress=Interrupts(12))
    (folder,) = state.iterdir()
    runs = folder / "runs.jsonl"
    runs.write_text(runs.read_text()[:-25])
    (folder / "reference.npz").write_bytes(b"PK\x03\x04 cut")
    again = verify_model(twomoon, samples=50, ngspice=real_ngspice().path)
    assert without_times(again) == without_times(straight)


def test_faults_are_told_and_cost_nothing(
    twomoon, straight: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty samples: a simulator is killed, one hangs, a raw file is garbage, the disk is full for
    a moment, and a side file is cut, which the next simulator would load."""
    run, read = Session.run, session_module.read_waveforms
    done: set[str] = set()

    def cut_side_files(session: Session) -> None:
        for side_file in session._deck.folder.glob("*.dat"):
            side_file.write_bytes(side_file.read_bytes()[:100])
        os.kill(session.pid, signal.SIGKILL)

    before = {
        "sample 11": lambda session: os.kill(session.pid, signal.SIGKILL),
        "sample 17": lambda session: os.kill(session.pid, signal.SIGSTOP),
        "sample 30": cut_side_files,
    }
    after = {
        "sample 23": lambda _data: b"\x7fELF" * 100,
        "sample 36": lambda data: data[: len(data) // 2],
    }
    running = threading.local()

    def faulty(session: Session, name: str, *args, **kwargs) -> JobResult:
        running.name = name
        if name in before and name not in done:
            done.add(name)
            before[name](session)
        return run(session, name, *args, **kwargs)

    def damaged(expected, folder: Path):
        if running.name in after and running.name not in done:
            done.add(running.name)
            (path,) = (folder / name for name in expected)
            path.write_bytes(after[running.name](path.read_bytes()))
        return read(expected, folder)

    monkeypatch.setattr(Session, "run", faulty)
    monkeypatch.setattr(session_module, "read_waveforms", damaged)
    report = verify_model(twomoon, samples=50, ngspice=real_ngspice().path, timeout=5, resume=False)
    assert (report.verdict, report.summary.failed) == ("pass", 0)
    again = [sample for sample in report.samples if sample.attempts == 2]
    twice = {sample.index: (sample.earlier or "").partition(":")[0] for sample in again}
    assert twice == {
        11: "killed", 17: "timed-out", 23: "no-output", 30: "killed", 36: "truncated",
    }  # fmt: skip
    assert any("5 samples ran twice" in note for note in report.notes)
    for one, other in zip(report.samples, straight.samples, strict=True):
        assert one.max_abs_error == pytest.approx(other.max_abs_error, rel=1e-9)


def test_a_lost_sample_fails_the_verdict_and_nothing_else(
    twomoon, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    run = Session.run

    def faulty(session: Session, name: str, *args, **kwargs) -> JobResult:
        if name == "sample 4":
            os.kill(session.pid, signal.SIGKILL)
        return run(session, name, *args, **kwargs)

    monkeypatch.setattr(Session, "run", faulty)
    report = verify_model(twomoon, samples=12, ngspice=real_ngspice().path)
    assert (report.verdict, report.exit_status) == ("fail", 1)
    assert report.summary.failed == 1
    assert "sample 4: the simulator was killed" in (report.reason or "")
    assert np.isnan(evidence(report).spice[4]).all()


def test_devices_that_disagree_are_not_used(twomoon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: compiled devices that compute another law."""
    if "osdi" not in real_ngspice().features:
        pytest.skip("this ngspice loads no compiled devices")
    native = choosing.native_circuit

    def wrong(compiled, *args, **kwargs):
        graph = compiled.model.graph
        phase = graph.phases[0]
        batch = replace(phase.batches[0], w=phase.batches[0].w * 1.001)
        changed = graph.with_phases((phase.with_batches((batch,)), *graph.phases[1:]))
        return native(
            replace(compiled, model=replace(compiled.model, graph=changed)), *args, **kwargs
        )

    monkeypatch.setattr(choosing, "native_circuit", wrong)
    report = verify_model(twomoon, samples=9, ngspice=real_ngspice().path, resume=False)
    assert report.verdict == "pass"
    assert acceleration(report).device_family == "ideal"
    assert sum("were not used: they differ" in note for note in report.notes) == 2


def test_an_ngspice_without_osdi_is_told_of_what_it_misses(
    twomoon, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(real_ngspice(), features=frozenset({"klu"}))
    monkeypatch.setattr("kcompile.verification.run.choose_simulator", lambda *_: bare)
    report = verify_model(twomoon, samples=9, resume=False)
    assert report.verdict == "pass"
    assert acceleration(report).device_family == "ideal"
    assert any("loads none (no OSDI)" in note for note in report.notes)


def test_a_diagonal_that_does_not_help_is_given_up(
    twomoon, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "osdi" not in real_ngspice().features:
        pytest.skip("this ngspice loads no compiled devices")
    monkeypatch.setattr(choosing, "MOST_ITERATIONS", 0.5)
    report = verify_model(twomoon, samples=9, ngspice=real_ngspice().path, resume=False)
    assert report.verdict == "pass"
    assert acceleration(report).jacobian == "full"
    assert any("the diagonal Jacobian were not used: it takes" in note for note in report.notes)


def test_a_first_sample_that_cannot_be_simulated_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unreliable: Path
) -> None:
    inputs = np.zeros((9, 2))
    inputs[0] = 0.666
    with pytest.raises(SimulationFailed, match="the first sample"):
        verify_model(
            make_model(), CompileOptions(device="ideal"), inputs=inputs, ngspice=unreliable
        )


def test_hard_samples_are_simulated_finer(twomoon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first sample is an easy one, others need more steps than it did."""
    monkeypatch.setattr("kcompile.verification.calibration.MARGIN", 0.5)
    report = verify_model(
        twomoon, samples=40, tolerance=1e-5, ngspice=real_ngspice().path, resume=False
    )
    steps = {sample.steps for sample in report.samples}
    assert report.verdict == "pass"
    assert len(steps) > 1
    assert any("ran again" in note for note in report.notes)


def test_workers_say_what_they_do(twomoon) -> None:
    said: list[tuple[int, str]] = []
    words: list[str] = []
    verify_model(
        twomoon, samples=9, ngspice=real_ngspice().path, resume=False,
        on_worker=lambda number, text: said.append((number, text)),
        on_status=words.append, on_progress=lambda *_: None,
    )  # fmt: skip
    assert {number for number, _ in said} == {0, 1}
    assert "loading the decks" in {text for _, text in said}
    assert "sample 8" in {text for _, text in said}
    assert any(text.startswith("measuring: ") for text in words)
    assert words[-1].startswith("error ")


def test_reports_come_back_from_json(straight: Report, tmp_path: Path) -> None:
    straight.write(tmp_path)
    assert kcompile.verification.load_report(tmp_path).to_dict() == straight.to_dict()
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["simulator"]["calibration"]["steps"] == calibration(straight).steps
