"""Runs many jobs, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from kcompile.errors import UsageError
from kcompile.simulation.folder import remove
from kcompile.simulation.job import Job, JobResult, Simulator
from kcompile.simulation.process import ProcessGroups
from kcompile.simulation.runner import run_job

KEPT_FOLDERS = 16
"""Folders kept of failed jobs: what fails a thousand times in the same way must not fill a disk."""


def run_jobs(
    simulator: Simulator,
    jobs: Iterable[Job],
    *,
    workers: int = 2,
    timeout: float,
    on_done: Callable[[JobResult], None] | None = None,
    work: Path | None = None,
    keep_waveforms: bool = True,
) -> list[JobResult]:
    """Runs jobs beside each other and gives their results in the order of the jobs.

    A job that fails is tried once more, in a fresh process. An exception, Ctrl-C included, stops
    every simulator that runs and removes its folder before it goes on its way.

    Args:
        simulator: what runs them.
        jobs: asked for the next one only when a worker is free.
        workers: how many run at a time.
        timeout: seconds for one attempt.
        on_done: called in this thread with each result, in the order in which jobs end.
        work: where private folders are made; by default where temporary files go.
        keep_waveforms: False leaves the waveforms out of the list once ``on_done`` has seen them,
            so that memory does not grow with the number of jobs.

    Raises:
        UsageError: ``workers`` is less than 1, or the timeout is not positive and finite.
        DeckError, SimulatorNotFound, StorageError: as ``run_job``.
    """
    if workers < 1:
        raise UsageError(f"{workers} jobs at a time", where="--jobs", hint="give at least 1")
    groups = ProcessGroups()
    results: dict[int, JobResult] = {}
    pending: dict[Future[JobResult], int] = {}
    kept = 0

    def collect() -> None:
        nonlocal kept
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            result = future.result()
            if result.folder is not None:
                kept += 1
                if kept > KEPT_FOLDERS:
                    remove(result.folder)
                    result = replace(result, folder=None)
            if on_done is not None:
                on_done(result)
            index = pending.pop(future)
            results[index] = result if keep_waveforms else replace(result, waveforms={})

    with ThreadPoolExecutor(workers, thread_name_prefix="simulation") as executor:
        try:
            for index, job in enumerate(jobs):
                future = executor.submit(_run_twice, simulator, job, timeout, work, groups)
                pending[future] = index
                if len(pending) >= workers:
                    collect()
            while pending:
                collect()
        except BaseException:
            groups.stop()
            executor.shutdown()
            _forget(pending)
            raise
    return [results[index] for index in range(len(results))]


def _forget(futures: Iterable[Future[JobResult]]) -> None:
    """Removes the folders of failed jobs that nobody will ever hear of."""
    for future in futures:
        if not future.cancelled() and future.exception() is None:
            folder = future.result().folder
            if folder is not None:
                remove(folder)


def _run_twice(
    simulator: Simulator, job: Job, timeout: float, work: Path | None, groups: ProcessGroups
) -> JobResult:
    """The result of the first attempt, or of the second where the first failed."""
    first = run_job(simulator, job, timeout=timeout, work=work, groups=groups)
    if first.ok:
        return first
    try:
        second = run_job(simulator, job, timeout=timeout, work=work, groups=groups)
        return replace(second, attempts=2, earlier=f"{first.status}: {first.reason}")
    finally:
        if first.folder is not None:
            remove(first.folder)
