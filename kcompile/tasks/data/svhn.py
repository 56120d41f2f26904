"""SVHN's cropped digits: MATLAB files of the images and their classes."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np

from kcompile.errors import DataError
from kcompile.files import read_bytes
from kcompile.tasks.data.folders import find_all
from kcompile.tasks.data.labelled import Labelled, Labels, labelled

SVHN_SHAPE = (3, 32, 32)
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}

_ZERO = 10
"""How SVHN writes the digit 0."""


def read_mat(path: Path) -> Labelled:
    """The images in ``train_32x32.mat`` or ``test_32x32.mat``; their class 10 is the digit 0.

    Raises:
        DataError: it is cut or is something else.
        UsageError, StorageError: it is not there or cannot be read.
    """
    from scipy.io import loadmat  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
    from scipy.io.matlab import MatReadError  # pyright: ignore[reportMissingTypeStubs]

    content = io.BytesIO(read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = cast(Any, loadmat)(content, variable_names=["X", "y"])
    except (
        MatReadError, ValueError, TypeError, KeyError, IndexError, EOFError, OSError, zlib.error,
        NotImplementedError, OverflowError, MemoryError, AttributeError,
    ) as error:  # fmt: skip
        raise DataError(
            "is not a whole MATLAB file", where=path, hint="copy or download it again"
        ) from error
    images, classes = stored.get("X"), stored.get("y")
    if not (_is_bytes(images) and images.ndim == 4 and images.shape[:3] == (32, 32, 3)):
        raise DataError("holds no X of 32 x 32 x 3 x S bytes", where=path)
    if not (isinstance(classes, np.ndarray) and cast(Any, classes).dtype.kind in "ui"):
        raise DataError("holds no y of whole numbers", where=path)
    labels = cast(Any, classes).reshape(-1).astype(np.int64)
    pixels = np.ascontiguousarray(np.transpose(images, (3, 2, 0, 1)))
    return labelled(pixels, zero_for_ten(labels), path)


def zero_for_ten(labels: Labels) -> Labels:
    """The digits that SVHN's classes 1 to 10 stand for; a 0, which it does not have, becomes -1."""
    return np.where(labels == _ZERO, 0, np.where(labels == 0, -1, labels))


def find_svhn(data: Path) -> tuple[Labelled, Labelled] | None:
    """The training and test images in a folder, or None where it has none of the files.

    Raises:
        DataMissing: one of the two is missing.
        DataError: one of them is bad.
        StorageError: one cannot be read.
    """
    found = find_all([data], {part: [name] for part, name in SVHN_FILES.items()})
    return None if found is None else (read_mat(found["train"]), read_mat(found["test"]))


def _is_bytes(value: object) -> bool:
    return isinstance(value, np.ndarray) and cast(Any, value).dtype == np.uint8
