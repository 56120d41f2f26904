"""``kcompile sample``: samples of a generative network, and pictures of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from kcompile.cli.options import (
    FILE,
    checkpoint_options,
    data_option,
    json_option,
    seed_option,
)
from kcompile.cli.progress import stages
from kcompile.cli.results import require_place
from kcompile.errors import UsageError


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option("-n", "count", type=int, default=1000, show_default=True, help="How many samples.")
@click.option("-o", "--output", type=FILE, help="File for the samples [NAME-samples.npz].")
@click.option("--plots", type=FILE, help="Folder for pictures of them.")
@data_option
@checkpoint_options
@seed_option
@json_option
def sample(
    *,
    checkpoint: Path,
    count: int,
    output: Path | None,
    plots: Path | None,
    data: Path | None,
    config: Path | None,
    law: str | None,
    duration: float | None,
    seed: int,
    json_file: Path | None,
) -> None:
    """Draws samples from CHECKPOINT, a generative network, by the converged equations.

    The file holds samples [N, nodes], log_density [N] (nats) and start [N, nodes], the normal draws
    that they came from. --data matters to the pictures alone.
    """
    import kcompile
    from kcompile.files import write_json
    from kcompile.tasks import gallery

    if data is not None and plots is None:
        raise UsageError("no pictures are asked for", where="--data", hint="add --plots DIR")
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    for note in model.notes:
        click.echo(f"note: {note}", err=True)
    target = output or Path(f"{model.name}-samples.npz")
    for place in (target, json_file, None if plots is None else plots / "samples.png"):
        if place is not None:
            require_place(place)
    data_shown = None if plots is None else gallery.beside(model, data)
    with stages(model.name) as show:
        drawn = kcompile.sample(model, count, seed=seed, on_progress=partial(show, "samples"))
    click.echo(
        f"{model.name}: {count} samples, seed {seed}, mean log density "
        f"{drawn.log_density.mean():.5g}, converged within {drawn.error:.0e}, {drawn.seconds:.1f} s"
    )
    files = [drawn.write(target)]
    if plots is not None:
        files += gallery.draw(drawn, data_shown).save(plots)
    for file in files:
        click.echo(f"wrote {file}")
    if json_file is not None:
        write_json(json_file, drawn.to_dict())
