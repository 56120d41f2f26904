"""``python -m benchmarks``: ours against the baselines, as a table and ``bench.json``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import commands, emission, growth, inputs, kernels, large, simulations
from benchmarks.measuring import FULL, QUICK, Result, Size
from kcompile.errors import KcompileError
from kcompile.files import write_json

PARTS = ("commands", "emission", "simulations", "large", "kernels", "gpu")
NETWORK = "KCOMPILE_BENCH_NETWORK"
"""Environment variable that names a checkpoint in the place of the seeded large network."""


def main() -> int:
    """Runs what is asked for; 0 if every comparison stands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny networks, once: does it run?")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument(
        "--network", type=Path, default=os.environ.get(NETWORK) or None, metavar="CHECKPOINT",
        help=f"instead of the seeded large network (or name it in ${NETWORK})",
    )  # fmt: skip
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="where the plot of cost against edges goes"
    )
    given = parser.parse_args()
    results: list[Result] = []
    notes: list[str] = []
    try:
        for result in _run(given, notes):
            results.append(result)
            _say(f"  {result.name}: {_ratio(result)}")
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return 130
    print(_table(results))
    print("".join(f"\n{note}\n" for note in notes), end="")
    write_json(given.output, [result.to_dict() for result in results])
    _say(f"written: {given.output}")
    return int(any(result.error for result in results))


def _run(given: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    parts: Sequence[str] = given.only or PARTS
    size: Size = QUICK if given.quick else FULL
    if "commands" in parts:
        yield from commands.results(size, _say)
    if "emission" in parts:
        yield from emission.results(size, _say)
    elif "large" in parts:
        yield from emission.results(size, _say, only="PySpice objects")
    if "simulations" in parts:
        yield from simulations.results(size, _say, notes)
    if "large" in parts:
        yield from large.results(size, _say, notes, given.network)
        yield from growth.results(size, _say, notes, given.picture)
        yield from inputs.results(size, _say)
    if "kernels" in parts:
        yield from kernels.results(size, _say, notes)
    if "gpu" in parts:
        if kernels.has_gpu():
            yield from kernels.gpu_results(size, _say)
        else:
            _say("no CUDA device: the part gpu is left out")


def _table(results: list[Result]) -> str:
    lines = ["| comparison | ours | baseline | unit | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.name} | {r.ours:.3g} | {r.baseline:.3g} | {r.unit} | {_ratio(r)} |" for r in results
    ]
    return "\n".join(["", *lines, "", *(f"{r.name}: {r.to_dict()['what']}." for r in results)])


def _ratio(result: Result) -> str:
    return "ERROR" if result.ratio is None else f"{result.ratio:.3g}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KcompileError as error:
        _say(f"benchmarks: {error}")
        sys.exit(error.exit_status)
