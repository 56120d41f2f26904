"""Standard output and error that may be closed, full, or of a narrow encoding."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kcompile.files import storage_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def guard_streams() -> None:
    """Makes standard output and error such that printing never looks like a bug.

    A reader that has left is not missed: the command goes on and ends with its own status. A full
    disk is a ``StorageError``, once. What an encoding lacks is printed escaped. A stream that was
    closed from the start swallows everything, and nobody else gets its number.
    """
    for name, title, essential in (
        ("stdout", "standard output", True),
        ("stderr", "standard error", False),
    ):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif stream is getattr(sys, f"__{name}__"):
            guarded = io.TextIOWrapper(
                io.BufferedWriter(_Stream(stream.fileno(), title, essential)),
                encoding=stream.encoding,
                errors="backslashreplace",
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, guarded)


class _Stream(io.FileIO):
    """A standard stream; after the first failure it swallows everything."""

    def __init__(self, number: int, title: str, essential: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._title, self._essential, self._lost = title, essential, False

    def write(self, data: ReadableBuffer, /) -> int | None:
        size = memoryview(data).nbytes
        if self._lost:
            return size
        try:
            return super().write(data)
        except OSError as error:
            self._lost = True
            if self._essential and not isinstance(error, BrokenPipeError):
                raise storage_error(error, Path(self._title)) from error
            return size
