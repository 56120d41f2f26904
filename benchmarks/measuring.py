"""Results, sizes, and what a child process takes."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LAUNCHER = Path(__file__).with_name("launcher.py")

Progress = Callable[[str], None]
"""Hears what is measured now."""


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Args:
        name: of the comparison.
        ours, baseline: measured in the same run, in ``unit``.
        unit: of both.
        what: what exactly was measured, and how often.
        error: why the comparison is void, e.g. because answers differ.
    """

    name: str
    ours: float
    baseline: float
    unit: str
    what: str
    error: str | None = None

    @property
    def ratio(self) -> float | None:
        """How many times less ours takes; None where the comparison is void."""
        return None if self.error else self.baseline / self.ours

    def to_dict(self) -> dict[str, Any]:
        """The entry of ``bench.json``."""
        what = f"ERROR: {self.error}; {self.what}" if self.error else self.what
        return {
            "name": self.name, "ours": self.ours, "baseline": self.baseline,
            "ratio": self.ratio, "unit": self.unit, "what": what,
        }  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How large the networks are, and how often each thing is measured.

    Args:
        side: of the square images; a layer has ``side**2`` nodes.
        simulations: of the quick circuit; the slow one is run half as often, at least once.
        repeats: of what takes a second.
        starts: of what takes a fraction of one.
        samples: that the reference is solved for.
        epochs: of training; the slow way is trained for a few of them, at least one.
        batch: images in a training step whose memory is measured.
        images: through the large network in one session.
        inputs: through the small network in sessions.
        growth: sides of the images of the networks whose cost is fitted.
    """

    side: int
    simulations: int
    repeats: int
    starts: int
    samples: int
    epochs: int
    batch: int
    images: int
    inputs: int
    growth: tuple[int, ...]


FULL = Size(
    side=28, simulations=2, repeats=3, starts=9, samples=16, epochs=400, batch=128, images=20,
    inputs=10_000, growth=(6, 10, 17, 28, 50, 85, 119),
)  # fmt: skip
QUICK = Size(
    side=6, simulations=1, repeats=1, starts=1, samples=2, epochs=2, batch=1, images=2, inputs=12,
    growth=(6, 8),
)  # fmt: skip


@contextmanager
def one_core() -> Iterator[str]:
    """This process on one core, torch on one thread; what to say of it."""
    import torch

    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    torch.set_num_threads(1)
    if cores:
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield "one core" if cores else "one thread"
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)


def cpu_time(work: Callable[[], object], calls: int = 1) -> float:
    """Seconds of processor time of one call, as the mean of several."""
    began = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - began) / calls


def gpu_time(work: Callable[[], object], calls: int = 1) -> float:
    """Seconds of wall time of one call that a GPU works on, as the mean of several."""
    import torch

    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(calls):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls


def clock_of(device: str) -> tuple[Callable[..., float], str, str]:
    """The clock for what a device works on, what it shows, and the end of a comparison's name."""
    cpu = device == "cpu"
    return (cpu_time, "CPU time", "") if cpu else (gpu_time, "wall time", " on the GPU")


@dataclass(frozen=True)
class Usage:
    """What a child process took.

    Args:
        cpu: seconds, user and system, its own children included.
        wall: seconds.
        memory: bytes, the largest resident set.
        said: its standard output.
    """

    cpu: float
    wall: float
    memory: int
    said: str


def run_child(
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 1800.0,
) -> Usage:
    """Runs a program in ``folder`` and measures it; it does not outlive an interruption.

    Raises:
        RuntimeError: it failed, or took too long.
    """
    report, said = folder / "usage.json", folder / "said.txt"
    report.unlink(missing_ok=True)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(report)]
    with said.open("wb") as stream:
        group = subprocess.Popen(
            [*launcher, *map(str, command)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            group.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{command[0]} took more than {timeout:g} s") from error
        finally:
            if group.returncode is None:
                os.killpg(group.pid, signal.SIGKILL)
                group.wait()
    text = said.read_text(errors="replace")
    figures: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {}
    if figures.get("status") != 0:
        tail = " ".join(text.split()[-40:])
        raise RuntimeError(f"{command[0]} left with status {figures.get('status')}: {tail}")
    return Usage(figures["cpu"], figures["wall"], figures["memory"], text)


def median_of(usages: Sequence[Usage]) -> Usage:
    """The median of each quantity, with the last one's words."""
    return Usage(
        statistics.median(usage.cpu for usage in usages),
        statistics.median(usage.wall for usage in usages),
        int(statistics.median(usage.memory for usage in usages)),
        usages[-1].said,
    )
