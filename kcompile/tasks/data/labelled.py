"""Images with their classes, as every reader gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import DataError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

CLASSES = 10


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their classes.

    Args:
        images: ``uint8[S, c, h, w]``, 255 for white.
        labels: ``int64[S]``, from 0 to 9.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


def labelled(images: Pixels, labels: NDArray[Any], where: Path) -> Labelled:
    """Images and classes that belong together.

    Args:
        images: ``uint8[S, c, h, w]``.
        labels: ``[S]``, whole numbers.
        where: the file that errors name.

    Raises:
        DataError: they differ in number, there are none, or a class is not 0..9.
    """
    if labels.ndim != 1 or len(labels) != len(images):
        raise DataError(f"has {labels.size} labels for {len(images)} images", where=where)
    if not len(labels):
        raise DataError("holds no images", where=where)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= CLASSES:
        wrong = low if low < 0 else high
        raise DataError(f"has the class {wrong}, there are 0 to {CLASSES - 1}", where=where)
    return Labelled(images, labels.astype(np.int64))


def joined(parts: list[Labelled]) -> Labelled:
    """All images of several files, in order."""
    images = np.concatenate([part.images for part in parts])
    return Labelled(images, np.concatenate([part.labels for part in parts]))
