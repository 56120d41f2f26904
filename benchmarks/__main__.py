"""``python -m benchmarks``: ours against the baselines, as a table and ``bench.json``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, emission, kernels, simulations
from benchmarks.measuring import FULL, QUICK, Result, Size
from kcompile.errors import KcompileError
from kcompile.files import write_json

PARTS = ("commands", "emission", "simulations", "kernels")


def main() -> int:
    """Runs what is asked for; 0 if every comparison stands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny networks, once: does it run?")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), metavar="FILE")
    given = parser.parse_args()
    results: list[Result] = []
    notes: list[str] = []
    try:
        for result in _run(given.only or PARTS, QUICK if given.quick else FULL, notes):
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


def _run(parts: list[str] | tuple[str, ...], size: Size, notes: list[str]) -> Iterator[Result]:
    if "commands" in parts:
        yield from commands.results(size, _say)
    if "emission" in parts:
        yield from emission.results(size, _say)
    if "simulations" in parts:
        yield from simulations.results(size, _say, notes)
    if "kernels" in parts:
        yield from kernels.results(size, _say, notes)


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
