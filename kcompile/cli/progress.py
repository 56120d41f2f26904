"""How far long work is: a bar with an ETA on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

_QUIET_SECONDS = 10.0
"""Without a terminal: seconds between two lines."""


@contextmanager
def stages(label: str) -> Generator[Callable[[str, int, int], None]]:
    """Shows the stages of a job; call what it yields with the stage, how much is done, of what.

    Args:
        label: what the job works on.
    """
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in known:
                known[stage] = bars.add_task(f"{label}: {stage}", total=total)
            bars.update(known[stage], completed=done, total=total)

        yield show


def _lines(label: str) -> Callable[[str, int, int], None]:
    spoke = time.monotonic()

    def show(stage: str, done: int, total: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= _QUIET_SECONDS:
            spoke = time.monotonic()
            click.echo(f"{label}: {stage} {done}/{total}", err=True)

    return show
