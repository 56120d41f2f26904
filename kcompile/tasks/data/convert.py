"""From the files in a package to the files that are kept: plain arrays that numpy reads at once."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import DataError
from kcompile.ir import FloatArray
from kcompile.tasks.data.cache import pack
from kcompile.tasks.data.labelled import CLASSES
from kcompile.tasks.data.tables import housing_from_parquet

_PIXELS = 28 * 28
Files = Mapping[str, bytes]
"""Contents by name."""


def digits_from_json(files: Files) -> Files:
    """Images from ``0.json`` to ``9.json``, in order of their classes.

    Each file is ``{"data": [...]}``, 784 numbers an image from 0 to 1, which were rounded to three
    decimals: near enough to tell which of 256 grey levels each was.

    Raises:
        DataError: they are something else.
    """
    digits = [_grey(files[f"{digit}.json"], f"{digit}.json") for digit in range(CLASSES)]
    labels = np.repeat(np.arange(CLASSES), [len(images) for images in digits])
    return {"mnist.npz": _packed(np.concatenate(digits), labels)}


def _grey(content: bytes, name: str) -> FloatArray:
    try:
        values = np.array(json.loads(content)["data"], dtype=np.float64).reshape(-1, _PIXELS)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("holds no images", where=name) from error
    return values * 255.0


def digits_from_csv(files: Files) -> Files:
    """Images from ``mnist_5k.csv.gz``: lines of 784 grey levels and the class.

    Raises:
        DataError: it is something else.
    """
    name = "mnist_5k.csv.gz"
    try:
        text = gzip.decompress(files[name])
        rows = np.loadtxt(io.BytesIO(text), delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError("holds no images", where=name) from error
    if rows.shape[1] != _PIXELS + 1:
        raise DataError(f"has {rows.shape[1]} columns", where=name)
    return {"mnist-5k.npz": _packed(rows[:, :-1], rows[:, -1])}


def housing(files: Files) -> Files:
    """The housing table from its parquet file.

    Raises:
        DataError: it is something else.
        MissingExtra: pyarrow is not installed.
    """
    name = "california_housing.parquet.brotli"
    x, y = housing_from_parquet(files[name], Path(name))
    return {"housing.npz": pack({"x": x, "y": y})}


def unchanged(files: Files) -> Files:
    """The files themselves."""
    return files


def _packed(grey: FloatArray, labels: NDArray[Any]) -> bytes:
    images = np.rint(grey)
    if not ((images >= 0) & (images <= 255) & (np.abs(grey - images) < 0.25)).all():
        raise DataError("has grey levels that are none of 256")
    shaped = images.astype(np.uint8).reshape(-1, 1, 28, 28)
    return pack({"images": shaped, "labels": labels.astype(np.int64)})
