"""One child process with a time limit, in a process group that never outlives its call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kcompile.errors import SimulatorNotFound, UsageError
from kcompile.files import storage_error

STDOUT = "simulator.out"
STDERR = "simulator.err"

_GRACE = 2.0
"""Seconds between asking a process group to end and ending it."""
_TIED = """import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a program that is killed (9) when the thread that started it ends (1: PR_SET_PDEATHSIG)."""

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SPICE_LIB_DIR", "SPICE_SCRIPTS")
"""What a simulator may need to be found and to find its own files; nothing else is inherited."""


class Stopped(Exception):
    """The caller asked for everything to stop."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        returncode: its exit status, negative for the signal that ended it.
        timed_out: it was stopped because its time was over.
        seconds: wall time.
    """

    returncode: int
    timed_out: bool
    seconds: float


def check_time_limit(seconds: float) -> None:
    """Raises ``UsageError`` where a time limit is not a positive, finite number of seconds."""
    if not 0.0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(
            f"the time limit is {seconds!r} s", hint="give a positive number of seconds"
        )


class ProcessGroups:
    """The process groups that run now, so that one call can stop them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[ProcessGroup] = set()
        self._stopped = False

    def stop(self) -> None:
        """Kills every group and lets no further one start."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                group.signal(signal.SIGKILL)

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped

    def run(self, command: Sequence[str], folder: Path, *, timeout: float) -> Ended:
        """Runs ``command`` in ``folder`` to its end, or to the end of its time.

        Nothing of the process group survives the call, also where it is interrupted. Standard
        output and error become the files ``STDOUT`` and ``STDERR`` in ``folder``; there is no
        standard input.

        Args:
            command: the argument list; no shell sees it.
            folder: where it runs, which is its home folder too.
            timeout: seconds.

        Raises:
            Stopped: ``stop`` was called, before or meanwhile.
            SimulatorNotFound: the program cannot be started.
            StorageError: the output files cannot be made.
            UsageError: the timeout is not a positive, finite number.
        """
        check_time_limit(timeout)
        begin = time.monotonic()
        group = self.start(command, folder)
        try:
            timed_out = group.wait(timeout)
        finally:
            self.end(group)
        if self._stopped:
            raise Stopped
        return Ended(group.returncode, timed_out, time.monotonic() - begin)

    def end(self, group: ProcessGroup) -> None:
        """Kills what is left of a group that ``start`` gave."""
        group.end()
        with self._lock:
            self._running.discard(group)

    def start(self, command: Sequence[str], folder: Path, *, tied: bool = False) -> ProcessGroup:
        """Starts ``command`` as ``run`` does, and leaves it to the caller to ``end`` it.

        Args:
            command, folder: as ``run`` takes them.
            tied: whether it dies when the calling thread does, however that comes about: for what
                would wait forever. Only Linux can do that.

        Raises:
            Stopped, SimulatorNotFound, StorageError: as ``run``.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handles: list[int] = []
        if tied and sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
        try:
            handles = [os.open(folder / name, flags, 0o600) for name in (STDOUT, STDERR)]
            with self._lock:
                if self._stopped:
                    raise Stopped
                group = ProcessGroup(command, folder, environment(folder), handles)
                self._running.add(group)
        except OSError as error:
            raise storage_error(error, folder.parent) from error
        finally:
            for handle in handles:
                os.close(handle)
        return group


class ProcessGroup:
    """A process that leads its own group (and session)."""

    def __init__(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], handles: list[int]
    ) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=handles[0],
                stderr=handles[1],
                start_new_session=True,
            )
        except OSError as error:
            raise SimulatorNotFound(
                f"cannot be started: {(error.strerror or str(error)).lower()}",
                where=command[0],
                hint="reinstall it or name another one with --ngspice",
            ) from error

    @property
    def pid(self) -> int:
        """The leader's number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the leader has not ended yet."""
        if sys.platform == "darwin":
            return self._process.poll() is None
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return not self._ended.is_set() and os.waitid(os.P_PID, self.pid, options) is None

    @property
    def returncode(self) -> int:
        """The leader's exit status, once it has ended."""
        return self._process.wait()

    def wait(self, timeout: float) -> bool:
        """Waits for the leader's end; whether its time ran out before."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.signal(signal.SIGTERM)
            if not self._ended.wait(_GRACE):
                self.signal(signal.SIGKILL)

        timer = threading.Timer(timeout, expire)
        timer.daemon = True
        timer.start()
        try:
            self._wait_unreaped()
        finally:
            timer.cancel()
        return expired.is_set()

    def end(self) -> None:
        """Kills what is left of the group and reaps the leader."""
        with self._lock:
            self._kill(signal.SIGKILL)
            self._process.wait()
            self._ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group, if its leader has not been reaped yet."""
        with self._lock:
            if not self._ended.is_set():
                self._kill(number)

    def _kill(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _wait_unreaped(self) -> None:
        """Waits for the leader's end; as long as it is not reaped, no other group has its number.

        Polling would cost short jobs a good part of their time.
        """
        if sys.platform == "darwin":
            self._process.wait()
        else:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)


def environment(home: Path) -> dict[str, str]:
    """The variables that a simulator runs under: the same for everybody, whatever their shell.

    Its home folder is ``home``, so that nobody's ``.spiceinit`` changes an answer (and because
    ngspice 39 crashes without one). One thread, because jobs run beside each other.
    """
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    fixed = {"HOME": home, "TMPDIR": home, "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": 1}
    return kept | {name: str(value) for name, value in fixed.items()}
