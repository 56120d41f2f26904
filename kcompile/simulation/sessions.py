"""Many inputs through one deck, a few sessions beside each other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.simulation.folder import remove, require_room
from kcompile.simulation.job import JobResult, Status
from kcompile.simulation.locate import Ngspice
from kcompile.simulation.pool import KEPT_FOLDERS
from kcompile.simulation.process import ProcessGroups, Stopped
from kcompile.simulation.session import Session, SessionDeck, Transient

RENEWED_AFTER = 1000
"""Runs of one session: ngspice keeps a little of each, so that a fresh one takes over."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One input.

    Args:
        index: its number.
        initial: ``float64[N]`` volts of the first layer's nodes.
    """

    index: int
    initial: NDArray[np.float64]


def run_sessions(
    simulator: Ngspice,
    deck: SessionDeck,
    samples: Iterable[Sample],
    transient: Transient,
    *,
    workers: int = 2,
    timeout: float,
    on_done: Callable[[int, JobResult], None],
    renew: Callable[[], None] | None = None,
    on_worker: Callable[[int, str], None] | None = None,
    work: Path | None = None,
) -> None:
    """Runs every sample in sessions beside each other; each loads the deck once.

    A sample that fails costs its session, and is tried once more in a fresh one; what went wrong
    at first stays in its result's ``earlier``. An exception, Ctrl-C included, stops every simulator
    and removes its folder before it goes on its way.

    Args:
        simulator: which ngspice.
        deck: what the sessions load.
        samples: asked for the next one only when a worker is free.
        transient: how finely they are simulated.
        workers: how many sessions there are.
        timeout: seconds for one sample, loading included.
        on_done: called in this thread with each sample's number and result, as they end.
        renew: writes the deck anew, before a sample is tried again.
        on_worker: called in this thread with a worker's number (0 and up) and what it does.
        work: where private folders are made; by default where temporary files go.

    Raises:
        UsageError: ``workers`` is less than 1, or the timeout is not positive and finite.
        DeckError, SimulatorNotFound: as ``Session``.
        StorageError: the disk is full, also when a sample was tried again.
    """
    if workers < 1:
        raise UsageError(f"{workers} jobs at a time", where="--jobs", hint="give at least 1")
    groups = ProcessGroups()
    source = _Source(samples)
    found: queue.SimpleQueue[_News] = queue.SimpleQueue()
    plan = _Plan(simulator, deck, transient, timeout, renew, work)
    threads = [
        threading.Thread(
            target=_Worker(number, plan, source, groups, found).work, name=f"session-{number}"
        )
        for number in range(workers)
    ]
    kept = _Kept()
    try:
        for thread in threads:
            thread.start()
        running = workers
        while running:
            news = found.get()
            if isinstance(news.content, BaseException):
                raise news.content
            if news.content is None:
                running -= 1
            elif isinstance(news.content, str):
                if on_worker is not None:
                    on_worker(news.worker, news.content)
            else:
                on_done(news.index, kept.limited(news.content))
    except BaseException:
        groups.stop()
        source.stop()
        raise
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()


@dataclass(frozen=True, eq=False)
class _Plan:
    simulator: Ngspice
    deck: SessionDeck
    transient: Transient
    timeout: float
    renew: Callable[[], None] | None
    work: Path | None


@dataclass(frozen=True, eq=False)
class _News:
    """From a worker: a sample's result, what it does now, its end (None), or an exception."""

    worker: int
    content: JobResult | str | BaseException | None
    index: int = -1


class _Source:
    """The samples, handed out to several threads."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: Iterator[Sample] = iter(samples)
        self._lock = threading.Lock()
        self._stopped = False

    def next(self) -> Sample | None:
        """The next sample; None when there is none, or nobody wants it any more."""
        with self._lock:
            return None if self._stopped else next(self._samples, None)

    def stop(self) -> None:
        """Hands out no more."""
        with self._lock:
            self._stopped = True


class _Kept:
    """Keeps the folders of failed samples from filling a disk."""

    def __init__(self) -> None:
        self._count = 0

    def limited(self, result: JobResult) -> JobResult:
        """The result, without its folder where there are enough."""
        if result.folder is None:
            return result
        self._count += 1
        if self._count <= KEPT_FOLDERS:
            return result
        remove(result.folder)
        return replace(result, folder=None)


class _Worker:
    """One thread with one session at a time."""

    def __init__(
        self,
        number: int,
        plan: _Plan,
        source: _Source,
        groups: ProcessGroups,
        found: queue.SimpleQueue[_News],
    ) -> None:
        self._number, self._plan, self._source = number, plan, source
        self._groups, self._found = groups, found
        self._session: Session | None = None
        self._runs = 0

    def work(self) -> None:
        """Runs samples until there are no more; what it finds goes into the queue."""
        ending: BaseException | None = None
        try:
            while (sample := self._source.next()) is not None:
                result = self._run_twice(sample)
                self._found.put(_News(self._number, result, sample.index))
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is heard
            ending = error
        finally:
            try:
                self._close()
            except BaseException as error:  # noqa: BLE001 - likewise
                ending = ending or error
            self._found.put(_News(self._number, ending))

    def _run_twice(self, sample: Sample) -> JobResult:
        first = self._run(sample)
        if first.ok:
            return first
        earlier = f"{first.status}: {first.reason}"
        self._say(f"sample {sample.index} again after {earlier}")
        try:
            if self._plan.renew is not None:
                self._plan.renew()
            second = self._run(sample)
        finally:
            if first.folder is not None:
                remove(first.folder)
        if second.status in (Status.NO_OUTPUT, Status.TRUNCATED) and second.folder is not None:
            require_room(second.folder)
        return replace(second, attempts=2, earlier=earlier)

    def _run(self, sample: Sample) -> JobResult:
        plan = self._plan
        if self._session is None or self._runs >= RENEWED_AFTER:
            self._close()
            self._say("loading the decks")
            self._session = Session(plan.simulator, plan.deck, self._groups, plan.work)
            self._runs = 0
        self._say(f"sample {sample.index}")
        self._runs += 1
        result = self._session.run(
            f"sample {sample.index}", sample.initial, plan.transient, timeout=plan.timeout
        )
        if not result.ok:
            self._close()
        return result

    def _say(self, text: str) -> None:
        self._found.put(_News(self._number, text))

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
