"""``kcompile evaluate``: how good a network is at its task, in software."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from kcompile.cli.options import (
    FILE,
    checkpoint_options,
    data_option,
    json_option,
)
from kcompile.cli.progress import stages
from kcompile.cli.results import require_place


@click.command()
@click.argument("checkpoint", type=FILE)
@data_option
@click.option("--limit", type=int, help="Look at no more than so many test samples.")
@checkpoint_options
@json_option
def evaluate(
    *,
    checkpoint: Path,
    data: Path | None,
    limit: int | None,
    config: Path | None,
    law: str | None,
    duration: float | None,
    json_file: Path | None,
) -> None:
    """Tells the score of CHECKPOINT on its task's test split, by the converged equations.

    Mean squared error of regressions (of answers scaled to 0..1), accuracy of classifiers (0..1),
    negative log-likelihood of generators (nats), effective share of the draws of density matchers
    (0..1).
    """
    import kcompile
    from kcompile.files import write_json

    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    for note in model.notes:
        click.echo(f"note: {note}", err=True)
    varied = model.training.get("variations")
    if isinstance(varied, dict):
        names = ", ".join(cast("dict[str, Any]", varied))
        click.echo(
            f"note: it was trained with {names}, and is asked without; kcompile montecarlo --vary "
            "asks its circuits",
            err=True,
        )
    if json_file is not None:
        require_place(json_file)
    with stages(model.name) as show:
        found = kcompile.evaluate(model, data=data, limit=limit, on_progress=partial(show, "test"))
    click.echo(
        f"{model.name}: {found.metric} {found.value:.5g} on {found.samples} test samples of "
        f"{found.task}, converged within {found.error:.0e}, {found.seconds:.1f} s"
    )
    if json_file is not None:
        write_json(json_file, found.to_dict())
