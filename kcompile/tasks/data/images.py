"""The image sets, split into training and test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcompile.errors import DataError, DataMissing, UsageError
from kcompile.tasks.data.cache import cache_folder, cached_file, unpack
from kcompile.tasks.data.cifar import CIFAR_ARCHIVES, CIFAR_FOLDERS, CIFAR_SHAPE, find_cifar
from kcompile.tasks.data.folders import require_folder
from kcompile.tasks.data.idx import IDX_FILES, find_idx
from kcompile.tasks.data.labelled import Labelled, Labels, Pixels, labelled
from kcompile.tasks.data.libsvm import find_libsvm
from kcompile.tasks.data.svhn import SVHN_FILES, SVHN_SHAPE, find_svhn, zero_for_ten

_Pair = tuple[Labelled, Labelled]

_MNIST_SHAPE = (1, 28, 28)
_SPLIT_SEED = 42
_HELD_OUT = 10


@dataclass(frozen=True, eq=False)
class Images:
    """An image set: what to train with, and what to test with.

    Args:
        train_images: ``uint8[S, c, h, w]``, 255 for white.
        train_labels: ``int64[S]``, from 0 to 9.
        test_images: ``uint8[R, c, h, w]``.
        test_labels: ``int64[R]``.
    """

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels


def load_images(name: str, data: Path | None = None) -> Images:
    """An image set as published.

    Args:
        name: one of ``IMAGE_SETS``.
        data: a folder with its files; else the cache of fetched sets.

    Returns:
        From ``data``, the set's own split. From the cache, that of Fashion-MNIST; of ``mnist``
        nine tenths for training and one for testing, ``hold_out`` says which.

    Raises:
        UsageError: there is no such set, or no such folder.
        DataMissing: its files are not there; the hint says how to get them.
        DataError: a file is cut or is something else.
        StorageError: a file cannot be read.
    """
    if name not in _SETS:
        raise UsageError(f"unknown images {name!r}", hint=f"there are: {', '.join(IMAGE_SETS)}")
    chosen = _SETS[name]
    if data is None:
        train, test = chosen.cached(name)
    else:
        train, test = _local(name, chosen, require_folder(data))
    shapes = {part.images.shape[1:] for part in (train, test)}
    if shapes != {chosen.shape}:
        found = " and ".join(str(list(shape)) for shape in sorted(shapes))
        raise DataError(f"images of {found} pixels are not {name}", where=data or cache_folder())
    parts = (train.images, train.labels, test.images, test.labels)
    for array in parts:
        array.flags.writeable = False
    return Images(*parts)


def hold_out(images: Labelled) -> _Pair:
    """Nine tenths of a set that has no split of its own, and the tenth held out for testing.

    Every class gives its tenth (to within one image). The choice depends on nothing but the
    number of images, their classes and order; both parts are in a random order.

    Args:
        images: all of them.

    Returns:
        Training and test images.
    """
    # Raw numbers: numpy promises that these never change.
    keys = np.random.PCG64(_SPLIT_SEED).random_raw(len(images))
    by_class = np.lexsort((keys, images.labels))
    test = np.zeros(len(images), dtype=np.bool_)
    test[by_class[_HELD_OUT // 2 :: _HELD_OUT]] = True
    order = np.argsort(keys, kind="stable")
    train_rows, test_rows = order[~test[order]], order[test[order]]
    return (
        Labelled(images.images[train_rows], images.labels[train_rows]),
        Labelled(images.images[test_rows], images.labels[test_rows]),
    )


def _local(name: str, chosen: _Set, data: Path) -> _Pair:
    if not chosen.readers:
        raise UsageError(
            f"{name} is read from the cache only",
            where=data,
            hint=f"run 'kcompile data fetch {name}' and leave out the folder",
        )
    for read in chosen.readers:
        if (found := read(data)) is not None:
            return found
    raise DataMissing(f"holds no {name}", where=data, hint=f"expected {chosen.expected}")


def _cached_split(name: str) -> _Pair:
    path = cached_file(name, f"{name}.npz", _INSTEAD)
    arrays = unpack(path, name, {"images": np.uint8, "labels": np.int64})
    return hold_out(labelled(arrays["images"], arrays["labels"], path))


def _cached_idx(name: str) -> _Pair:
    cached_file(name, f"{IDX_FILES['train-images']}.gz", _INSTEAD)
    found = find_idx([cache_folder() / name])
    assert found is not None
    return found


def _never_cached(name: str) -> _Pair:
    raise DataMissing(
        f"no package carries {name}",
        hint=f"name a folder with {_SETS[name].expected} with --data",
    )


def _mnist(data: Path) -> _Pair | None:
    return find_idx([data, data / "raw", data / "MNIST" / "raw"])


def _fashion(data: Path) -> _Pair | None:
    return find_idx([data, data / "raw", data / "FashionMNIST" / "raw"])


def _mnist_text(data: Path) -> _Pair | None:
    return find_libsvm(data, "mnist", _MNIST_SHAPE)


def _cifar_text(data: Path) -> _Pair | None:
    return find_libsvm(data, "cifar10", CIFAR_SHAPE)


def _svhn_text(data: Path) -> _Pair | None:
    return find_libsvm(data, "SVHN", SVHN_SHAPE, zero_for_ten)


@dataclass(frozen=True)
class _Set:
    """Where an image set is found.

    Args:
        shape: of an image, ``c, h, w``.
        cached: reads it from the cache.
        readers: read it from a folder, or give None where none of their files is there.
        expected: what such a folder holds, in words.
    """

    shape: tuple[int, int, int]
    cached: Callable[[str], _Pair]
    readers: tuple[Callable[[Path], _Pair | None], ...]
    expected: str


_INSTEAD = "name a folder that has it with --data"
_IDX = f"{', '.join(IDX_FILES.values())} (plain or .gz)"
_SETS: Mapping[str, _Set] = {
    "mnist": _Set(
        _MNIST_SHAPE, _cached_split, (_mnist, _mnist_text), f"{_IDX}, or mnist.bz2 and mnist.t.bz2"
    ),
    "mnist-5k": _Set(_MNIST_SHAPE, _cached_split, (), ""),
    "fashion-mnist": _Set(_MNIST_SHAPE, _cached_idx, (_fashion,), _IDX),
    "cifar10": _Set(
        CIFAR_SHAPE,
        _never_cached,
        (find_cifar, _cifar_text),
        f"{', '.join((*CIFAR_FOLDERS, *CIFAR_ARCHIVES))}, or cifar10.bz2 and cifar10.t.bz2",
    ),
    "svhn": _Set(
        SVHN_SHAPE,
        _never_cached,
        (find_svhn, _svhn_text),
        f"{' and '.join(SVHN_FILES.values())}, or SVHN.bz2 and SVHN.t.bz2",
    ),
}

IMAGE_SETS = tuple(_SETS)
"""Every image set by name."""
