"""Runs one job: a process of its own, and a verdict on what it left behind."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kcompile.errors import SimulationFailed
from kcompile.simulation import log
from kcompile.simulation.folder import (
    make_self_contained,
    make_work_folder,
    remove,
    require_room,
)
from kcompile.simulation.job import Job, JobResult, Simulator, Status
from kcompile.simulation.process import STDERR, STDOUT, Ended, ProcessGroups
from kcompile.simulation.rawfile import Waveforms, read_raw

TIME_TOLERANCE = 1e-6
"""A waveform is complete if it ends this close to its time, relative."""

_KILLERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU})
"""Signals that come from outside: the process did not crash by itself."""


def run_job(
    simulator: Simulator,
    job: Job,
    *,
    timeout: float,
    work: Path | None = None,
    groups: ProcessGroups | None = None,
) -> JobResult:
    """Runs one job once, in a process and a private folder of its own.

    A job that fails is a result, not an exception: its status says how, and its folder is kept
    and named. The folder of a job that succeeds is removed.

    Args:
        simulator: what runs it, from ``find_ngspice`` or ``find_pyspice``.
        job: what to run.
        timeout: seconds after which the process is stopped.
        work: where the private folder is made; by default where temporary files go.
        groups: the process groups it joins, so that they can be stopped together.

    Raises:
        DeckError: the deck folder or its entry is missing.
        SimulatorNotFound: the simulator cannot be started.
        StorageError: the disk is full or the folder cannot be made.
        UsageError: the timeout is not a positive, finite number.
        Stopped: ``groups`` was stopped.
    """
    groups = groups or ProcessGroups()
    folder = make_work_folder(job, work)
    try:
        ended = groups.run(simulator.command(job, folder), folder, timeout=timeout)
        result = _judge(job, folder, ended)
        if result.ok:
            remove(folder)
        else:
            make_self_contained(folder)
    except BaseException:
        remove(folder)
        raise
    return result


@dataclass
class _Findings:
    """What the raw files of a job hold; the first trouble among them decides."""

    waveforms: dict[str, Waveforms] = field(default_factory=dict[str, Waveforms])
    status: Status = Status.OK
    reason: str = ""

    def blame(self, status: Status, reason: str) -> None:
        if self.status is Status.OK:
            self.status, self.reason = status, reason


def _judge(job: Job, folder: Path, ended: Ended) -> JobResult:
    """The result of a job whose process has ended."""
    output = log.read_end(folder / STDOUT, log.OUTPUT)
    errors = log.read_ends(folder / STDERR, log.ENDS)
    findings = _read_waveforms(job.waveforms, folder)
    status, reason = _verdict(ended, findings, f"{errors}\n{output}")
    if findings.status in (Status.NO_OUTPUT, Status.TRUNCATED):
        require_room(folder)
    return JobResult(
        name=job.name,
        status=status,
        reason=reason,
        waveforms=findings.waveforms,
        printed=log.printed(output),
        iterations=log.iterations(output),
        time_points=sum(len(waves) for waves in findings.waveforms.values()),
        seconds=ended.seconds,
        folder=None if status is Status.OK else folder,
        log_tail=log.tail(f"{output}\n{errors}"),
    )


def _verdict(ended: Ended, findings: _Findings, said: str) -> tuple[Status, str]:
    """The status, and one line that explains it."""
    if ended.timed_out:
        return Status.TIMED_OUT, f"stopped after {ended.seconds:.3g} s, the time limit"
    if ended.returncode == 0 and findings.status is Status.OK:
        return Status.OK, ""
    cause = log.explain(said)
    if ended.returncode < 0:
        status, reason = _signalled(ended.returncode)
        if cause and cause[0] is Status.OUT_OF_MEMORY:
            status = cause[0]
        return status, _with_quote(reason, cause[1] if cause else log.first_error(said))
    if ended.returncode > 0:
        reason = f"the simulator left with status {ended.returncode}"
        status = Status.FAILED
    else:
        status, reason = findings.status, findings.reason
    if cause and status in (Status.FAILED, Status.NO_OUTPUT, Status.STOPPED_EARLY):
        status = cause[0]
    return status, _with_quote(reason, cause[1] if cause else log.first_error(said))


def _signalled(returncode: int) -> tuple[Status, str]:
    try:
        number = signal.Signals(-returncode)
    except ValueError:
        return Status.CRASHED, f"the simulator died of signal {-returncode}"
    if number in _KILLERS:
        more = ", perhaps for lack of memory" if number is signal.SIGKILL else ""
        return Status.KILLED, f"the simulator was killed ({number.name}){more}"
    return Status.CRASHED, f"the simulator crashed ({number.name})"


def _with_quote(reason: str, line: str) -> str:
    return f'{reason}; it said: "{line}"' if line else reason


def _read_waveforms(expected: Mapping[str, float], folder: Path) -> _Findings:
    findings = _Findings()
    for name, end in expected.items():
        try:
            waves = read_raw(folder / name)
        except SimulationFailed as error:
            findings.blame(Status.NO_OUTPUT, f"{name}: {error.message}")
            continue
        findings.waveforms[name] = waves
        reached = float(waves.time[-1]) if len(waves) else 0.0
        if not (np.isfinite(waves.time).all() and np.isfinite(waves.values).all()):
            findings.blame(Status.NOT_FINITE, f"{name}: {_first_bad(waves)} is not finite")
        elif waves.truncated:
            findings.blame(Status.TRUNCATED, f"{name}: cut after {len(waves)} points")
        elif reached < end * (1.0 - TIME_TOLERANCE):
            findings.blame(Status.STOPPED_EARLY, f"{name}: ends at {reached:g} of {end:g} s")
    return findings


def _first_bad(waves: Waveforms) -> str:
    bad = np.flatnonzero(~np.isfinite(waves.values).all(axis=0))
    return f"node {waves.names[bad[0]]}" if len(bad) else "a time point"
