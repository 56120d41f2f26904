"""What the simulator said: read-outs, counts, and the words that explain a failure."""

from __future__ import annotations

import re
from pathlib import Path

from kcompile.files import storage_error
from kcompile.simulation.job import Status

ENDS = 256 * 1024
"""Bytes read from either end of standard error: the cause stands early, the consequence late."""
OUTPUT = 4 * 1024 * 1024
"""Bytes read from the end of standard output."""

_LINE = 200
_TAIL_LINES = 20
_UNPRINTABLE = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]"
)
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?)"
_PRINTED = re.compile(rf"^[ \t]*([A-Za-z_][^\s=]*)[ \t]*=[ \t]*({_NUMBER})[ \t]*$", re.I | re.M)
_ITERATIONS = re.compile(r"^[ \t]*Total iterations\s*=\s*(\d+)[ \t]*$", re.I | re.M)
_CAUSES = tuple(
    (status, re.compile(pattern, re.IGNORECASE))
    for status, pattern in (
        (Status.OUT_OF_MEMORY, r"out of memory|can't allocate|memory exhausted|\bno memory\b"),
        (
            Status.BAD_DECK,
            (
                r"could not find include file|unknown subckt|no such function|undefined parameter"
                r"|no such file or directory|(?:unable to|can't|could not) find .*\bmodel"
                r"|unknown model type|couldn't be loaded|not a valid .* instance line|syntax error"
                r"|unknown parameter|unrecognized parameter|no job \(tran"
            ),
        ),
        (Status.BAD_DECK, r"circuit not parsed|error on line"),
        (Status.NOT_CONVERGED, r"singular matrix|matrix is singular"),
        (Status.NOT_CONVERGED, r"time-?step too small|without convergence|no convergence"),
        (
            Status.NOT_CONVERGED,
            r"transient (?:solution|op) failed|non-convergence|out of range for",
        ),
        (Status.NOT_CONVERGED, r"simulation\(s\) aborted"),
    )
)


def explain(text: str) -> tuple[Status, str] | None:
    """The likeliest cause of a failure that ``text`` names, with the line that names it."""
    lines = text.splitlines()
    for status, pattern in _CAUSES:
        for line in lines:
            if pattern.search(line):
                return status, one_line(line)
    return None


def first_error(text: str) -> str:
    """The first line that speaks of an error, else the last that says anything, else ""."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror|fatal|failed|cannot", line, re.I)]
    return one_line((errors or lines[-1:] or [""])[0])


def printed(text: str) -> dict[str, float]:
    """The ``name = value`` lines, names in lower case; the last line of each name counts."""
    return {name.lower(): float(value) for name, value in _PRINTED.findall(text)}


def iterations(text: str) -> int:
    """The Newton iterations of all analyses (``rusage totiter``)."""
    return sum(int(count) for count in _ITERATIONS.findall(text))


def tail(text: str) -> str:
    """The last lines that say anything."""
    lines = [one_line(line) for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_TAIL_LINES:])


def one_line(text: str) -> str:
    """``text`` on one line that a terminal can show, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."


def read_end(path: Path, size: int) -> str:
    """The last ``size`` bytes of a file as printable lines; "" where there is no file.

    Raises:
        StorageError: it cannot be read.
    """
    return _read(path, size, both=False)


def read_ends(path: Path, size: int) -> str:
    """The first and the last ``size`` bytes of a file as printable lines; "" where there is none.

    Raises:
        StorageError: it cannot be read.
    """
    return _read(path, size, both=True)


def _read(path: Path, size: int, *, both: bool) -> str:
    try:
        with path.open("rb") as stream:
            length = stream.seek(0, 2)
            skipped = max(0, length - size)
            stream.seek(0)
            head = stream.read(min(size, skipped)) if both else b""
            stream.seek(skipped)
            end = stream.read(size)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise storage_error(error, path) from error
    text = (head + b"\n" + end if head else end).decode("utf-8", errors="replace")
    return _UNPRINTABLE.sub("\n", text)
