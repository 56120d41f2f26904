"""``kcompile montecarlo``: how circuits with imperfections do, and how many are good enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import (
    FILE,
    SPICE_OPTIONS,
    checkpoint_options,
    compile_options,
    data_option,
    experiment_options,
    json_option,
    make_compile_options,
    refuse_unused,
    simulator_options,
)
from kcompile.cli.progress import stages
from kcompile.cli.results import results


@click.command()
@click.argument("checkpoint", type=FILE)
@experiment_options
@click.option("--runs", type=int, default=1000, show_default=True, help="How many circuits.")
@click.option("--spec", help="What a good circuit must reach, such as 'accuracy>=0.95'.")
@click.option(
    "--checks",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Simulate so many of the circuits in SPICE, too, and compare.",
)
@click.option(
    "--check-samples",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Samples of each circuit that SPICE gets.",
)
@click.option(
    "--alone",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Circuits with each effect alone, for the ranking; 0: no ranking.",
)
@click.option("--report", type=FILE, help="Folder for montecarlo.json and pictures.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier run had finished.")
@data_option
@checkpoint_options
@compile_options
@simulator_options
@json_option
def montecarlo(
    *,
    checkpoint: Path,
    vary: tuple[str, ...],
    runs: int,
    engine: str,
    samples: int | None,
    inputs: Path | None,
    spec: str | None,
    checks: int,
    check_samples: int,
    alone: int,
    tolerance: float,
    report: Path | None,
    fresh: bool,
    data: Path | None,
    config: Path | None,
    law: str | None,
    duration: float | None,
    simulator: str,
    ngspice: Path | None,
    jobs: int,
    timeout: float,
    seed: int,
    json_file: Path | None,
    **compiling: Any,
) -> None:
    """Draws circuits of CHECKPOINT with imperfections and says how they do.

    docs/variations.md lists the effects. Exit status 1: circuits that were checked in SPICE
    disagree with their equations; 4: no circuit has an answer.
    """  # fmt: skip
    import kcompile
    from kcompile.experiments import Plan
    from kcompile.variations import read_variations
    from kcompile.verification import read_inputs

    variations = read_variations(vary)
    if engine != "spice" and not checks:
        refuse_unused(SPICE_OPTIONS, "--checks or --engine spice")
    options = make_compile_options(**compiling)
    plan = Plan(
        variations, runs, seed, engine, checks, check_samples, alone, tolerance, spec, options,
        simulator, ngspice, jobs, timeout,
    )  # fmt: skip
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    given = None if inputs is None else read_inputs(inputs, model)
    with results(json_file, report, "montecarlo.json") as write:
        with stages(model.name) as show:
            found = kcompile.montecarlo(
                model, plan, inputs=given, samples=samples, data=data, resume=not fresh,
                on_progress=show,
            )  # fmt: skip
        rows = table()
        for label, text in found.table():
            rows.add_row(label, text)
        console().print(rows)
        click.echo(f"note: {found.note}", err=True)
        for check in found.checks:
            if check.problem is not None:
                click.echo(f"circuit {check.index}: {check.problem}", err=True)
        write(found)
    if found.first_problem is not None:
        click.echo(f"kcompile: {found.failed} without an answer: {found.first_problem}", err=True)
    if not found.agreed:
        click.echo("kcompile: circuits in SPICE disagree with their equations", err=True)
    nothing = found.failed == found.runs
    raise click.exceptions.Exit(4 if nothing else 0 if found.agreed else 1)
