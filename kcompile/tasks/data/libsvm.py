"""Images as text in LIBSVM's form: ``class index:value ...``, a line each, plain or bzip2."""

from __future__ import annotations

import bz2
import math
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from kcompile.errors import DataError
from kcompile.files import require_file, storage_error
from kcompile.ir import FloatArray
from kcompile.tasks.data.folders import find_all
from kcompile.tasks.data.labelled import Labelled, Labels, Pixels, labelled

_LINE_LIMIT = 1 << 20
_ROUNDING = 0.02


def read_libsvm(
    path: Path,
    shape: tuple[int, int, int],
    *,
    scale: float = 1.0,
    to_class: Callable[[Labels], Labels] | None = None,
) -> Labelled:
    """The images in a text file.

    Args:
        path: plain or bzip2, whatever its suffix.
        shape: of an image, ``c, h, w``; features count from 1 along it, channel by channel.
        scale: what its values are to be multiplied with to span 0..255.
        to_class: maps the numbers that stand first on the lines to classes 0..9.

    Raises:
        DataError: it is cut, or a line is something else.
        UsageError, StorageError: it is not there or cannot be read.
    """
    pixels, labels = _read(path, math.prod(shape), scale)
    images = np.stack(pixels).reshape(-1, *shape) if pixels else np.empty((0, *shape), np.uint8)
    written: Labels = np.array(labels, dtype=np.int64)
    return labelled(images, written if to_class is None else to_class(written), path)


def find_libsvm(
    data: Path,
    stem: str,
    shape: tuple[int, int, int],
    to_class: Callable[[Labels], Labels] | None = None,
) -> tuple[Labelled, Labelled] | None:
    """The training and test images in a folder's ``STEM`` and ``STEM.t``, or None.

    ``STEM.scale`` and ``STEM.scale.t``, whose values span 0..1, do as well; each may have the
    suffix .bz2.

    Raises:
        DataMissing: one of the two is missing.
        DataError: one of them is bad.
        StorageError: one cannot be read.
    """
    for name, scale in ((stem, 1.0), (f"{stem}.scale", 255.0)):
        files = {"train": _forms(name), "test": _forms(f"{name}.t")}
        if found := find_all([data], files):
            train, test = (
                read_libsvm(found[part], shape, scale=scale, to_class=to_class) for part in files
            )
            return train, test
    return None


def _forms(name: str) -> Sequence[str]:
    return [f"{name}.bz2", name]


def _read(path: Path, features: int, scale: float) -> tuple[list[Pixels], list[int]]:
    pixels: list[Pixels] = []
    labels: list[int] = []
    with _opened(path) as stream, warnings.catch_warnings():
        # numpy only warns of text after the last number.
        warnings.simplefilter("error", DeprecationWarning)
        number = 0
        while line := stream.readline(_LINE_LIMIT):
            number += 1
            if line.isspace():
                continue
            try:
                label, _, rest = line.strip().partition(b" ")
                labels.append(int(label))
                pixels.append(_image(rest, features, scale))
            except (ValueError, DeprecationWarning) as error:
                raise DataError(
                    f"line {number} is no image of {features} pixels",
                    where=path,
                    hint="expected 'class index:value ...', with the values of a byte",
                ) from error
    return pixels, labels


def _image(text: bytes, features: int, scale: float) -> Pixels:
    """One image from its pairs.

    Raises:
        ValueError: they are none, or say what no byte can hold.
        DeprecationWarning: numpy met something else than a number.
    """
    found: FloatArray = np.fromstring(text.replace(b":", b" "), dtype=np.float64, sep=" ")
    if len(found) != 2 * text.count(b":"):
        raise ValueError
    index, value = found[0::2], found[1::2] * scale
    whole = np.rint(value)
    inside = (index >= 1) & (index <= features) & (index == np.rint(index))
    if not (inside & (np.abs(value - whole) <= _ROUNDING) & (whole >= 0) & (whole <= 255)).all():
        raise ValueError
    image = np.zeros(features, dtype=np.uint8)
    image[index.astype(np.int64) - 1] = whole.astype(np.uint8)
    return image


@contextmanager
def _opened(path: Path) -> Generator[IO[bytes] | bz2.BZ2File]:
    require_file(path)
    try:
        with path.open("rb") as stream:
            packed = stream.read(3) == b"BZh"
            stream.seek(0)
            if not packed:
                yield stream
                return
            with bz2.open(stream) as unpacked:
                yield unpacked
    except EOFError as error:
        raise DataError("ends early", where=path, hint="copy or download it again") from error
    except OSError as error:
        if error.errno is None:  # what bz2 says of wrong data
            raise DataError("is not a whole bzip2 file", where=path) from error
        raise storage_error(error, path) from error
