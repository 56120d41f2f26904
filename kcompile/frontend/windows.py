"""Square windows over an image: which pixels stand together, and each one's place in the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kcompile.ir import IndexArray


@dataclass(frozen=True, eq=False)
class Windows:
    """The pixels of all windows one after the other, without what lies outside the image.

    Args:
        pixel: ``int32[P]``, numbered from 1 in C order of a ``(channels, width, height)`` array.
        start: ``int64[P]``, the place of the first entry of the same window.
        size: ``int64[P]``, how many entries that window has.
        position: ``int64[P]``, where in the whole window the pixel stands, in C order of
            ``(channels, side, side)``. A window cut by the border lacks some positions; those
            that it has are those of a full one.
    """

    pixel: IndexArray
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    position: NDArray[np.int64]

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each entry with each other one of its window: two lists of entries, ``int64[Q]``."""
        # Entry i, at place i - start[i] of its window, pairs with the size[i] - 1 other entries.
        partners = self.size - 1
        entry = np.repeat(np.arange(len(self.pixel)), partners)
        place = np.arange(len(entry)) - np.repeat(np.cumsum(partners) - partners, partners)
        first = self.start[entry]
        place += place >= entry - first
        return entry, first + place


def windows(num_channel: int, width: int, height: int, side: int, padding: bool) -> Windows:
    """All windows of a given side, all channels deep, stride 1, in C order.

    Args:
        num_channel: channels of the image.
        width: its first axis.
        height: its second axis.
        side: of the window.
        padding: let windows reach over the border by ``side - 1``.
    """
    margin = side - 1 if padding else 0
    spans: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    for length in (width, height):
        begin = np.arange(-margin, length + margin - side + 1)
        low = np.maximum(begin, 0)
        spans.append((low, np.minimum(begin + side, length) - low, low - begin))
    (top, rows, above), (left, columns, before) = spans
    sizes = num_channel * np.outer(rows, columns).ravel()
    size = np.repeat(sizes, sizes)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    by_row, by_column = np.divmod(np.repeat(np.arange(len(sizes)), sizes), len(left))
    line, column = np.divmod(np.arange(len(size)) - start, columns[by_column])
    channel, row = np.divmod(line, rows[by_row])
    pixel = (channel * width + row + top[by_row]) * height + column + left[by_column]
    position = (channel * side + row + above[by_row]) * side + column + before[by_column]
    return Windows((1 + pixel).astype(np.int32), start, size, position)


def overlaps(length: int, side: int, padding: bool) -> tuple[int, int]:
    """Sum, and sum of squares, of the pixels each window holds along one axis."""
    if not padding:
        count = length - side + 1
        return count * side, count * side**2
    short, long = sorted((length, side))
    squares = (short - 1) * short * (2 * short - 1) // 3 + (long - short + 1) * short**2
    return length * side, squares
