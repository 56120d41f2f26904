"""``kcompile train``: one of the paper's tasks as a trained checkpoint."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kcompile.cli.options import FILE, data_option, json_option, vary_option
from kcompile.cli.results import require_place
from kcompile.errors import UsageError

if TYPE_CHECKING:
    from kcompile.frontend import Checkpoint
    from kcompile.tasks import Preset, Task
    from kcompile.tasks.training import Progress, Trained

_LINES = 10
_QUIET_SECONDS = 30.0


@click.command()
@click.argument("task")
@click.option(
    "--preset",
    "preset_name",
    help="Network and recipe: a preset of the task, or a TOML file of your own [its first].",
)
@click.option("--size", default="s", show_default=True, help="Network size: s, m or l.")
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
    help="Seed of initialisation, shuffling and noise.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs instead of the recipe's.")
@click.option(
    "--lr",
    "learning_rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Learning rate instead of the recipe's.",
)
@vary_option
@click.option(
    "--from",
    "start",
    type=FILE,
    help="Start from the parameters of this checkpoint, ours or published, of the same network.",
)
@click.option("--device", default="cpu", show_default=True, help="Where torch computes: cpu, cuda.")
@click.option(
    "--mlp",
    is_flag=True,
    help="Train Table I's baseline instead, an MLP of as many parameters; no checkpoint.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint that is there.")
@data_option
@click.option("-o", "--output", type=FILE, help="The checkpoint [TASK.safetensors].")
@json_option
def train(
    *,
    task: str,
    preset_name: str | None,
    size: str,
    seeds: int,
    seed: int,
    epochs: int | None,
    learning_rate: float | None,
    vary: tuple[str, ...],
    start: Path | None,
    device: str,
    mlp: bool,
    resume: bool,
    data: Path | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Trains a network for TASK and writes its checkpoint, with a plot of the loss beside it.

    The file is written anew after every epoch: an interrupted run goes on with --resume and ends
    with the same checkpoint. With several --seeds every one gets its own file:
    NAME-seed0.safetensors and so on.

    With --vary every step sees another circuit with these imperfections, so that the network
    learns to live with them; with --from a trained one is fine-tuned.
    """  # fmt: skip
    from kcompile.files import write_json
    from kcompile.tasks import get_task
    from kcompile.variations import read_variations

    chosen = get_task(task)
    preset = _preset(chosen, preset_name)
    preset.plan(size)
    variations = read_variations(vary)
    importlib.import_module("kcompile.nn")  # says what to install where torch is missing
    from kcompile.tasks.summary import summary

    if mlp and (resume or output):
        raise UsageError("--mlp writes no checkpoint", hint="leave -o and --resume out")
    if mlp and (vary or start or learning_rate):
        raise UsageError("--mlp is Table I's baseline", hint="leave --vary, --from and --lr out")
    if mlp and device != "cpu":
        raise UsageError("--mlp trains on the CPU", where="--device", hint="leave it out")
    target = output or Path(f"{chosen.name}.safetensors")
    for place in (None if mlp else target, json_file):
        if place is not None:
            require_place(place)
    split = chosen.load(data)
    if mlp:
        _baselines(chosen, range(seed, seed + seeds), json_file,
                   preset=preset, size=size, epochs=epochs, split=split)  # fmt: skip
        return
    results: list[Trained] = []
    for current in range(seed, seed + seeds):
        path = target if seeds == 1 else target.with_stem(f"{target.stem}-seed{current}")
        results.append(
            _train(
                chosen, path, resume, f"{chosen.name}-{size}, seed {current}",
                preset=preset, size=size, seed=current, epochs=epochs, split=split, device=device,
                learning_rate=learning_rate, variations=variations, start=start,
            )
        )  # fmt: skip
        click.echo(_outcome(results[-1], chosen.score, path))
    totals = summary(chosen, size, results)
    if seeds > 1:
        click.echo(f"converged: mean {totals['mean']:.4g}, sd {totals['sd']:.1e}")
    if json_file is not None:
        write_json(json_file, totals)


def _train(task: Task, path: Path, resume: bool, label: str, **settings: Any) -> Trained:
    from kcompile.frontend.checkpoint import save
    from kcompile.tasks.plots import plot_loss
    from kcompile.tasks.training import train as run

    with _progress(label, path) as (show, tested):
        result = run(
            task, resume=_unfinished(path) if resume else None, on_progress=show, on_test=tested,
            save=partial(save, path), **settings,
        )  # fmt: skip
    plot = path.with_suffix(".png")
    plot = plot if plot != path else path.with_name(f"{path.name}.png")
    plot_loss(plot, result.checkpoint.training["curve"], label)
    return result


def _baselines(task: Task, seeds: range, json_file: Path | None, **settings: Any) -> None:
    from kcompile.cli.progress import stages
    from kcompile.files import write_json
    from kcompile.tasks.baseline import train_baseline
    from kcompile.tasks.summary import summary

    results: list[Any] = []
    for seed in seeds:
        with stages(f"MLP for {task.name}-{settings['size']}, seed {seed}") as show:
            result = train_baseline(
                task, seed=seed, on_epoch=lambda done, of: show("epochs", done, of), **settings
            )
        results.append(result)
        click.echo(
            f"MLP of width {result.width}: {result.parameters} parameters, seed {seed}, test "
            f"{task.score} {result.test_metric:.4g}, {result.seconds:.0f} s"
        )
    totals = summary(task, settings["size"], results)
    if len(results) > 1:
        click.echo(f"mean {totals['mean']:.4g}, sd {totals['sd']:.1e}")
    if json_file is not None:
        write_json(json_file, totals)


def _preset(task: Task, name: str | None) -> Preset:
    """A preset of the task, or the first one in a file."""
    if name is None or Path(name).suffix != ".toml":
        return task.preset(name)
    from kcompile.tasks.presets import read_presets

    found = read_presets(Path(name), task.kind)
    if not found:
        raise UsageError("no preset in it", where=name, hint="add one: [NAME.network]")
    return next(iter(found.values()))


def _unfinished(path: Path) -> Checkpoint | None:
    """The checkpoint to go on from; None where none was written yet."""
    from kcompile.files import is_file
    from kcompile.frontend import load_checkpoint

    return load_checkpoint(path) if is_file(path) else None


def _outcome(result: Trained, score: str, path: Path) -> str:
    varied = result.varied
    real = (
        "" if varied is None or varied.draws == 1  # that is the score already told
        else f", {varied.mean:.4g} with its variations (mean of {varied.draws} circuits)"
    )  # fmt: skip
    return (
        f"{path}: {result.parameters} parameters, seed {result.seed}, test {score} "
        f"{result.test_metric:.4g} as trained, {result.test_metric_converged:.4g} converged "
        f"(within {result.convergence_error:.0e}){real}, {result.seconds:.0f} s"
    )


@contextmanager
def _progress(
    name: str, path: Path
) -> Generator[tuple[Callable[[Progress], None], Callable[[int, int], None]]]:
    """Shows how training and testing go: a bar on a terminal, else a few plain lines."""
    last: Progress | None = None
    with _bar(name) if sys.stderr.isatty() else nullcontext(_Lines(name)) as draw:

        def show(progress: Progress) -> None:
            nonlocal last
            last = progress
            draw(progress)

        try:
            yield show, draw.tested
        except KeyboardInterrupt:
            if last is not None and last.epoch:
                click.echo(
                    f"{path} holds epoch {last.epoch} of {last.epochs}; --resume goes on", err=True
                )
            raise


@contextmanager
def _bar(name: str) -> Generator[_Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
    ]
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(partial(bar.update, bar.add_task(name, total=None, state="starting")))


class _Bar:
    """A bar on a terminal."""

    def __init__(self, update: Callable[..., None]) -> None:
        self._update = update

    def __call__(self, progress: Progress) -> None:
        state = f"epoch {progress.epoch}/{progress.epochs}, {_state(progress)}"
        self._update(completed=progress.share, total=progress.epochs, state=state)

    def tested(self, done: int, total: int) -> None:
        self._update(completed=done, total=total, state=f"testing, {done}/{total} certain")


class _Lines:
    """A line for every tenth of the way, or every half minute where that is sooner."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tenth = 0
        self._spoke = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        tenth = int(progress.share * _LINES / progress.epochs)
        now = time.monotonic()
        if tenth == self._tenth and now - self._spoke < _QUIET_SECONDS:
            return
        self._tenth, self._spoke = tenth, now
        click.echo(
            f"{self._name}: epoch {progress.share:.4g}/{progress.epochs}, {_state(progress)}",
            err=True,
        )

    def tested(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._spoke >= _QUIET_SECONDS:
            self._spoke = now
            click.echo(f"{self._name}: testing, {done}/{total} samples certain", err=True)


def _state(progress: Progress) -> str:
    from datetime import timedelta

    left = progress.remaining
    eta = str(timedelta(seconds=round(left))) if left < 1e7 else "?"
    return f"loss {progress.loss:.3e}, {eta} to go"
