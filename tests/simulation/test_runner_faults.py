"""What becomes of a job when the simulator misbehaves."""

from __future__ import annotations

import json
import resource
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kcompile.errors import DeckError, SimulatorNotFound, StorageError, UsageError
from kcompile.simulation import Job, Ngspice, Status, process, run_job, runner
from kcompile.simulation.process import STDERR

Jobs = Callable[..., Job]


def test_a_good_run_leaves_a_result_and_nothing_else(fake: Ngspice, job: Jobs, work: Path) -> None:
    told = ("raw good", "print Total iterations = 40", "print n1 = 2.5e-01", "print N1 = 1e+00")
    result = run_job(fake, job(*told, "print Total iterations = 2"), timeout=30, work=work)
    assert result.ok
    assert (result.status, result.reason, result.folder) == (Status.OK, "", None)
    assert (result.iterations, result.time_points, result.attempts) == (42, 5, 1)
    assert result.printed == {"n1": 1.0}
    assert result.waveforms["run.raw"].voltage("n1").tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert result.seconds > 0.0
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        (["signal 11"], Status.CRASHED, "SIGSEGV"),
        (["raw good", "signal 6"], Status.CRASHED, "SIGABRT"),
        (["raw good", "signal 9"], Status.KILLED, "SIGKILL"),
        (["exit 3"], Status.FAILED, "status 3"),
        (["raw good", "exit 1"], Status.FAILED, "status 1"),
        (["exit 0"], Status.NO_OUTPUT, "no raw file"),
        (["raw empty"], Status.NO_OUTPUT, "empty"),
        (["raw foreign"], Status.NO_OUTPUT, "no raw file"),
        (["raw constants"], Status.NO_OUTPUT, "only 'constants'"),
        (["raw truncated"], Status.TRUNCATED, "cut after 3 points"),
        (["raw early"], Status.STOPPED_EARLY, "ends at 8e-16 of 1e-15 s"),
        (["raw nan"], Status.NOT_FINITE, "node n1 is not finite"),
        (["raw early", "say doAnalyses: TRAN: Timestep too small"], Status.NOT_CONVERGED, "Timest"),
        (["say Error: unknown subckt: x1 a b"], Status.BAD_DECK, "unknown subckt: x1 a b"),
        (["say can't allocate 80 bytes.", "exit 1"], Status.OUT_OF_MEMORY, "allocate 80"),
        (["raw truncated", "say singular matrix"], Status.TRUNCATED, "singular"),
    ],
)
def test_a_failure_has_a_status_a_reason_and_a_folder(
    fake: Ngspice, job: Jobs, work: Path, behaviour: list[str], status: Status, words: str
) -> None:
    result = run_job(fake, job(*behaviour), timeout=30, work=work)
    assert result.status is status
    assert not result.ok
    assert words in result.reason
    assert "\n" not in result.reason
    assert result.folder is not None
    assert [result.folder] == list(work.iterdir())
    assert stat.S_IMODE(result.folder.stat().st_mode) == 0o700


def test_noise_is_no_failure_and_is_not_read_whole(fake: Ngspice, job: Jobs, work: Path) -> None:
    noisy = job("noise 30000", "raw good", "say Timestep too small", "say simulation(s) aborted")
    result = run_job(fake, noisy, timeout=60, work=work)
    assert result.ok
    assert "aborted" in result.log_tail
    assert len(result.log_tail) < 10_000
    assert result.reason == ""


def test_the_cause_is_found_before_and_behind_megabytes(
    fake: Ngspice, job: Jobs, work: Path
) -> None:
    for behaviour in (
        ["say Error: unknown subckt: x9", "noise 30000"],
        ["noise 30000", "say Error: unknown subckt: x9"],
    ):
        result = run_job(fake, job(*behaviour), timeout=60, work=work)
        assert result.status is Status.BAD_DECK
        assert "x9" in result.reason
        assert result.folder is not None
        assert (result.folder / STDERR).stat().st_size > 3_000_000


def test_what_a_terminal_would_obey_is_not_quoted(fake: Ngspice, job: Jobs, work: Path) -> None:
    result = run_job(fake, job("say Error: \x1b[2J\x07cleared", "exit 1"), timeout=30, work=work)
    assert result.reason.isprintable()
    assert "\x1b" not in result.log_tail


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_run_that_never_ends_is_ended(
    fake: Ngspice,
    job: Jobs,
    work: Path,
    dies: Callable[[Path], bool],
    monkeypatch: pytest.MonkeyPatch,
    stubborn: bool,
) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.2)
    leader, child = work.parent / "leader", work.parent / "child"
    first = ["ignore-sigterm"] if stubborn else []
    hanging = job(*first, f"lock {leader}", f"child {child}", "raw good", "hang")
    result = run_job(fake, hanging, timeout=2.5, work=work)
    assert result.status is Status.TIMED_OUT
    assert "time limit" in result.reason
    assert result.waveforms["run.raw"].time[-1] == 1e-15
    assert dies(leader)
    assert dies(child)


def test_a_child_that_outlives_a_good_run_is_ended(
    fake: Ngspice, job: Jobs, work: Path, dies: Callable[[Path], bool]
) -> None:
    lock = work.parent / "child"
    result = run_job(fake, job(f"child {lock}", "raw good"), timeout=30, work=work)
    assert result.ok
    assert dies(lock)


def test_the_surroundings_are_the_same_for_everybody(
    fake: Ngspice, job: Jobs, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SPICE_ASCIIRAWFILE": "1", "LC_NUMERIC": "de_DE", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPICE_LIB_DIR", "/somewhere")
    dump = tmp_path / "dump"
    assert run_job(fake, job("raw good", f"dump {dump}"), timeout=30, work=work).ok
    variables, arguments, folder = json.loads(dump.read_text())
    assert arguments == ["-b", "run.cir"]
    assert Path(folder).parent == work.resolve()
    assert variables["HOME"] == variables["TMPDIR"]
    assert Path(variables["HOME"]).resolve() == Path(folder)
    assert (variables["LC_ALL"], variables["OMP_NUM_THREADS"]) == ("C", "1")
    assert variables["SPICE_LIB_DIR"] == "/somewhere"
    assert not {"SPICE_ASCIIRAWFILE", "LC_NUMERIC", "SECRET", "PYTHONPATH"} & set(variables)


def test_the_deck_folder_is_never_written_through(
    fake: Ngspice, job: Jobs, work: Path, tmp_path: Path
) -> None:
    asked = job("raw good", "exit 1")
    (asked.deck / "behaviour").write_text("exit 99")
    (asked.deck / "run.raw").write_text("an older result")
    (asked.deck / "other.raw").write_text("another")
    (asked.deck / ".spiceinit").write_text("quit")
    (asked.deck / STDERR).write_text("older words")
    (asked.deck / "models").mkdir()
    (asked.deck / "models" / "d.inc").write_text(".model")
    before = {p: p.read_bytes() for p in asked.deck.rglob("*") if p.is_file()}
    result = run_job(fake, asked, timeout=30, work=work)
    assert "status 1" in result.reason
    assert {p: p.read_bytes() for p in asked.deck.rglob("*") if p.is_file()} == before
    folder = result.folder
    assert folder is not None
    assert not (folder / ".spiceinit").exists()
    assert not (folder / "other.raw").exists()
    assert (folder / "models" / "d.inc").read_text() == ".model"
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_a_deck_that_is_not_there(fake: Ngspice, job: Jobs, work: Path, tmp_path: Path) -> None:
    asked = job("raw good")
    with pytest.raises(DeckError, match="no such deck folder"):
        run_job(fake, replace(asked, deck=tmp_path / "none"), timeout=30, work=work)
    with pytest.raises(DeckError, match=r"no other\.cir"):
        run_job(fake, replace(asked, entry="other.cir"), timeout=30, work=work)
    assert list(work.iterdir()) == []


def test_a_place_that_cannot_be_written_to(fake: Ngspice, job: Jobs, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError):
        run_job(fake, job("raw good"), timeout=30, work=blocked / "below")


def test_a_full_disk_is_told_from_a_broken_simulator(
    fake: Ngspice, job: Jobs, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for the probe is taken away by a file-size limit, which a full disk resembles."""
    real = runner.require_room

    def limited(folder: Path) -> None:
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, old[1]))
        try:
            real(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)

    assert run_job(fake, job("raw truncated"), timeout=30, work=work).status is Status.TRUNCATED
    kept = set(work.iterdir())
    monkeypatch.setattr(runner, "require_room", limited)
    with pytest.raises(StorageError, match="too large"):
        run_job(fake, job("raw truncated"), timeout=30, work=work)
    assert set(work.iterdir()) == kept


def test_a_program_that_cannot_be_started(job: Jobs, work: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    for path in (tmp_path / "none", broken):
        with pytest.raises(SimulatorNotFound, match="cannot be started"):
            run_job(Ngspice(path, 45, frozenset(), ""), job(), timeout=30, work=work)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_that_is_none(fake: Ngspice, job: Jobs, work: Path, timeout: float) -> None:
    with pytest.raises(UsageError, match="time limit"):
        run_job(fake, job("raw good"), timeout=timeout, work=work)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../inputs.inc": ""}},
        {"files": {"": ""}},
        {"waveforms": {"/tmp/x.raw": 1.0}},
        {"waveforms": {}},
        {"waveforms": {"run.raw": 0.0}},
        {"waveforms": {"run.raw": float("nan")}},
        {"entry": ".."},
    ],
)
def test_a_job_names_plain_files_and_real_times(job: Jobs, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="job 'sample 0'"):
        replace(job(), **changes)


def test_a_time_is_reached_within_a_millionth(fake: Ngspice, job: Jobs, work: Path) -> None:
    asked = job("raw good")
    for end, ok in ((1e-15 * (1 + 9e-7), True), (1e-15 * (1 + 2e-6), False), (5e-16, True)):
        result = run_job(fake, replace(asked, waveforms={"run.raw": end}), timeout=30, work=work)
        assert result.ok is ok


def test_every_waveform_must_be_there(fake: Ngspice, job: Jobs, work: Path) -> None:
    asked = replace(job("raw good"), waveforms={"run.raw": 1e-15, "layer2.raw": 1e-15})
    result = run_job(fake, asked, timeout=30, work=work)
    assert result.status is Status.NO_OUTPUT
    assert "layer2.raw" in result.reason
    assert np.isfinite(result.waveforms["run.raw"].values).all()


def test_files_handed_over_are_private_while_the_job_runs(
    fake: Ngspice, job: Jobs, work: Path
) -> None:
    """A link in the deck folder's place of output would be followed by the simulator."""
    asked = job("raw good", "exit 1")
    outside = work.parent / "outside"
    outside.write_text("untouched")
    (asked.deck / "run.raw").symlink_to(outside)
    assert run_job(fake, asked, timeout=30, work=work).status is Status.FAILED
    assert outside.read_text() == "untouched"
