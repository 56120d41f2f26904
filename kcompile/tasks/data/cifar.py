"""CIFAR-10's batches: the binary version and the one for Python, unpacked or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kcompile.errors import DataError
from kcompile.files import read_bytes
from kcompile.tasks.data.archives import from_tar
from kcompile.tasks.data.cifar_pickle import read_batch
from kcompile.tasks.data.folders import find, find_all
from kcompile.tasks.data.labelled import Labelled, joined, labelled

CIFAR_SHAPE = (3, 32, 32)
CIFAR_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")
CIFAR_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")

_PIXELS = 3 * 32 * 32
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")

_Parse = Callable[[bytes, Path], Labelled]


def parse_binary(content: bytes, where: Path) -> Labelled:
    """The images of a binary batch: records of a class and 3072 bytes, red, green, blue.

    Args:
        content: of the file.
        where: what errors call it.

    Raises:
        DataError: it is cut or is something else.
    """
    if len(content) % (1 + _PIXELS):
        raise DataError(
            f"has {len(content)} bytes, no multiple of {1 + _PIXELS}",
            where=where,
            hint="it may be cut: copy or download it again",
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, *CIFAR_SHAPE)
    return labelled(images, records[:, 0], where)


def parse_python(content: bytes, where: Path) -> Labelled:
    """The images of a pickled batch, of which nothing is run.

    Args:
        content: of the file.
        where: what errors call it.

    Raises:
        DataError: it is cut, or names anything but arrays of bytes.
    """
    pixels, labels = read_batch(content, where)
    if pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DataError(f"holds {list(pixels.shape)} bytes, not [S, {_PIXELS}]", where=where)
    return labelled(pixels.reshape(-1, *CIFAR_SHAPE), labels, where)


def find_cifar(data: Path) -> tuple[Labelled, Labelled] | None:
    """The training and test images in a folder, or None where it holds no batches.

    Raises:
        DataMissing: some of the six batches are missing.
        DataError: one of them is bad.
        StorageError: one cannot be read.
    """
    for folder, suffix, parse in (
        (CIFAR_FOLDERS[0], ".bin", parse_binary),
        (CIFAR_FOLDERS[1], "", parse_python),
    ):
        names = {batch: [f"{batch}{suffix}"] for batch in _BATCHES}
        found = find_all([data, data / folder], names)
        if found is not None:
            return _parts([partial(_file, parse, found[batch]) for batch in _BATCHES])
        archive = find([data], [CIFAR_ARCHIVES[CIFAR_FOLDERS.index(folder)]])
        if archive is not None:
            members = [f"{folder}/{batch}{suffix}" for batch in _BATCHES]
            content = from_tar(archive, members)
            return _parts([partial(parse, content[name], archive / name) for name in members])
    return None


def _file(parse: _Parse, path: Path) -> Labelled:
    return parse(read_bytes(path), path)


def _parts(batches: Sequence[Callable[[], Labelled]]) -> tuple[Labelled, Labelled]:
    *train, test = [batch() for batch in batches]
    return joined(train), test
