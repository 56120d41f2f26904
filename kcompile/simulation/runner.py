"""Runs one job: a process of its own, and a verdict on what it left behind."""

from __future__ import annotations

from pathlib import Path

from kcompile.simulation import log
from kcompile.simulation.folder import (
    make_self_contained,
    make_work_folder,
    remove,
    require_room,
)
from kcompile.simulation.job import Job, JobResult, Simulator, Status
from kcompile.simulation.judge import read_waveforms, verdict
from kcompile.simulation.process import STDERR, STDOUT, Ended, ProcessGroups


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


def _judge(job: Job, folder: Path, ended: Ended) -> JobResult:
    """The result of a job whose process has ended."""
    output = log.read_end(folder / STDOUT, log.OUTPUT)
    errors = log.read_ends(folder / STDERR, log.ENDS)
    findings = read_waveforms(job.waveforms, folder)
    status, reason = verdict(ended, findings, f"{errors}\n{output}")
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
