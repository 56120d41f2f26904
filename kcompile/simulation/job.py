"""What is simulated, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kcompile.simulation.rawfile import Waveforms


class Status(StrEnum):
    """How a simulation ended."""

    OK = "ok"
    TIMED_OUT = "timed-out"
    CRASHED = "crashed"
    KILLED = "killed"
    OUT_OF_MEMORY = "out-of-memory"
    BAD_DECK = "bad-deck"
    NOT_CONVERGED = "not-converged"
    FAILED = "failed"
    NO_OUTPUT = "no-output"
    TRUNCATED = "truncated"
    STOPPED_EARLY = "stopped-early"
    NOT_FINITE = "not-finite"


@dataclass(frozen=True)
class LayerDeck:
    """One layer of a deck folder, for a simulator that cannot run the folder's own script.

    Args:
        deck: the layer's file, such as ``layer2.cir``.
        waveform: the raw file that it leaves, such as ``layer2.raw``.
        sources: at ``j-1``, the pairs (index of an earlier layer, node) whose final voltages add
            up to the initial voltage of node ``j``; no pair is 0 V. Empty: as the deck says.
    """

    deck: str
    waveform: str
    sources: tuple[tuple[tuple[int, int], ...], ...] = ()


@dataclass(frozen=True)
class Job:
    """One simulation of a deck folder.

    Args:
        name: for people.
        deck: the folder; nothing in it is ever written to.
        files: texts that replace or join the folder's files, such as ``inputs.inc``.
        waveforms: the raw files that must result, each with the time it must reach [s].
        entry: the file that the simulator is given.
        layers: the layers that the entry would run, for simulators that cannot run it; empty: the
            entry holds the whole circuit.
    """

    name: str
    deck: Path
    files: Mapping[str, str]
    waveforms: Mapping[str, float]
    entry: str = "run.cir"
    layers: tuple[LayerDeck, ...] = ()

    def __post_init__(self) -> None:
        names = (self.entry, *self.files, *self.waveforms)
        for name in (*names, *(n for layer in self.layers for n in (layer.deck, layer.waveform))):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise ValueError(f"job {self.name!r}: {name!r} is not a plain file name")
        if not self.waveforms:
            raise ValueError(f"job {self.name!r} names no raw file by which to judge it")
        for name, end in self.waveforms.items():
            if not (math.isfinite(end) and end > 0.0):
                raise ValueError(f"job {self.name!r}: {name} is to reach {end!r} seconds")


@dataclass(frozen=True, eq=False)
class JobResult:
    """What came of a job.

    Args:
        name: the job's.
        status: ``ok`` only if the simulator left with 0 and every raw file is complete and finite.
        reason: one line that says what went wrong, with the simulator's own words; "" when ok.
        waveforms: by raw-file name, those that could be read.
        printed: the ``name = value`` lines of the output, the last one of each name.
        iterations: Newton iterations that the simulator reports.
        time_points: in all waveforms together.
        seconds: wall time of the (last) attempt.
        folder: the work folder, kept when the job failed.
        log_tail: the end of what the simulator said.
        attempts: how often it was tried.
        earlier: what went wrong at the first attempt; "" where that was the only one.
    """

    name: str
    status: Status
    reason: str = ""
    waveforms: Mapping[str, Waveforms] = field(default_factory=dict[str, Waveforms])
    printed: Mapping[str, float] = field(default_factory=dict[str, float])
    iterations: int = 0
    time_points: int = 0
    seconds: float = 0.0
    folder: Path | None = None
    log_tail: str = ""
    attempts: int = 1
    earlier: str = ""

    @property
    def ok(self) -> bool:
        """Whether the job has a complete, finite result."""
        return self.status is Status.OK


class Simulator(Protocol):
    """A program that can run a job's deck."""

    def command(self, job: Job, folder: Path) -> list[str]:
        """The argument list that runs ``job`` inside ``folder``, which holds its files."""
        ...
