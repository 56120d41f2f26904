"""The command line: how soon it answers, and what a netlist of a large network takes."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measuring import Progress, Result, Size, Usage, median_of, run_child
from benchmarks.networks import neighbourhood_tanh
from kcompile.frontend import save_checkpoint

_KCOMPILE = (sys.executable, "-c", "from kcompile.cli.main import main; main()")
_NOTHING = (sys.executable, "-c", "pass")
_TORCH = (sys.executable, "-c", "import torch")


def results(size: Size, progress: Progress) -> Iterator[Result]:
    """Start, and time and memory of a netlist beside those of importing torch."""
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        folder = Path(name)
        yield _start(size, progress, folder)
        yield from _netlist(size, progress, folder)


def _start(size: Size, progress: Progress, folder: Path) -> Result:
    progress("kcompile --help")
    ours, baseline = _alternately([*_KCOMPILE, "--help"], _NOTHING, folder, size.starts)
    return Result(
        "kcompile --help / python -c pass",
        ours.cpu,
        baseline.cpu,
        "s",
        f"CPU time of a process (wall {ours.wall:.3f} and {baseline.wall:.3f} s); "
        f"medians of {size.starts}",
    )


def _netlist(size: Size, progress: Progress, folder: Path) -> Iterator[Result]:
    checkpoint = neighbourhood_tanh(size.side)
    save_checkpoint(folder / "net.kc", checkpoint)
    edges = sum(len(batch.src) for phase in checkpoint.phases for batch in phase.batches)
    command = [*_KCOMPILE, "netlist", "net.kc", "-o", "deck"]
    progress(f"kcompile netlist of {edges} edges")
    baseline = _TORCH if importlib.util.find_spec("torch") is not None else _NOTHING
    ours, theirs = _alternately(command, baseline, folder, size.repeats)
    what = (
        f"`kcompile netlist` of {edges} tanh edges in our own checkpoint, which needs no torch, "
        f"beside `python -c {baseline[-1]!r}`; medians of {size.repeats}"
    )
    yield Result(
        f"netlist / {baseline[-1]}: time", ours.cpu, theirs.cpu, "s",
        f"CPU time (wall {ours.wall:.3g} and {theirs.wall:.3g} s): {what}",
    )  # fmt: skip
    yield Result(
        f"netlist / {baseline[-1]}: memory", ours.memory / 1e6, theirs.memory / 1e6, "MB",
        f"largest resident set: {what}",
    )  # fmt: skip


def _alternately(
    ours: Sequence[str], baseline: Sequence[str], folder: Path, times: int
) -> tuple[Usage, Usage]:
    pairs = [(run_child(ours, folder), run_child(baseline, folder)) for _ in range(times)]
    return median_of([pair[0] for pair in pairs]), median_of([pair[1] for pair in pairs])
