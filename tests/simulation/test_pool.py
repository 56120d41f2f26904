"""Many jobs: order, retries, laziness, and what happens when somebody presses Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kcompile.errors import DeckError, UsageError
from kcompile.simulation import Job, JobResult, Ngspice, Status, pool, run_jobs

Jobs = Callable[..., Job]


def test_results_come_in_the_order_of_the_jobs(fake: Ngspice, job: Jobs, work: Path) -> None:
    """The first job waits for the last one, so they cannot end in order."""
    gate = work.parent / "gate"
    jobs = [
        job(f"await {gate}", "raw good", name="first"),
        job("raw early", name="second"),
        job("raw good", name="third"),
    ]
    seen: list[str] = []
    callers: set[int] = set()

    def on_done(result: JobResult) -> None:
        seen.append(result.name)
        if result.name == "third":
            gate.touch()
        callers.add(threading.get_ident())

    results = run_jobs(fake, jobs, workers=3, timeout=60, on_done=on_done, work=work)
    assert [result.name for result in results] == ["first", "second", "third"]
    assert [result.status for result in results] == [Status.OK, Status.STOPPED_EARLY, Status.OK]
    assert sorted(seen) == ["first", "second", "third"]
    assert seen.index("third") < seen.index("first")
    assert callers == {threading.get_ident()}


def test_a_failed_job_is_tried_once_more(fake: Ngspice, job: Jobs, work: Path) -> None:
    flag = work.parent / "flag"
    once, twice = run_jobs(
        fake,
        [job(f"fail-once {flag}", "raw good"), job("raw early")],
        timeout=60,
        work=work,
    )
    assert (once.status, once.attempts, once.folder) == (Status.OK, 2, None)
    assert (twice.status, twice.attempts) == (Status.STOPPED_EARLY, 2)
    assert list(work.iterdir()) == [twice.folder]


def test_no_more_jobs_are_made_than_are_needed(fake: Ngspice, job: Jobs, work: Path) -> None:
    ahead: list[int] = []
    done = 0

    def jobs() -> Iterator[Job]:
        for made in range(6):
            ahead.append(made - done)
            yield job("raw good", name=str(made))

    def on_done(result: JobResult) -> None:
        nonlocal done
        done += 1

    results = run_jobs(fake, jobs(), workers=2, timeout=60, on_done=on_done, work=work)
    assert [result.name for result in results] == list("012345")
    assert max(ahead) <= 1


def test_waveforms_need_not_be_kept(fake: Ngspice, job: Jobs, work: Path) -> None:
    seen: list[int] = []
    results = run_jobs(
        fake,
        [job("raw good")] * 3,
        timeout=60,
        work=work,
        on_done=lambda result: seen.append(len(result.waveforms["run.raw"])),
        keep_waveforms=False,
    )
    assert seen == [5, 5, 5]
    assert all(result.ok and not result.waveforms and result.time_points == 5 for result in results)


def test_a_thousand_failures_do_not_fill_the_disk(
    fake: Ngspice, job: Jobs, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "KEPT_FOLDERS", 2)
    results = run_jobs(fake, [job("raw early")] * 4, timeout=60, work=work)
    folders = [result.folder for result in results if result.folder is not None]
    assert len(folders) == 2
    assert sorted(folders) == sorted(work.iterdir())


def test_no_workers_are_a_usage_error(fake: Ngspice, job: Jobs) -> None:
    with pytest.raises(UsageError):
        run_jobs(fake, [job("raw good")], workers=0, timeout=60)
    assert run_jobs(fake, [], timeout=60) == []


@pytest.mark.parametrize("where", ["jobs", "on_done", "deck"])
def test_an_exception_stops_everything_and_leaves_nothing(
    fake: Ngspice, job: Jobs, work: Path, dies: Callable[[Path], bool], where: str
) -> None:
    """A job that would hang for ten minutes runs beside; the test ends only if it is killed."""
    lock = work.parent / "lock"
    hanging = job(f"lock {lock}", "hang")

    def wait_for_lock() -> None:
        while not lock.exists() or not lock.stat().st_size:
            time.sleep(0.005)

    def jobs() -> Iterator[Job]:
        yield hanging
        wait_for_lock()
        if where == "jobs":
            raise LookupError
        yield replace(hanging, deck=Path("none")) if where == "deck" else job("raw good")

    def on_done(result: JobResult) -> None:
        raise LookupError

    expected = DeckError if where == "deck" else LookupError
    with pytest.raises(expected):
        run_jobs(fake, jobs(), timeout=600, on_done=on_done, work=work)
    assert dies(lock)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("call", ["run_jobs(fake, [job, job], timeout=600, work=work)",
                                  "run_job(fake, job, timeout=600, work=work)"])  # fmt: skip
def test_ctrl_c_ends_every_process_and_leaves_nothing(
    fake: Ngspice, job: Jobs, work: Path, dies: Callable[[Path], bool], call: str
) -> None:
    leader, child = work.parent / "leader", work.parent / "child"
    hanging = job("ignore-sigterm", f"child {child}", f"lock {leader}", "hang")
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from kcompile.simulation import Job, Ngspice, run_job, run_jobs

        fake = Ngspice(Path({str(fake.path)!r}), 45, frozenset(), "")
        work = Path({str(work)!r})
        job = Job("a", Path({str(hanging.deck)!r}), {dict(hanging.files)!r}, {{"run.raw": 1.0}})
        try:
            {call}
        except KeyboardInterrupt:
            sys.exit(130)
        """
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(root)}
    )
    try:
        while not leader.exists() or not leader.stat().st_size:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert dies(leader)
    assert dies(child)
    assert list(work.iterdir()) == []
