"""Charts with one number a node: sorted bars of a few, a heat strip of many."""

from __future__ import annotations

import math

import numpy as np

from kcompile.ir import FloatArray
from kcompile.quantities import format_number
from kcompile.verification.html.chart import WIDTH, Box, Chart, Line, Tag

MOST_BARS = 20
MOST_CELLS = 1024
SHADES = 6
_ROW = 17.0
_COLUMNS = 32
_LEFT, _RIGHT = 48.0, 60.0
_NARROWEST = 1e-3
"""A heat strip's colours span this much below the largest, or less where the smallest is above."""


def node_chart(
    name: str,
    title: str,
    nodes: tuple[int, ...],
    values: FloatArray,
    caption: str,
    allowed: float | None = None,
) -> Chart:
    """One value a node.

    Args:
        name, title: of the chart.
        nodes: M node numbers.
        values: ``float64[M]``, not negative, software units.
        caption: what the values are.
        allowed: the value to compare with, or None.
    """
    worst = int(np.argmax(values))
    label = (
        f"{title}: {len(nodes)} nodes; the largest, {format_number(float(values[worst]))}, is that "
        f"of n{nodes[worst]}."
    )
    draw = _bars if len(nodes) <= MOST_BARS else _heat
    return draw(name, title, label, nodes, values, caption, allowed)


def _bars(
    name: str, title: str, label: str, nodes: tuple[int, ...], values: FloatArray, caption: str,
    allowed: float | None,
) -> Chart:  # fmt: skip
    order = np.argsort(-values, kind="stable").tolist()
    longest = float(values.max()) or 1.0
    near = allowed is not None and allowed <= 20 * longest
    scale = max(longest, allowed) if near and allowed is not None else longest
    room = WIDTH - _LEFT - _RIGHT
    top = 16.0 if near else 4.0
    boxes: list[Box] = []
    tags: list[Tag] = []
    for row, k in enumerate(order):
        y, width = top + row * _ROW, room * float(values[k]) / scale
        boxes.append(Box(_LEFT, y + 2.0, max(width, 0.5), _ROW - 4.0, "bar"))
        middle = y + _ROW / 2
        tags.append(Tag(_LEFT - 6.0, middle, f"n{nodes[k]}", "name"))
        tags.append(Tag(_LEFT + width + 5.0, middle, format_number(float(values[k])), "value"))
    borders: tuple[Line, ...] = ()
    if near and allowed is not None:
        borders = (Line(_LEFT + room * allowed / scale, "allowed", "allowed"),)
    elif allowed is not None:
        caption += f" {format_number(allowed)} is allowed, far beyond this scale."
    return Chart(
        name, title, label, top + len(order) * _ROW + 4.0, caption=caption, boxes=tuple(boxes),
        tags=tuple(tags), borders=borders,
    )  # fmt: skip


def _heat(
    name: str, title: str, label: str, nodes: tuple[int, ...], values: FloatArray, caption: str,
    allowed: float | None,
) -> Chart:  # fmt: skip
    each = math.ceil(len(nodes) / MOST_CELLS)
    starts = range(0, len(nodes), each)
    largest = np.maximum.reduceat(values, list(starts))
    edges = _edges(largest)
    shades = np.searchsorted(edges[1:-1], largest, side="right").tolist()
    size = (WIDTH - _LEFT) / _COLUMNS
    boxes: list[Box] = []
    tags: list[Tag] = []
    for cell, (start, value, shade) in enumerate(
        zip(starts, largest.tolist(), shades, strict=True)
    ):
        row, column = divmod(cell, _COLUMNS)
        first, last = nodes[start], nodes[min(start + each, len(nodes)) - 1]
        who = f"n{first}" if first == last else f"n{first} to n{last}"
        x, y = _LEFT + column * size, row * size
        what = f"{who}: {format_number(value)}"
        boxes.append(Box(x, y, size - 0.8, size - 0.8, f"h{shade}", what))
        if column == 0 and row % 2 == 0:
            tags.append(Tag(_LEFT - 6.0, y + size / 2, f"n{first}", "name"))
    if each > 1:
        caption += f" A cell shows the largest of {each} nodes."
    if allowed is not None:
        caption += f" {format_number(allowed)} is allowed."
    rows = math.ceil(len(starts) / _COLUMNS)
    legend = tuple(
        (f"h{k}", f"to {format_number(float(edges[k + 1]), 2)}") for k in range(len(edges) - 1)
    )
    return Chart(
        name, title, label, rows * size, caption=caption, boxes=tuple(boxes), tags=tuple(tags),
        legend=legend,
    )  # fmt: skip


def _edges(values: FloatArray) -> FloatArray:
    """Between which values the shades lie: equal ratios up to the largest, at most SHADES."""
    top = float(values.max())
    if top == 0:
        return np.array([0.0, 0.0])
    low = max(float(values.min()), top * _NARROWEST)
    if low > 0.99 * top:
        return np.array([low, top])
    return np.geomspace(low, top, SHADES + 1)
