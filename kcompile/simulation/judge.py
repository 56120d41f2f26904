"""What a simulator left behind, judged: raw files first, then how it ended and what it said."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kcompile.errors import SimulationFailed
from kcompile.simulation import log
from kcompile.simulation.job import Status
from kcompile.simulation.process import Ended
from kcompile.simulation.rawfile import Waveforms, read_raw

TIME_TOLERANCE = 1e-6
"""A waveform is complete if it ends this close to its time, relative."""

_KILLERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU})
"""Signals that come from outside: the process did not crash by itself."""


@dataclass
class Findings:
    """What raw files hold; the first trouble among them decides.

    Args:
        waveforms: by file name, those that could be read.
        status: ``ok``, or the first trouble.
        reason: one line about it.
    """

    waveforms: dict[str, Waveforms] = field(default_factory=dict[str, Waveforms])
    status: Status = Status.OK
    reason: str = ""

    def blame(self, status: Status, reason: str) -> None:
        """Notes a trouble, unless there was one before."""
        if self.status is Status.OK:
            self.status, self.reason = status, reason


def verdict(ended: Ended, findings: Findings, said: str) -> tuple[Status, str]:
    """How a run that left ``findings`` ended, and one line that explains it.

    Args:
        ended: how the process did.
        findings: what it left.
        said: all that it said.
    """
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


def read_waveforms(expected: Mapping[str, float], folder: Path) -> Findings:
    """The raw files in a folder, each with the time that it must reach [s], and what is wrong."""
    findings = Findings()
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
