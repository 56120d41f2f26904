"""One loaded deck and many initial voltages, with the real ngspice; and what a fault costs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from simulators import every_ngspice, real_ngspice

from kcompile.errors import StorageError, UsageError
from kcompile.simulation import (
    JobResult,
    Ngspice,
    Sample,
    Session,
    SessionDeck,
    SessionLayer,
    Status,
    Transient,
    run_sessions,
    sessions,
)
from kcompile.simulation import session as session_module
from kcompile.simulation.process import ProcessGroups, Stopped

LAYER = """* a decaying pair
C1 n1 0 1 ic={first}
C2 n2 0 1 ic=0
B1 n1 n2 I={rate}*(v(n1)-v(n2))
.options reltol=1e-3
.tran 0.01 1 0 0.01 uic
.save v(n1) v(n2)
.end
"""
PLAN = Transient(100, 1e-6, 7000.0)


@pytest.fixture
def deck(tmp_path: Path) -> SessionDeck:
    """Two layers, in which two nodes come closer to each other at rates 1 and 2."""
    folder = tmp_path / "deck"
    folder.mkdir()
    for number, rate in ((1, 1.0), (2, 2.0)):
        text = LAYER.replace("{first}", "5").replace("{rate}", str(rate))
        (folder / f"layer{number}.cir").write_text(text)
    layers = tuple(
        SessionLayer(f"layer{k}.cir", f"layer{k}.raw", ("n1", "n2"), 1.0) for k in (1, 2)
    )
    return SessionDeck(folder, layers, (), lambda index, finals: finals[index - 1][::-1])


def expected(initial: np.ndarray) -> np.ndarray:
    """The final voltages of both layers; the second one starts with swapped nodes."""
    mean, half = initial.mean(), (initial[0] - initial[1]) / 2
    return np.array([mean, mean]) + np.array([1, -1]) * -half * np.exp(-2 * 3.0)


def finals(result: JobResult) -> np.ndarray:
    return result.waveforms["layer2.raw"].voltages(["n1", "n2"])[-1]


@pytest.mark.parametrize("which", [0, 1])
def test_every_input_gets_its_own_answer(which: int, deck: SessionDeck) -> None:
    programs = every_ngspice()
    if which >= len(programs):
        pytest.skip("there is no second ngspice here")
    inputs = [np.array([1.0, 0.0]), np.array([-0.3, 1e-7]), np.array([1.0, 0.0]), np.zeros(2)]
    with Session(programs[which], deck, ProcessGroups()) as session:
        results = [session.run(f"{k}", v, PLAN, timeout=60) for k, v in enumerate(inputs)]
    for result, initial in zip(results, inputs, strict=True):
        assert (result.status, result.reason) == (Status.OK, "")
        np.testing.assert_allclose(finals(result), expected(initial), atol=3e-5)
    np.testing.assert_array_equal(finals(results[0]), finals(results[2]))
    assert results[0].iterations == results[2].iterations > 200
    assert results[0].time_points > 200


def test_the_settings_are_those_of_the_call(deck: SessionDeck) -> None:
    initial = np.array([1.0, 0.0])
    with Session(real_ngspice(), deck, ProcessGroups()) as session:
        cheap = session.run("cheap", initial, Transient(20, 1e-6, 7000.0), timeout=60)
        fine = session.run("fine", initial, Transient(80, 1e-6, 7000.0), timeout=60)
        controlled = session.run("controlled", initial, Transient(20, 1e-6, 1.0), timeout=60)
    errors = [np.abs(finals(r) - expected(initial)).max() for r in (cheap, fine)]
    assert 10 < errors[0] / errors[1] < 25  # the trapezoidal rule, four times as many steps
    assert controlled.time_points > cheap.time_points + 20


def test_the_folder_goes_with_the_session(deck: SessionDeck, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with Session(real_ngspice(), deck, ProcessGroups(), work) as session:
        assert session.run("one", np.zeros(2), PLAN, timeout=60).ok
        assert len(list(work.iterdir())) == 1
    assert list(work.iterdir()) == []


def test_a_deck_that_does_not_load_says_why(deck: SessionDeck) -> None:
    path = deck.folder / "layer2.cir"
    path.write_text(re.sub("B1.*", "N1 n1 n2 nosuchmodel", path.read_text()))
    with Session(real_ngspice(), deck, ProcessGroups()) as session:
        result = session.run("one", np.zeros(2), PLAN, timeout=60)
    assert not result.ok
    assert result.status is Status.BAD_DECK
    assert "nosuchmodel" in result.reason
    assert result.folder is not None
    assert not [entry for entry in result.folder.iterdir() if entry.is_fifo()]


class Faults:
    """Lets one session's run go wrong once, in a way of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Session], None]) -> None:
        self.times = 0
        run = Session.run

        def faulty(session: Session, name: str, *args, **kwargs) -> JobResult:
            if name == "sample 3" and not self.times:
                self.times += 1
                fault(session)
            return run(session, name, *args, **kwargs)

        monkeypatch.setattr(Session, "run", faulty)


def all_of(
    deck: SessionDeck, program: Ngspice, count: int = 8, timeout: float = 60, **options
) -> dict[int, JobResult]:
    random = np.random.default_rng(1)
    samples = [Sample(k, random.normal(size=2)) for k in range(count)]
    found: dict[int, JobResult] = {}
    run_sessions(
        program, deck, samples, PLAN, workers=2, timeout=timeout,
        on_done=lambda index, result: found.update({index: result}), **options,
    )  # fmt: skip
    for sample in samples:
        if found[sample.index].ok:
            np.testing.assert_allclose(
                finals(found[sample.index]), expected(sample.initial), atol=1e-4
            )
    return found


def kill(session: Session) -> None:
    os.kill(session.pid, signal.SIGKILL)


def stop(session: Session) -> None:
    os.kill(session.pid, signal.SIGSTOP)


@pytest.mark.parametrize(
    ("fault", "status", "timeout"),
    [(kill, "killed", 60.0), (stop, "timed-out", 2.0)],
)
def test_a_worker_that_dies_or_hangs_costs_a_second_attempt(
    fault, status, timeout, deck: SessionDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch, fault)
    found = all_of(deck, real_ngspice(), timeout=timeout)
    assert faults.times == 1
    assert sorted(found) == list(range(8))
    assert all(result.ok for result in found.values())
    assert found[3].attempts == 2
    assert found[3].earlier.startswith(status)
    assert [k for k, result in found.items() if result.attempts > 1] == [3]


def corrupted(how: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes({"garbage": b"\x7fELF" * 50, "full disk": data[: len(data) // 2]}[how])

    return change


@pytest.mark.parametrize(("how", "status"), [("garbage", "no-output"), ("full disk", "truncated")])
def test_a_bad_raw_file_costs_a_second_attempt(
    how, status, deck: SessionDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ngspice does not say that the disk was full: its raw file is short."""
    times = 0
    read = session_module.read_waveforms

    def once(expected, folder: Path):
        nonlocal times
        times += 1
        if times == 5:
            for name in expected:
                corrupted(how)(folder / name)
        return read(expected, folder)

    monkeypatch.setattr(session_module, "read_waveforms", once)
    found = all_of(deck, real_ngspice())
    assert all(result.ok for result in found.values())
    twice = [result for result in found.values() if result.attempts == 2]
    assert len(twice) == 1
    assert twice[0].earlier.startswith(status)


def test_a_disk_that_stays_full_ends_the_run(
    deck: SessionDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = session_module.read_waveforms

    def always(expected, folder: Path):
        for name in expected:
            corrupted("full disk")(folder / name)
        return read(expected, folder)

    def full(folder: Path) -> None:
        raise StorageError("no space left on device", where=folder)

    monkeypatch.setattr(session_module, "read_waveforms", always)
    monkeypatch.setattr(sessions, "require_room", full)
    with pytest.raises(StorageError, match="no space left"):
        all_of(deck, real_ngspice())


def test_a_damaged_deck_is_written_anew(deck: SessionDeck, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that has it loaded does not mind; the next one does."""
    path = deck.folder / "layer2.cir"
    text = path.read_text()
    renewed: list[bool] = []

    def damage(session: Session) -> None:
        path.write_text(text[:40])
        kill(session)

    def renew() -> None:
        renewed.append(True)
        path.write_text(text)

    Faults(monkeypatch, damage)
    found = all_of(deck, real_ngspice(), renew=renew)
    assert all(result.ok for result in found.values())
    assert found[3].attempts == 2
    assert renewed


def test_a_sample_that_fails_twice_is_reported(
    deck: SessionDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run

    def faulty(session: Session, name: str, *args, **kwargs) -> JobResult:
        if name == "sample 5":
            kill(session)
        return run(session, name, *args, **kwargs)

    monkeypatch.setattr(Session, "run", faulty)
    found = all_of(deck, real_ngspice())
    assert [k for k, result in sorted(found.items()) if not result.ok] == [5]
    assert found[5].status is Status.KILLED
    assert found[5].folder is not None


def test_an_exception_stops_every_session(deck: SessionDeck, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()

    def interrupted(_index: int, _result: JobResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sessions(
            real_ngspice(), deck, [Sample(k, np.zeros(2)) for k in range(50)], PLAN,
            timeout=60, on_done=interrupted, work=work,
        )  # fmt: skip
    assert list(work.iterdir()) == []


def test_a_stopped_group_runs_nothing(deck: SessionDeck) -> None:
    groups = ProcessGroups()
    groups.stop()
    with pytest.raises(Stopped):
        Session(real_ngspice(), deck, groups)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_nobody_stays_behind_when_the_parent_is_killed(deck: SessionDeck) -> None:
    """A session waits for commands: nobody would ever send it one again."""
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        import numpy as np
        from kcompile.simulation import Session, SessionDeck, SessionLayer, Transient, find_ngspice
        from kcompile.simulation.process import ProcessGroups
        layer = SessionLayer("layer1.cir", "layer1.raw", ("n1", "n2"), 1.0)
        deck = SessionDeck(Path(sys.argv[1]), (layer,), (), lambda *_: np.zeros(2))
        session = Session(find_ngspice(), deck, ProcessGroups())
        assert session.run("one", np.zeros(2), Transient(20, 1e-6, 7.0), timeout=60).ok
        print(session.pid, flush=True)
        time.sleep(600)
    """)
    command = [sys.executable, "-c", program, str(deck.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("ngspice outlived the process that it worked for")


def test_options_out_of_range_are_refused(deck: SessionDeck) -> None:
    with pytest.raises(UsageError, match="0 jobs at a time"):
        run_sessions(real_ngspice(), deck, [], PLAN, workers=0, timeout=1, on_done=lambda *_: None)
    with pytest.raises(UsageError, match="time limit"):
        all_of(deck, real_ngspice(), timeout=-1)
