"""Where fetched data sets are kept, and how they are read from there."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import DataError, DataMissing, UsageError
from kcompile.files import is_file, read_bytes

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path:
    """The folder of all fetched data sets, which need not exist.

    ``$KCOMPILE_DATA``, else ``kcompile`` in ``$XDG_CACHE_HOME``, else ``~/.cache/kcompile``.

    Raises:
        UsageError: none of these is known.
    """
    own = os.environ.get("KCOMPILE_DATA")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # What is not absolute is to be ignored (XDG base directory specification).
    if base and Path(base).is_absolute():
        return Path(base) / "kcompile"
    try:
        return Path.home() / ".cache" / "kcompile"
    except RuntimeError as error:
        raise UsageError(
            "there is no home folder to keep data in", hint="name a folder in KCOMPILE_DATA"
        ) from error


def cached_file(name: str, file: str, instead: str) -> Path:
    """A file of a fetched data set.

    Args:
        name: the data set.
        file: its name in the set's folder.
        instead: what else gives the data, as the error's hint says it.

    Raises:
        DataMissing: the set was not fetched.
        StorageError: nobody may look for it.
    """
    path = cache_folder() / name / file
    if not is_file(path):
        raise DataMissing(
            f"{name} is not in the cache {cache_folder()}",
            hint=f"run 'kcompile data fetch {name}', or {instead}",
        )
    return path


def pack(arrays: Arrays) -> bytes:
    """The content of an .npz file with these arrays."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def unpack(path: Path, name: str, dtypes: dict[str, type[np.generic]]) -> Arrays:
    """The arrays of a fetched set's .npz file.

    Args:
        path: the file.
        name: the data set.
        dtypes: the arrays that it must hold, with their types.

    Raises:
        DataError: it is not whole.
        UsageError, StorageError: it is not there or cannot be read.
    """
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in dtypes}
    except (
        ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile, zlib.error,
        NotImplementedError,
    ) as error:  # fmt: skip
        raise _damaged(path, name) from error
    if any(arrays[key].dtype != dtype for key, dtype in dtypes.items()):
        raise _damaged(path, name)
    return arrays


def _damaged(path: Path, name: str) -> DataError:
    return DataError(
        "is not what was fetched", where=path, hint=f"run 'kcompile data fetch --again {name}'"
    )
