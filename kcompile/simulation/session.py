"""An ngspice that loads a deck's layers once and runs them from many initial voltages.

It runs a deck of its own, ``session.cir``, which loads the layers and then goes on by command
files, one for each run of a layer. These are two named pipes, in turn: opening one for writing
succeeds when ngspice has come to reading it, which is when it has done all that the other one said.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import SimulationFailed
from kcompile.files import storage_error
from kcompile.simulation import log
from kcompile.simulation.folder import make_self_contained, make_work_folder, remove
from kcompile.simulation.job import Job, JobResult, Status
from kcompile.simulation.judge import Findings, read_waveforms, verdict
from kcompile.simulation.locate import Ngspice
from kcompile.simulation.process import (
    STDERR,
    STDOUT,
    Ended,
    ProcessGroup,
    ProcessGroups,
    Stopped,
    check_time_limit,
)

ENTRY = "session.cir"
_PIPES = ("even.cmd", "odd.cmd")
_COUNT = "iterations.txt"
_SHORTEST, _LONGEST = 2e-4, 1e-2
"""Seconds between two looks at whether ngspice is ready."""


@dataclass(frozen=True)
class SessionLayer:
    """One layer of a deck folder.

    Args:
        deck: its file, such as ``layer2.cir``.
        waveform: the raw file that its run leaves, such as ``layer2.raw``.
        nodes: what its nodes are called; node k has the capacitor ``ck``, from 1.
        duration: seconds.
    """

    deck: str
    waveform: str
    nodes: tuple[str, ...]
    duration: float


@dataclass(frozen=True, eq=False)
class SessionDeck:
    """A deck folder as a session runs it.

    Args:
        folder: where it lies; nothing in it is ever written to.
        layers: in order.
        libraries: compiled devices, which are loaded before the first layer.
        following: the initial voltages [V] of layer k (1 and up), given the final voltages [V] of
            the layers before it.
    """

    folder: Path
    layers: tuple[SessionLayer, ...]
    libraries: tuple[str, ...]
    following: Callable[[int, Sequence[NDArray[np.float64]]], NDArray[np.float64]]


@dataclass(frozen=True)
class Transient:
    """How finely a layer is simulated.

    Args:
        steps: the step cap is the layer's duration divided by this.
        reltol, trtol: the simulator options of these names.
    """

    steps: int
    reltol: float
    trtol: float


class Session:
    """A running ngspice with a deck in it, to be closed when it has done its work.

    Args:
        simulator: which ngspice.
        deck: what it loads.
        groups: the process groups it joins, so that they can be stopped together.
        work: where its private folder is made; by default where temporary files go.

    Raises:
        DeckError: a deck is missing.
        SimulatorNotFound: ngspice cannot be started.
        StorageError: the folder cannot be made.
        Stopped: ``groups`` was stopped.
    """

    def __init__(
        self,
        simulator: Ngspice,
        deck: SessionDeck,
        groups: ProcessGroups,
        work: Path | None = None,
    ) -> None:
        self._deck, self._groups = deck, groups
        self._turn = 0
        self._pipe: int | None = None
        self._counted = [0] * len(deck.layers)
        self._initial: list[NDArray[np.float64] | None] = [None] * len(deck.layers)
        job = Job(
            "session",
            deck.folder,
            {ENTRY: _script(deck)},
            {layer.waveform: layer.duration for layer in deck.layers},
            ENTRY,
        )
        self.folder: Path | None = make_work_folder(job, work)
        """Its private folder; None when it is closed and removed."""
        try:
            for name in _PIPES:
                os.mkfifo(self.folder / name, 0o600)
            self._group: ProcessGroup = groups.start(
                simulator.command(job, self.folder), self.folder, tied=True
            )
        except OSError as error:
            remove(self.folder)
            raise storage_error(error, self.folder) from error
        except BaseException:
            remove(self.folder)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._group.pid

    def close(self) -> None:
        """Ends ngspice and removes the folder."""
        self._end()
        if self.folder is not None:
            remove(self.folder)
            self.folder = None

    def run(
        self,
        name: str,
        initial: NDArray[np.float64],
        transient: Transient,
        *,
        timeout: float,
    ) -> JobResult:
        """Runs all layers once.

        A run that fails is a result, not an exception: its status says how. The session is over
        then: its folder is kept and named in the result.

        Args:
            name: for people.
            initial: ``float64[N]`` volts of the first layer's nodes.
            transient: how finely.
            timeout: seconds for all layers, and for loading the deck where that was not done yet.

        Raises:
            Stopped: the session's groups were stopped.
            UsageError: the timeout is not a positive, finite number.
        """
        check_time_limit(timeout)
        assert self.folder is not None, "the session is closed"
        began = time.monotonic()
        deadline = began + timeout
        findings, iterations = Findings(), 0
        finals: list[NDArray[np.float64]] = []
        timed_out = False
        try:
            for index, layer in enumerate(self._deck.layers):
                start = self._deck.following(index, finals) if index else initial
                with suppress(OSError):
                    (self.folder / layer.waveform).unlink(missing_ok=True)
                self._send(self._commands(index, start, transient), deadline)
                findings = _joined(findings, read_waveforms(self._expected(layer), self.folder))
                if findings.status is not Status.OK:
                    break
                self._initial[index] = start
                iterations += self._iterations(index)
                wave = findings.waveforms[layer.waveform]
                finals.append(wave.voltages(layer.nodes)[-1])
        except SimulationFailed as error:
            findings.blame(Status.NO_OUTPUT, error.message)
        except _TimeOver:
            timed_out = True
        except _ProcessEnded:
            pass
        if self._groups.stopped:
            raise Stopped
        return self._result(name, findings, iterations, timed_out, time.monotonic() - began)

    def _result(
        self, name: str, findings: Findings, iterations: int, timed_out: bool, seconds: float
    ) -> JobResult:
        assert self.folder is not None
        running = self._group.running
        returncode = 0
        if timed_out or not running:
            self._end()
            returncode = self._group.returncode
        ended = Ended(returncode, timed_out, seconds)
        if findings.status is Status.OK and len(findings.waveforms) < len(self._deck.layers):
            findings.blame(Status.FAILED, "the simulator left before its work was done")
        output = log.read_end(self.folder / STDOUT, log.OUTPUT)
        errors = log.read_ends(self.folder / STDERR, log.ENDS)
        status, reason = verdict(ended, findings, f"{errors}\n{output}")
        kept = None
        if status is not Status.OK:
            self._end()
            for pipe in _PIPES:
                remove(self.folder / pipe)
            with suppress(OSError):  # somebody may have tidied it away
                make_self_contained(self.folder)
            kept, self.folder = self.folder, None
        return JobResult(
            name=name,
            status=status,
            reason=reason,
            waveforms=findings.waveforms,
            iterations=iterations,
            time_points=sum(len(waves) for waves in findings.waveforms.values()),
            seconds=seconds,
            folder=kept,
            log_tail="" if status is Status.OK else log.tail(f"{output}\n{errors}"),
        )

    def _expected(self, layer: SessionLayer) -> dict[str, float]:
        return {layer.waveform: layer.duration}

    def _commands(self, index: int, start: NDArray[np.float64], transient: Transient) -> str:
        layer = self._deck.layers[index]
        # ngspice counts circuits from the one that came last.
        lines = ["*ng_script", f"setcirc {len(self._deck.layers) - index}"]
        before = self._initial[index]
        volts = start.tolist()
        changed = range(len(volts)) if before is None else np.flatnonzero(start != before).tolist()
        lines += [f"alter c{node + 1} ic = {volts[node]!r}" for node in changed]
        settings = {
            "step": repr(layer.duration / transient.steps),
            "stop": repr(layer.duration),
            "reltol": repr(transient.reltol),
            "trtol": repr(transient.trtol),
            "waveform": layer.waveform,
        }
        # As texts: of a number, ngspice would keep six digits.
        lines += [f'set kcompile_{name}="{value}"' for name, value in settings.items()]
        return "".join(f"{line}\n" for line in lines)

    def _iterations(self, index: int) -> int:
        """Newton iterations of the run that just ended; ngspice adds those of a circuit up."""
        assert self.folder is not None
        total = log.iterations(log.read_end(self.folder / _COUNT, log.ENDS))
        before, self._counted[index] = self._counted[index], total
        return max(0, total - before)

    def _send(self, text: str, deadline: float) -> None:
        """Gives ngspice commands, and waits until it has done them."""
        self._await_turn(deadline)
        handle, self._pipe = self._pipe, None
        assert handle is not None
        self._turn += 1
        try:
            self._write(handle, text.encode(), deadline)
        finally:
            os.close(handle)
        self._await_turn(deadline)

    def _await_turn(self, deadline: float) -> None:
        """Opens the pipe that ngspice reads next, once it has come to reading it."""
        assert self.folder is not None
        path, pause = self.folder / _PIPES[self._turn % 2], _SHORTEST
        while self._pipe is None:
            try:
                self._pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise _ProcessEnded from error
                self._check(deadline)
                time.sleep(pause)
                pause = min(1.5 * pause, _LONGEST)

    def _write(self, handle: int, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(handle, left) :]
            except BlockingIOError:
                self._check(deadline)
                select.select([], [handle], [], _LONGEST)
            except BrokenPipeError as error:
                raise _ProcessEnded from error

    def _check(self, deadline: float) -> None:
        """Nothing, as long as ngspice runs and has time."""
        if not self._group.running:
            raise _ProcessEnded
        if time.monotonic() > deadline:
            raise _TimeOver

    def _end(self) -> None:
        """Ends ngspice."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        self._groups.end(self._group)


class _TimeOver(Exception):
    """The deadline passed."""


class _ProcessEnded(Exception):
    """Ngspice is gone."""


def _joined(before: Findings, more: Findings) -> Findings:
    return Findings({**before.waveforms, **more.waveforms}, more.status, more.reason)


def _script(deck: SessionDeck) -> str:
    # Options do not take effect when they are set in a sourced file, and what a pipe brings is one:
    # so a pipe brings variables and initial voltages, and the rest stands here.
    run = [
        "option reltol=$kcompile_reltol",
        "option trtol=$kcompile_trtol",
        "tran $kcompile_step $kcompile_stop 0 $kcompile_step uic",
        f"rusage totiter > {_COUNT}",
        "write $kcompile_waveform",
        "destroy all",
    ]
    lines = [
        "* Loads the layers once, then runs one layer after each command file",
        ".control",
        "set filetype=binary",
        "set num_threads=1",
        *(f"pre_osdi {library}" for library in deck.libraries),
        *(f"source {layer.deck}" for layer in deck.layers),
        "while 1",
        *(line for pipe in _PIPES for line in (f"source {pipe}", *run)),
        "end",
        ".endc",
        ".end",
    ]
    return "".join(f"{line}\n" for line in lines)
