"""Tables of features and one answer, for regression."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kcompile.errors import DataError, DataMissing, UsageError
from kcompile.files import read_bytes
from kcompile.ir import FloatArray
from kcompile.tasks.data.archives import from_tar
from kcompile.tasks.data.cache import cached_file, unpack
from kcompile.tasks.data.folders import find, require_folder
from kcompile.tasks.data.packages import optional

Table = tuple[FloatArray, FloatArray]
"""Features ``float64[S, F]`` and answers ``float64[S]``."""

HOUSING_FEATURES = (
    "MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude",
    "Longitude",
)  # fmt: skip
"""The features of the housing table, in their order, as scikit-learn calls them."""

_HOUSING_ANSWER = "MedHouseVal"
_HOUSING_DATA = "cal_housing.data"
_HOUSING_ARCHIVE = "cal_housing.tgz"
_HOUSING_PARQUETS = ("california_housing.parquet", "california_housing.parquet.brotli")
_HOUSING_FILES = (_HOUSING_DATA, _HOUSING_ARCHIVE, *_HOUSING_PARQUETS)


def load_table(name: str, data: Path | None = None) -> Table:
    """A table as published: neither scaled nor split.

    Args:
        name: one of ``TABLES``.
        data: a folder with its files; else the cache of fetched sets, or the package that has it.

    Returns:
        Features ``float64[S, F]`` and answers ``float64[S]``.

    Raises:
        UsageError: there is no such table or folder, or the table needs none.
        DataMissing: its files are not there; the hint says how to get them.
        DataError: a file is cut or is something else.
        MissingExtra: it takes a package that is not installed.
        StorageError: a file cannot be read.
    """
    if name not in TABLES:
        raise UsageError(f"unknown table {name!r}", hint=f"there are: {', '.join(TABLES)}")
    return TABLES[name](None if data is None else require_folder(data))


def _diabetes(data: Path | None) -> Table:
    if data is not None:
        raise UsageError(
            "diabetes comes with scikit-learn", where=data, hint="leave out the folder"
        )
    load = optional("sklearn.datasets", "diabetes").load_diabetes
    x, y = load(return_X_y=True)
    return np.ascontiguousarray(x, dtype=np.float64), np.ascontiguousarray(y, dtype=np.float64)


def _housing(data: Path | None) -> Table:
    if data is None:
        instead = f"name a folder with {_HOUSING_ARCHIVE} with --data"
        path = cached_file("housing", "housing.npz", instead)
        arrays = unpack(path, "housing", {"x": np.float64, "y": np.float64})
        return _checked(arrays["x"], arrays["y"], path)
    places = (data, data / "CaliforniaHousing")
    path = find(places, _HOUSING_FILES)
    if path is None:
        raise DataMissing(
            "holds no housing table", where=data, hint=f"expected {' or '.join(_HOUSING_FILES)}"
        )
    if path.name in _HOUSING_PARQUETS:
        return housing_from_parquet(read_bytes(path), path)
    if path.name == _HOUSING_ARCHIVE:
        member = f"CaliforniaHousing/{_HOUSING_DATA}"
        return _housing_from_text(from_tar(path, [member])[member], path)
    return _housing_from_text(read_bytes(path), path)


def housing_from_parquet(content: bytes, path: Path) -> Table:
    """The housing table that a parquet file with scikit-learn's columns holds.

    Args:
        content: of the file.
        path: what errors call it.

    Raises:
        DataError: it is something else.
        MissingExtra: pyarrow is not installed.
    """
    arrow = optional("pyarrow", f"reading {path.name}")
    parquet = optional("pyarrow.parquet", f"reading {path.name}")
    try:
        table = parquet.read_table(io.BytesIO(content))
        columns = [
            np.asarray(table.column(name).to_numpy(), dtype=np.float64)
            for name in (*HOUSING_FEATURES, _HOUSING_ANSWER)
        ]
    except (arrow.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise DataError("is not the parquet file of the housing table", where=path) from error
    return _checked(np.stack(columns[:-1], axis=1), columns[-1], path)


def _housing_from_text(content: bytes, path: Path) -> Table:
    """The features that scikit-learn derives from the table as it was published in 1997."""
    if not content.strip():
        raise DataError("is empty", where=path, hint="copy or download it again")
    try:
        raw = np.loadtxt(io.BytesIO(content), delimiter=",", ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise DataError("is not a table of numbers", where=path) from error
    if raw.shape[1] != 9:
        raise DataError(f"has {raw.shape[1]} columns, not 9", where=path)
    longitude, latitude, age, rooms, bedrooms, people, households, income, value = raw.T
    if not (households > 0).all():
        raise DataError("has a block without households", where=path)
    features = [
        income,
        age,
        rooms / households,
        bedrooms / households,
        people,
        people / households,
        latitude,
        longitude,
    ]
    return _checked(np.stack(features, axis=1), value / 100000.0, path)


def _checked(x: FloatArray, y: FloatArray, path: Path) -> Table:
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(y):
        raise DataError(f"has features {list(x.shape)} and answers {list(y.shape)}", where=path)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("has numbers that are not finite", where=path)
    return x, y


TABLES: Mapping[str, Callable[[Path | None], Any]] = {"housing": _housing, "diabetes": _diabetes}
"""Every table by name; maps a folder, or None, to features and answers."""
