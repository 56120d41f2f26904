"""``kcompile golden``: the cases whose decks and waveforms are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import FILE, json_option

if TYPE_CHECKING:
    from kcompile.verification.golden import GoldenResult


@click.command()
@click.argument("names", nargs=-1)
@click.option("--folder", type=FILE, default=Path("golden"), show_default=True)
@click.option("--update", is_flag=True, help="Write checkpoints, decks and waveforms anew.")
@click.option("--ngspice", type=FILE, help="Which ngspice to run.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@json_option
def golden(
    *,
    names: tuple[str, ...],
    folder: Path,
    update: bool,
    ngspice: Path | None,
    jobs: int,
    json_file: Path | None,
) -> None:
    """Runs the golden cases (or the NAMES of some) and compares decks, waveforms and verdicts."""
    run_golden(folder, names, update=update, ngspice=ngspice, jobs=jobs, json_file=json_file)


def run_golden(
    folder: Path,
    names: tuple[str, ...],
    *,
    update: bool = False,
    ngspice: Path | None = None,
    jobs: int = 2,
    json_file: Path | None = None,
) -> None:
    """Runs or updates golden cases, prints the table, and leaves with status 1 if one failed."""
    from kcompile.cli.progress import stages
    from kcompile.files import write_json
    from kcompile.verification.golden import find_cases, run_case, update_case

    cases = find_cases(folder, names)
    results: list[GoldenResult] = []
    with stages("golden") as show:
        for done, case in enumerate(cases):
            show("cases", done, len(cases))
            act = update_case if update else run_case
            results.append(act(case, ngspice=ngspice, jobs=jobs))
    rows = table("case", "device", "nodes", "edges", "layers", "error", "allowed", "verdict")
    for result in results:
        rows.add_row(*_row(result))
    out = console()
    out.print(rows)
    failed = [result for result in results if not result.passed]
    for result in failed:
        for problem in result.problems:
            out.print(f"{result.case.name}: {problem}", soft_wrap=True, markup=False)
    out.print(f"{len(results) - len(failed)} of {len(results)} golden cases passed")
    if json_file is not None:
        write_json(json_file, [_record(result) for result in results])
    if failed:
        raise click.exceptions.Exit(1)


def _row(result: GoldenResult) -> tuple[str, ...]:
    report = result.report
    if report is None:
        return (result.case.name, "", "", "", "", "", "", "fail")
    error = report.summary.max_abs_error
    return (
        result.case.name,
        f"{report.compile.device_family} -O{report.compile.opt_level}"
        + (", single deck" if result.case.options.single_deck else ""),
        str(report.model.nodes),
        str(report.model.edges),
        str(report.model.phases),
        "-" if error is None else f"{error:.1e}",
        f"{report.allowed:.1e}",
        "pass" if result.passed else "fail",
    )


def _record(result: GoldenResult) -> dict[str, object]:
    report, change = result.report, result.waveform_change
    return {
        "case": result.case.name,
        "passed": result.passed,
        "problems": list(result.problems),
        "waveform_change": change if change is not None and math.isfinite(change) else None,
        "max_abs_error": None if report is None else report.summary.max_abs_error,
    }
