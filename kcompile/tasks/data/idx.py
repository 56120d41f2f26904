"""MNIST's own file format, IDX: a magic number, the sizes, the bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from kcompile.errors import DataError
from kcompile.files import require_file, storage_error
from kcompile.tasks.data.folders import find_all
from kcompile.tasks.data.labelled import Labelled, Pixels, labelled

IDX_FILES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}
"""The four files of a set, by what they hold."""

_SIZE_LIMIT = 1 << 30
_UNSIGNED_BYTE = 8
_AGAIN = "it may be cut: copy or download it again"


def read_idx(path: Path, dimensions: int) -> Pixels:
    """The array of unsigned bytes in an IDX file.

    Args:
        path: plain or gzipped, whatever its suffix.
        dimensions: how many it must have, 1 for labels and 3 for images.

    Raises:
        DataError: it is cut, too long, or something else.
        UsageError, StorageError: it is not there or cannot be read.
    """
    require_file(path)
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if not packed:
                return _read(stream, path, dimensions)
            with gzip.open(stream) as unpacked:
                return _read(unpacked, path, dimensions)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError("is not a whole gzip file", where=path, hint=_AGAIN) from error
    except OSError as error:
        raise storage_error(error, path) from error


def _read(stream: IO[bytes] | gzip.GzipFile, path: Path, dimensions: int) -> Pixels:
    head = stream.read(4)
    if head != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise DataError(
            f"begins with {head.hex()}, not with 0000{_UNSIGNED_BYTE:02x}{dimensions:02x}",
            where=path,
            hint=f"expected an IDX file of bytes in {dimensions} dimension(s)",
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError("ends within its header", where=path, hint=_AGAIN)
    shape = struct.unpack(f">{dimensions}I", sizes)
    count = math.prod(shape)
    if count > _SIZE_LIMIT:
        raise DataError(f"asks for {count} bytes", where=path, hint=_AGAIN)
    content = stream.read(count + 1)
    if len(content) != count:
        kind = "ends early" if len(content) < count else "goes on after its end"
        raise DataError(f"{kind}: {list(shape)} take {count} bytes", where=path, hint=_AGAIN)
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def find_idx(places: list[Path]) -> tuple[Labelled, Labelled] | None:
    """The training and test images of the first of these folders with IDX files, or None.

    Raises:
        DataMissing: it lacks some of the four files.
        DataError: one of them is bad, or images and labels do not belong together.
        StorageError: one cannot be read.
    """
    names = {
        key: [
            form for stem in (name, name.replace("-idx", ".idx")) for form in (stem, f"{stem}.gz")
        ]
        for key, name in IDX_FILES.items()
    }
    found = find_all(places, names)
    if found is None:
        return None
    return _pair(found, "train"), _pair(found, "test")


def _pair(found: dict[str, Path], part: str) -> Labelled:
    images = read_idx(found[f"{part}-images"], 3)
    where = found[f"{part}-labels"]
    return labelled(images[:, None], read_idx(where, 1), where)
