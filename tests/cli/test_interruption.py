"""Ctrl-C and its relatives: everything stops, and nothing is left behind."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import finish, start
from simulators import fake_ngspice

PATIENCE = 60.0


def held(lock: Path) -> bool:
    """Whether a process holds the lock."""
    if not lock.exists() or not lock.stat().st_size:
        return False
    with lock.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(process: subprocess.Popen[str], *locks: Path) -> None:
    """Returns when the simulators hold their locks."""
    end = time.monotonic() + PATIENCE
    while not all(held(lock) for lock in locks):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def gone(lock: Path) -> bool:
    """Whether nobody holds the lock any more, or soon."""
    end = time.monotonic() + PATIENCE
    while held(lock) and time.monotonic() < end:
        time.sleep(0.01)
    return not held(lock)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 3])
def test_an_interruption_during_simulation(
    tmp_path: Path, checkpoint: Path, scratch: Path, number: signal.Signals, times: int
) -> None:
    leader, child = tmp_path / "leader", tmp_path / "child"
    fake = fake_ngspice(tmp_path, "ignore-sigterm", f"lock {leader}", f"child {child}", "hang")
    report = tmp_path / "report"
    process = start("verify", checkpoint, "--ngspice", fake, "--report", report)
    wait_until(process, leader, child)
    for _ in range(times):
        process.send_signal(number)
    done = finish(process)
    assert done.status == 130
    assert done.stdout == ""
    # The empty line ends the one in which a terminal shows ^C.
    assert done.stderr == "\nkcompile: interrupted\n"
    assert gone(leader)
    assert gone(child)
    assert list(scratch.iterdir()) == []
    assert not report.exists()


def test_a_failed_sample_leaves_no_folder_either_when_interrupted(
    tmp_path: Path, checkpoint: Path, scratch: Path
) -> None:
    """One worker's job has failed, and is tried again; the interruption ends that too."""
    lock, once = tmp_path / "lock", tmp_path / "once"
    fake = fake_ngspice(tmp_path, f"fail-once {once}", f"lock {lock}", "hang")
    process = start("verify", checkpoint, "--ngspice", fake)
    wait_until(process, lock)
    process.send_signal(signal.SIGINT)
    assert finish(process).status == 130
    assert once.exists()
    assert gone(lock)
    assert list(scratch.iterdir()) == []


def test_hanging_up_on_a_command_that_was_told_not_to_mind(
    tmp_path: Path, checkpoint: Path, scratch: Path
) -> None:
    """``nohup`` has a command ignore SIGHUP, and so it does."""
    lock, go = tmp_path / "lock", tmp_path / "go"
    fake = fake_ngspice(tmp_path, f"lock {lock}", f"await {go}", "exit 1")

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start("verify", checkpoint, "--ngspice", fake, preexec_fn=ignore)
    wait_until(process, lock)
    process.send_signal(signal.SIGHUP)
    go.touch()
    assert finish(process).status == 4
