"""Edits of decks, as somebody makes them in an editor."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"


def substitute(path: Path, old: str, new: str, count: int = 1) -> None:
    """Replaces a text, which must be there ``count`` times."""
    text = path.read_text()
    assert text.count(old) == count, f"{old!r} is {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


def scale_element(path: Path, element: str, current: float, conductance: float) -> None:
    """Multiplies the constant current and the conductance of one edge's devices.

    Args:
        path: the deck.
        element: what the edge's devices are called after their letter.
        current, conductance: factors of ``w*c`` and ``w*a``.
    """
    factors = {
        "R": 1 / conductance, "G": conductance, "I": current, "V": current / conductance,
    }  # fmt: skip
    lines, edited = path.read_text().split("\n"), 0
    for k, line in enumerate(lines):
        name = line.partition(" ")[0]
        if not re.fullmatch(rf"[A-Z]{element}[a-z]?", name):
            continue
        if name[0] in factors:
            rest, _, value = line.rpartition(" ")
            lines[k] = f"{rest} {float(value) * factors[name[0]]!r}"
        elif name[0] == "B":
            lines[k] = _scale_source(line, current, conductance)
        edited += lines[k] != line
    assert edited, f"nothing of {element} was edited"
    path.write_text("\n".join(lines))


def _scale_source(line: str, current: float, conductance: float) -> str:
    """``w*uramp(c+a*v(..))`` or, behind a gate, ``(i+g*v(..))``."""
    weighted = rf"({_NUMBER})(\*uramp\()({_NUMBER})"
    if re.search(weighted, line):
        return re.sub(
            weighted,
            lambda m: f"{float(m[1]) * conductance!r}{m[2]}{float(m[3]) * current / conductance!r}",
            line,
        )
    plain = rf"\*\(({_NUMBER})\+({_NUMBER})\*v"
    assert re.search(plain, line), line
    return re.sub(
        plain, lambda m: f"*({float(m[1]) * current!r}+{float(m[2]) * conductance!r}*v", line
    )


def table_line(path: Path, element: str) -> tuple[str, list[str]]:
    """A table's line up to its points, and its points ``x,y``."""
    (line,) = (ln for ln in path.read_text().split("\n") if ln.startswith(f"B{element} "))
    match = re.fullmatch(r"(.*pwl\(v\([^()]*\), )(.*)\)", line)
    assert match is not None
    return match[1], match[2].split(", ")


def raise_ordinate(path: Path, element: str, point: int, size: float) -> None:
    """Raises one point of a table."""
    head, points = table_line(path, element)
    x, y = points[point].split(",")
    old = ", ".join(points)
    points[point] = f"{x},{float(y) + size!r}"
    substitute(path, head + old, head + ", ".join(points))


def swap_tables(path: Path, one: str, other: str) -> None:
    """Exchanges the points of two tables."""
    (first, a), (second, b) = table_line(path, one), table_line(path, other)
    substitute(path, first + ", ".join(a), first + ", ".join(b))
    substitute(path, second + ", ".join(b), second + ", ".join(a))


def shift_stop(path: Path, factor: float) -> None:
    """Multiplies the stop time of a deck's ``.tran``."""
    (line,) = re.findall(r"^\.tran .*$", path.read_text(), re.M)
    words = line.split()
    words[2] = repr(float(words[2]) * factor)
    substitute(path, line, " ".join(words))


def shift_gate_end(path: Path, gate: int, seconds: float) -> None:
    """Moves the closing edge of a single deck's gate."""
    (line,) = re.findall(rf"^Vg{gate} .*$", path.read_text(), re.M)
    head, _, points = line.partition("pwl(")
    numbers = points.rstrip(")").split()
    for k in (-4, -2):
        numbers[k] = repr(float(numbers[k]) + seconds)
    substitute(path, line, f"{head}pwl({' '.join(numbers)})")
