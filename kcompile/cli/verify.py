"""``kcompile verify``: does the circuit compute what the network computes?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kcompile.cli.console import console, table
from kcompile.cli.golden import run_golden
from kcompile.cli.options import (
    FILE,
    checkpoint_options,
    compile_options,
    data_option,
    json_option,
    make_compile_options,
    seed_option,
    simulator_options,
    vary_option,
)
from kcompile.cli.progress import stages
from kcompile.cli.results import results
from kcompile.errors import UsageError

if TYPE_CHECKING:
    from kcompile.verification import Report

_GOLDEN_OPTIONS = ("checkpoint", "ngspice", "jobs", "json_file")
"""What ``verify`` without a checkpoint takes."""


@click.command()
@click.argument("checkpoint", type=FILE, required=False)
@click.option("--samples", type=int, help="How many samples [8, or as many as there are].")
@click.option("--inputs", type=FILE, help="Samples as .npy or .npz, [Nin] or [S, Nin].")
@data_option
@click.option(
    "--tolerance",
    type=float,
    default=1e-3,
    show_default=True,
    help="Largest error allowed, relative to max(1, largest output).",
)
@click.option("--report", type=FILE, help="Folder for report.html, report.json and plots.")
@click.option("--outputs", type=FILE, help="Write inputs, spice and reference here as .npz.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier run had finished.")
@click.option("--force", is_flag=True, help="Start although the memory will hardly do.")
@click.option("-v", "--verbose", is_flag=True, help="Say what each simulator does.")
@click.option("--deck", type=FILE, help="Judge the decks in this folder as they lie.")
@vary_option
@checkpoint_options
@compile_options
@simulator_options
@seed_option
@json_option
def verify(
    *,
    checkpoint: Path | None,
    samples: int | None,
    inputs: Path | None,
    data: Path | None,
    tolerance: float,
    report: Path | None,
    outputs: Path | None,
    fresh: bool,
    force: bool,
    verbose: bool,
    deck: Path | None,
    vary: tuple[str, ...],
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
    """Simulates CHECKPOINT's circuit and compares it with the network's ODE.

    Without CHECKPOINT: every case under golden/. Exit status 0: pass; 1: fail.
    """  # fmt: skip
    if checkpoint is None:
        _only_golden()
        run_golden(Path("golden"), (), ngspice=ngspice, jobs=jobs, json_file=json_file)
        return
    import kcompile
    from kcompile.variations import read_variations
    from kcompile.verification import read_inputs

    variations = read_variations(vary)
    options = make_compile_options(**compiling)
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    given = None if inputs is None else read_inputs(inputs, model)
    with results(json_file, report, "report.json", outputs) as write:
        with stages(model.name) as show:
            result = kcompile.verify(
                model, options=options, inputs=given, samples=samples, data=data,
                tolerance=tolerance, deck=deck, simulator=simulator, ngspice=ngspice, jobs=jobs,
                timeout=timeout, seed=seed, command=shlex.join(["kcompile", *sys.argv[1:]]),
                variations=variations, resume=not fresh, force=force, on_progress=show,
                on_status=show.status, on_worker=_tell_worker if verbose else None,
            )  # fmt: skip
        for note in result.notes:
            click.echo(f"note: {note}", err=True)
        _show(result)
        if outputs is not None:
            result.write_outputs(outputs)
        write(result)
    if result.reason is not None:
        click.echo(f"kcompile: {result.reason}", err=True)
    raise click.exceptions.Exit(result.exit_status)


def _tell_worker(number: int, text: str) -> None:
    click.echo(f"simulator {number + 1}: {text}", err=True)


def _only_golden() -> None:
    """Refuses options that would mean nothing to the golden cases, and a folder without any."""
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name not in _GOLDEN_OPTIONS and source is not ParameterSource.DEFAULT:
            raise UsageError(
                f"{option.opts[-1]}, but no checkpoint is named", where="verify",
                hint="name one, or leave out its options to run the golden cases",
            )  # fmt: skip
    if not Path("golden").is_dir():
        raise UsageError(
            "no checkpoint is named, and there is no golden folder here", where="verify",
            hint="name a checkpoint, or run this in a checkout of kcompile",
        )  # fmt: skip


def _show(report: Report) -> None:
    rows = table()
    for label, text in report.table():
        rows.add_row(label, text)
    console().print(rows)
