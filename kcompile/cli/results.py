"""Where results go: looked at before the work, and filled after it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol

import click

from kcompile.errors import UsageError


class Result(Protocol):
    """What a long job found."""

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        ...

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes it into a folder; which files."""
        ...


def require_place(path: Path) -> None:
    """Sees that a file can be written, rather than after work that may take hours.

    Raises:
        UsageError: it is a folder.
        StorageError: there is no room for it, or no permission.
    """
    from kcompile.files import is_folder, storage_error

    if is_folder(path):
        raise UsageError("is a folder", where=path, hint="name a file in it")
    try:
        with TemporaryFile(dir=next(folder for folder in path.parents if folder.exists())):
            pass
    except OSError as error:
        raise storage_error(error, path) from error


@contextmanager
def results(
    json_file: Path | None, report: Path | None, main: str, *more: Path | None
) -> Generator[Callable[[Result], None]]:
    """A block that does a long job and writes what it found, by what this yields.

    That the result can be written is seen before, and until it is, what the job had finished is
    kept, so that no work is lost where the disk is full after all.

    Args:
        json_file: for the result as JSON; None: nobody wants it.
        report: a folder for all of it.
        main: the file of the report that it cannot do without.
        more: other files that the block writes.

    Raises:
        UsageError, StorageError: as ``require_place``.
    """
    from kcompile.files import write_json
    from kcompile.ledger import result_in_hand

    for place in (json_file, None if report is None else report / main, *more):
        if place is not None:
            require_place(place)

    def write(found: Result) -> None:
        if json_file is not None:
            write_json(json_file, found.to_dict())
        for file in () if report is None else found.write(report):
            click.echo(f"wrote {file}")

    with result_in_hand():
        yield write
