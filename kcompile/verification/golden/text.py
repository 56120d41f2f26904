"""Golden decks: equal text, and numbers equal to twelve digits."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from kcompile.files import storage_error

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")

RELATIVE = 1e-12
"""Numbers may differ by this much: the last bits of a sum depend on the processor."""


def first_difference(expected: str, found: str) -> str | None:
    """Where two decks differ, in one line; None where they do not.

    Numbers count as equal within ``RELATIVE``; everything else must be the same text.
    """
    lines = itertools.zip_longest(expected.splitlines(), found.splitlines())
    for number, (old, new) in enumerate(lines, 1):
        if old is None or new is None:
            return f"line {number}: {'ends' if new is None else 'goes on with'} {new or old!r}"
        if old != new and not _equal(old, new):
            return f"line {number}: {_short(new)} where {_short(old)} is expected"
    return None


def folder_difference(expected: Path, found: Path) -> str | None:
    """Where two deck folders differ, in one line; None where they do not.

    Raises:
        StorageError: a file cannot be read.
    """
    try:
        old, new = (
            {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".raw"}
            for folder in (expected, found)
        )
    except OSError as error:
        raise storage_error(error, expected) from error
    for name in sorted(old.keys() ^ new.keys()):
        return f"{name} is {'missing' if name in old else 'new'}"
    for name in sorted(old):
        difference = first_difference(old[name], new[name])
        if difference is not None:
            return f"{name}, {difference}"
    return None


def _equal(old: str, new: str) -> bool:
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(
        abs(a - b) <= RELATIVE * max(abs(a), abs(b))
        for a, b in ((float(x), float(y)) for x, y in pairs)
    )


def _short(line: str) -> str:
    return repr(line if len(line) <= 60 else f"{line[:57]}...")
