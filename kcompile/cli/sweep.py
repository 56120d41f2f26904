"""``kcompile sweep``: what becomes of a network while one number of its circuit changes."""

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
from kcompile.errors import UsageError


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option(
    "--over",
    required=True,
    metavar="KEY=VALUES",
    help="What to sweep: EFFECT.NUMBER, device.NAME, temperature, scale, v0, i0, c0, over 1,2,5 or "
    "START:STOP:COUNT or START:STOP:COUNT:log.",
)
@experiment_options
@click.option("--runs", type=int, default=20, show_default=True, help="Circuits at every value.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier run had finished.")
@click.option("--report", type=FILE, help="Folder for sweep.json and the picture.")
@data_option
@checkpoint_options
@compile_options
@simulator_options
@json_option
def sweep(
    *,
    checkpoint: Path,
    over: str,
    vary: tuple[str, ...],
    runs: int,
    engine: str,
    samples: int | None,
    inputs: Path | None,
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
    """Changes one number of CHECKPOINT's circuit and says how the network does at every value."""
    import kcompile
    from kcompile.experiments import Plan, parse_values
    from kcompile.variations import read_variations
    from kcompile.verification import read_inputs

    key, sign, text = over.partition("=")
    if not sign:
        raise UsageError(f"{over!r} names no values", where="--over", hint="write KEY=VALUES")
    values = parse_values(text)
    if engine != "spice":
        refuse_unused(SPICE_OPTIONS, "--engine spice")
    plan = Plan(
        read_variations(vary), runs, seed, engine, tolerance=tolerance,
        options=make_compile_options(**compiling), simulator=simulator, ngspice=ngspice, jobs=jobs,
        timeout=timeout,
    )  # fmt: skip
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    given = None if inputs is None else read_inputs(inputs, model)
    with results(json_file, report, "sweep.json") as write:
        with stages(model.name) as show:
            found = kcompile.sweep(
                model, key.strip(), values, plan, inputs=given, samples=samples, data=data,
                resume=not fresh, on_progress=show,
            )  # fmt: skip
        rows = table(*found.header())
        for row in found.rows():
            rows.add_row(*row)
        console().print(rows)
        write(found)
    problem = next((p.problem for p in found.points if p.problem is not None), None)
    if problem is not None:
        click.echo(f"kcompile: circuits without an answer: {problem}", err=True)
    nothing = all(point.failed == found.runs for point in found.points)
    raise click.exceptions.Exit(4 if nothing else 0)
