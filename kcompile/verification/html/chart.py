"""Charts as plain geometry, which ``templates/report/chart.svg.j2`` turns into SVG.

Lengths are units of a view box that is scaled to the page: about a pixel on a phone, and one and a
half on a desktop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, OffsetArray
from kcompile.quantities import format_number
from kcompile.verification.html.axis import Axis

WIDTH = 400.0
_TOP, _BOTTOM, _LEFT, _RIGHT = 16.0, 26.0, 44.0, 14.0
_TAGS = 40.0
"""Room for the names of curves at their right ends."""
_TAG_HEIGHT = 13.0
_COLUMNS = 250
"""Curves are thinned to what so many columns of pixels can show."""


@dataclass(frozen=True, slots=True)
class Path:
    """A curve, or many dots: ``d`` as SVG has it.

    Args:
        kind: classes of the style sheet.
        title: what a pointer over it is told.
    """

    d: str
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through the whole plotted area, at a height or a distance; with its name."""

    place: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A text beside a place; ``origin`` is the height of the curve that it names, or None."""

    x: float
    y: float
    text: str
    kind: str
    origin: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: a bar or a cell."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Plane:
    """The plotted area of a chart with two axes.

    Args:
        x, y: the axes.
        height: of the whole picture.
        tagged: whether curves are named at their right ends.
    """

    x: Axis
    y: Axis
    height: float = 250.0
    tagged: bool = False

    @property
    def frame(self) -> Box:
        """The plotted area."""
        right = WIDTH - (_TAGS if self.tagged else _RIGHT)
        return Box(_LEFT, _TOP, right - _LEFT, self.height - _TOP - _BOTTOM, "frame")

    def across(self, values: FloatArray | float) -> FloatArray:
        """Distances from the left of the picture."""
        return self.frame.x + self.frame.width * self.x.places(values)

    def down(self, values: FloatArray | float) -> FloatArray:
        """Distances from the top of the picture."""
        return self.frame.y + self.frame.height * (1.0 - self.y.places(values))

    def x_ticks(self) -> tuple[tuple[float, str], ...]:
        """Ticks of the x axis, in the picture."""
        return tuple((float(self.across(value)), text) for value, text in self.x.ticks)

    def y_ticks(self) -> tuple[tuple[float, str], ...]:
        """Ticks of the y axis, in the picture."""
        return tuple((float(self.down(value)), text) for value, text in self.y.ticks)

    def curve(self, x: FloatArray, y: FloatArray, kind: str, title: str = "") -> Path:
        """A curve through points, with gaps where ``y`` is NaN (or not positive, on a log axis)."""
        across, down = self.across(x), self.down(y)
        kept = _thinned(across, down)
        across, down = across[kept], down[kept]
        pieces: list[str] = []
        pen_down = False
        for px, py in zip(across.tolist(), down.tolist(), strict=True):
            known = np.isfinite(py)
            if known:
                pieces.append(f"{'L' if pen_down else 'M'}{px:.1f} {py:.1f}")
            pen_down = known
        return Path("".join(pieces), kind, title)

    def dots(self, x: FloatArray, y: FloatArray, kind: str) -> Path:
        """Points, as strokes without a length whose round caps are dots."""
        pairs = zip(self.across(x).tolist(), self.down(y).tolist(), strict=True)
        return Path("".join(f"M{px:.1f} {py:.1f}h0" for px, py in pairs), kind)

    def tags(self, ends: Sequence[tuple[float, str, str]]) -> tuple[Tag, ...]:
        """Names at the right ends of curves, moved apart where they would overlap.

        Args:
            ends: the value of each curve at its end, its name, and its class.
        """
        frame = self.frame
        right, bottom = frame.x + frame.width, frame.y + frame.height
        wanted = sorted((float(self.down(value)), text, kind) for value, text, kind in ends)
        places: list[float] = []
        for place, _, _ in wanted:
            lowest = places[-1] + _TAG_HEIGHT if places else frame.y
            places.append(max(place, lowest))
        limit = bottom
        for k in reversed(range(len(places))):
            places[k] = min(places[k], limit)
            limit = places[k] - _TAG_HEIGHT
        return tuple(
            Tag(right, place, text, kind, origin)
            for place, (origin, text, kind) in zip(places, wanted, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture with what is written around it.

    Args:
        name: short, for the picture's id.
        title: its heading.
        label: what it shows, in a sentence for who cannot see it.
        height: of the view box, ``WIDTH`` wide.
        caption: what a reader should know, below it.
        plane: its axes, where it has some.
        x_label, y_label: what is along them.
        paths, boxes, tags: what is drawn.
        rules, borders: horizontal and vertical lines.
        legend: classes of swatches and what they stand for.
    """

    name: str
    title: str
    label: str
    height: float
    caption: str = ""
    plane: Plane | None = None
    x_label: str = ""
    y_label: str = ""
    paths: tuple[Path, ...] = ()
    boxes: tuple[Box, ...] = ()
    tags: tuple[Tag, ...] = ()
    rules: tuple[Line, ...] = ()
    borders: tuple[Line, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


def allowed_line(plane: Plane, allowed: float, sign: str = "") -> Line:
    """The line of the error that is allowed."""
    return Line(float(plane.down(allowed)), f"allowed: {sign}{format_number(allowed)}", "allowed")


def enumerate_nodes(nodes: tuple[int, ...]) -> str:
    """``n1, n2 and n5``."""
    names = [f"n{node}" for node in nodes]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _thinned(across: FloatArray, down: FloatArray) -> OffsetArray:
    """Which points of a curve are needed: of every column of pixels the ends and the extremes."""
    count = len(across)
    if count <= 2 * _COLUMNS:
        return np.arange(count)
    column = np.floor(across / WIDTH * _COLUMNS).astype(np.int64)
    first = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    last = np.append(first[1:], count)
    kept = {0, count - 1}
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        values = down[begin:end]
        kept |= {begin, end - 1, begin + int(np.argmin(values)), begin + int(np.argmax(values))}
    return np.array(sorted(kept))
