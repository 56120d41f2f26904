"""``kcompile train``: one of the paper's tasks as a trained checkpoint."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kcompile.cli.options import FILE, json_option

if TYPE_CHECKING:
    from kcompile.tasks.training import Progress, Trained

_LINES = 10


@click.command()
@click.argument("task")
@click.option(
    "--size",
    type=click.Choice(["s", "m", "l"]),
    default="s",
    show_default=True,
    help="Network size, as in Table I.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Train this many networks, with seeds from --seed up.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=0,
    show_default=True,
    help="Seed of initialisation and shuffling.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs instead of the recipe's.")
@click.option("-o", "--output", type=FILE, help="The checkpoint [TASK.safetensors].")
@json_option
def train(
    *,
    task: str,
    size: str,
    seeds: int,
    seed: int,
    epochs: int | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Trains a network for TASK and writes its checkpoint.

    The file is written anew after every epoch, so what was trained stays when you interrupt. With
    several --seeds every one gets its own file: NAME-seed0.safetensors and so on.
    """  # fmt: skip
    from kcompile.files import write_json
    from kcompile.frontend.checkpoint import save
    from kcompile.tasks import get_task

    chosen = get_task(task)
    chosen.plan(size)
    importlib.import_module("kcompile.nn")  # says what to install where torch is missing
    from kcompile.tasks.training import summary
    from kcompile.tasks.training import train as run

    target = output or Path(f"{task}.safetensors")
    split = chosen.load()
    results: list[Trained] = []
    for current in range(seed, seed + seeds):
        path = target if seeds == 1 else target.with_stem(f"{target.stem}-seed{current}")
        with _progress(f"{task}-{size}, seed {current}", path) as show:
            result = run(
                chosen,
                size=size,
                seed=current,
                epochs=epochs,
                split=split,
                on_epoch=show,
                save=partial(save, path),
            )
        results.append(result)
        click.echo(_outcome(result, chosen.metric.name, path))
    totals = summary(chosen, size, results)
    if seeds > 1:
        click.echo(f"converged: mean {totals['mean']:.3e}, sd {totals['sd']:.1e}")
    if json_file is not None:
        write_json(json_file, totals)


def _outcome(result: Trained, metric: str, path: Path) -> str:
    return (
        f"{path}: {result.parameters} parameters, seed {result.seed}, test {metric} "
        f"{result.test_metric:.3e} as trained, {result.test_metric_converged:.3e} converged "
        f"(outputs within {result.convergence_error:.0e}), {result.seconds:.0f} s"
    )


@contextmanager
def _progress(name: str, path: Path) -> Generator[Callable[[Progress], None]]:
    """Shows how training goes: a bar on a terminal, else a few plain lines."""
    last: Progress | None = None
    with _bar(name) if sys.stderr.isatty() else nullcontext(partial(_line, name)) as draw:

        def show(progress: Progress) -> None:
            nonlocal last
            last = progress
            draw(progress)

        try:
            yield show
        except KeyboardInterrupt:
            if last is not None:
                click.echo(f"{path} holds epoch {last.epoch} of {last.epochs}", err=True)
            raise


@contextmanager
def _bar(name: str) -> Generator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    ]
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        entry = bar.add_task(name, total=None, state="starting")

        def draw(progress: Progress) -> None:
            state = f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.3e}"
            bar.update(entry, completed=progress.epoch, total=progress.epochs, state=state)

        yield draw


def _line(name: str, progress: Progress) -> None:
    if (
        progress.epoch * _LINES // progress.epochs
        > (progress.epoch - 1) * _LINES // progress.epochs
    ):
        click.echo(
            f"{name}: epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.3e}, "
            f"{progress.remaining:.0f} s to go",
            err=True,
        )
