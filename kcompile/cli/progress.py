"""How far long work is: a bar with an ETA on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_QUIET_SECONDS = 10.0
"""Without a terminal: seconds between two lines."""


class Stages(Protocol):
    """Shows the stages of a job."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""
        ...

    def status(self, text: str) -> None:
        """A few words on how it goes, beside the bar."""
        ...


@contextmanager
def stages(label: str) -> Generator[Stages]:
    """Shows the stages of a job; call what it yields with the stage, how much is done, of what.

    Args:
        label: what the job works on.
    """
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(label, bars)


class _Bars:
    """One bar a stage."""

    def __init__(self, label: str, bars: Progress) -> None:
        self._label, self._bars = label, bars
        self._known: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        task = self._known.get(stage)
        if task is None:
            task = self._bars.add_task(f"{self._label}: {stage}", total=total, status="")
            self._known[stage] = task
        self._bars.update(task, completed=done, total=total)

    def status(self, text: str) -> None:
        if self._known:
            self._bars.update([*self._known.values()][-1], status=text)
        else:  # what is said before the first stage has no bar to stand beside
            self._bars.console.print(f"{self._label}: {text}", markup=False, highlight=False)


class _Lines:
    """Plain lines, not too often."""

    def __init__(self, label: str) -> None:
        self._label, self._status = label, ""
        self._spoke = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._spoke >= _QUIET_SECONDS:
            self._spoke = time.monotonic()
            more = f", {self._status}" if self._status else ""
            click.echo(f"{self._label}: {stage} {done}/{total}{more}", err=True)

    def status(self, text: str) -> None:
        self._status = text
