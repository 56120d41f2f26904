"""Images in every form that they are published in, and files that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from kcompile.errors import DataError, DataMissing, StorageError, UsageError
from kcompile.tasks.data import IMAGE_SETS, Images, load_images
from kcompile.tasks.data.cache import pack
from kcompile.tasks.data.images import hold_out
from kcompile.tasks.data.labelled import Labelled

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(256, size=(5, 1, 28, 28), dtype=np.uint8)
COLOUR = RANDOM.integers(256, size=(12, 3, 32, 32), dtype=np.uint8)
LABELS = np.array([9, 0, 3, 1, 7, 2, 8, 4, 6, 5, 0, 9])


def idx(values: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def write_idx(folder: Path, *, packed: bool = False, dotted: bool = False) -> None:
    """Three images to train with and two to test with."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "train-images-idx3-ubyte": GREY[:3, 0],
        "train-labels-idx1-ubyte": LABELS[:3],
        "t10k-images-idx3-ubyte": GREY[3:, 0],
        "t10k-labels-idx1-ubyte": LABELS[3:5],
    }
    for name, values in parts.items():
        file = name.replace("-idx", ".idx") if dotted else name
        content = idx(values)
        if packed:
            (folder / f"{file}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / file).write_bytes(content)


def assert_grey(images: Images) -> None:
    assert np.array_equal(images.train_images, GREY[:3])
    assert np.array_equal(images.train_labels, LABELS[:3])
    assert np.array_equal(images.test_images, GREY[3:])
    assert np.array_equal(images.test_labels, LABELS[3:5])
    assert images.train_images.dtype == images.test_images.dtype == np.uint8
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64


def assert_colour(images: Images) -> None:
    """Ten images to train with, two to test with."""
    assert np.array_equal(images.train_images, COLOUR[:10])
    assert np.array_equal(images.train_labels, LABELS[:10])
    assert np.array_equal(images.test_images, COLOUR[10:])
    assert np.array_equal(images.test_labels, LABELS[10:])
    assert images.train_labels.dtype == np.int64


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_mnist_wherever_torchvision_puts_it(tmp_path: Path, place: str, packed: bool) -> None:
    write_idx(tmp_path / place, packed=packed)
    assert_grey(load_images("mnist", tmp_path))


@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw"])
def test_fashion_mnist_is_not_taken_for_mnist(tmp_path: Path, place: str) -> None:
    write_idx(tmp_path / place)
    if place != ".":
        (tmp_path / "MNIST" / "raw").mkdir(parents=True)
        (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"not looked at")
    assert_grey(load_images("fashion-mnist", tmp_path))


def test_names_with_a_dot(tmp_path: Path) -> None:
    write_idx(tmp_path, dotted=True)
    assert_grey(load_images("mnist", tmp_path))


def test_images_cannot_be_changed_by_one_user_for_all(tmp_path: Path) -> None:
    write_idx(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        load_images("mnist", tmp_path).test_images[0] = 0


@pytest.mark.parametrize(
    ("file", "damage", "complaint"),
    [
        ("train-images-idx3-ubyte", lambda c: c[:-1], "ends early"),
        ("train-images-idx3-ubyte", lambda c: c + b"\0", "goes on after its end"),
        ("train-images-idx3-ubyte", lambda c: c[:9], "ends within its header"),
        ("train-images-idx3-ubyte", lambda c: b"", "begins with"),
        ("train-images-idx3-ubyte", lambda c: b"\0\0\x0d\x03" + c[4:], "begins with 00000d03"),
        ("train-labels-idx1-ubyte", lambda c: idx(GREY[:3, 0]), "begins with 00000803, not with"),
        ("train-labels-idx1-ubyte", lambda c: idx(LABELS[:2]), "has 2 labels for 3 images"),
        ("t10k-labels-idx1-ubyte", lambda c: idx(np.array([1, 10])), "has the class 10"),
        ("train-images-idx3-ubyte", lambda c: c[:4] + b"\xff" * 12, "asks for"),
        ("train-images-idx3-ubyte", lambda c: gzip.compress(c)[:-9], "not a whole gzip file"),
        ("train-images-idx3-ubyte", lambda c: gzip.compress(c)[:40] + b"x" * 99, "whole gzip"),
        ("train-images-idx3-ubyte", lambda c: b"\x1f\x8bno gzip", "not a whole gzip file"),
    ],
)  # fmt: skip
def test_damaged_idx_files_are_named(
    tmp_path: Path, file: str, damage: Callable[[bytes], bytes], complaint: str
) -> None:
    write_idx(tmp_path)
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=complaint) as caught:
        load_images("mnist", tmp_path)
    assert caught.value.where == str(path)


def test_empty_and_wrongly_sized_sets_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 20, 20))))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.zeros(2)))
    with pytest.raises(DataError, match=r"images of \[1, 20, 20\] pixels are not mnist"):
        load_images("mnist", tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 28, 28))))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(0)))
    with pytest.raises(DataError, match="holds no images"):
        load_images("mnist", tmp_path)


def cifar_binary() -> dict[str, bytes]:
    """Five batches of two images, and the test batch."""
    records = np.hstack([LABELS[:, None].astype(np.uint8), COLOUR.reshape(12, -1)])
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    return {name: records[2 * k : 2 * k + 2].tobytes() for k, name in enumerate(names)}


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin"])
def test_cifar_in_its_binary_version(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    for name, content in cifar_binary().items():
        (tmp_path / place / name).write_bytes(content)
    assert_colour(load_images("cifar10", tmp_path))


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_cifar_in_its_archive(tmp_path: Path) -> None:
    files = {f"cifar-10-batches-bin/{name}": content for name, content in cifar_binary().items()}
    write_tar(tmp_path / "cifar-10-binary.tar.gz", {"cifar-10-batches-bin/readme": b"x", **files})
    assert_colour(load_images("cifar10", tmp_path))
    write_tar(tmp_path / "cifar-10-binary.tar.gz", dict(list(files.items())[1:]))
    with pytest.raises(DataError, match="holds no cifar-10-batches-bin/data_batch_1.bin"):
        load_images("cifar10", tmp_path)
    content = (tmp_path / "cifar-10-binary.tar.gz").read_bytes()
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is not a whole .tar.gz archive"):
        load_images("cifar10", tmp_path)


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    """A link to a file of the reader's machine would be read instead."""
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in cifar_binary():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    with pytest.raises(DataError, match="holds no cifar-10-batches-bin/data_batch_1.bin"):
        load_images("cifar10", tmp_path)


def test_damaged_binary_batches_are_named(tmp_path: Path) -> None:
    for name, content in cifar_binary().items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="has 6145 bytes, no multiple of 3073") as caught:
        load_images("cifar10", tmp_path)
    assert caught.value.where == str(path)
    path.write_bytes(b"\x0a" + cifar_binary()["data_batch_3.bin"][1:])
    with pytest.raises(DataError, match="has the class 10"):
        load_images("cifar10", tmp_path)
    path.unlink()
    with pytest.raises(DataMissing, match="lacks data_batch_3.bin"):
        load_images("cifar10", tmp_path)


def svhn(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    classes = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    return {"X": np.transpose(images, (2, 3, 1, 0)), "y": classes}


def test_svhn_has_its_axes_in_order_and_its_ten_is_zero(tmp_path: Path) -> None:
    savemat(tmp_path / "train_32x32.mat", svhn(COLOUR[:10], LABELS[:10]))
    savemat(tmp_path / "test_32x32.mat", svhn(COLOUR[10:], LABELS[10:]), do_compression=True)
    assert_colour(load_images("svhn", tmp_path))


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        ({"X": COLOUR}, "holds no X of 32 x 32 x 3 x S bytes"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))}, "holds no X of"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "holds no y of whole numbers"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.uint8([[1]])}, "has 1 labels for 2"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.uint8([[1], [0]])}, "the class -1"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.uint8([[1], [11]])}, "the class 11"),
    ],
)
def test_mat_files_of_something_else(
    tmp_path: Path, stored: dict[str, np.ndarray], complaint: str
) -> None:
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(tmp_path / name, stored)
    with pytest.raises(DataError, match=complaint):
        load_images("svhn", tmp_path)


@pytest.mark.parametrize("keep", [0, 60, 200, 5000])
def test_cut_mat_files_are_named(tmp_path: Path, keep: int) -> None:
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(tmp_path / name, svhn(COLOUR, LABELS), do_compression=True)
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        load_images("svhn", tmp_path)
    assert caught.value.where == str(path)


def libsvm(images: np.ndarray, labels: np.ndarray, form: Callable[[int], str] = str) -> bytes:
    """Zeros left out, as LIBSVM does."""
    lines = []
    for image, label in zip(images.reshape(len(images), -1), labels, strict=True):
        pairs = (f"{k + 1}:{form(value)}" for k, value in enumerate(image) if value)
        lines.append(" ".join([str(label), *pairs]))
    return "\n".join([*lines, ""]).encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_mnist_as_text(tmp_path: Path, packed: bool, scaled: bool) -> None:
    stem = "mnist.scale" if scaled else "mnist"
    form = (lambda value: f"{value / 255:.6g}") if scaled else str
    for name, rows in ((stem, slice(0, 3)), (f"{stem}.t", slice(3, 5))):
        content = libsvm(GREY[rows], LABELS[:5][rows], form)
        path = tmp_path / (f"{name}.bz2" if packed else name)
        path.write_bytes(bz2.compress(content) if packed else content)
    assert_grey(load_images("mnist", tmp_path))


@pytest.mark.parametrize(("name", "stem"), [("cifar10", "cifar10"), ("svhn", "SVHN")])
def test_colour_as_text(tmp_path: Path, name: str, stem: str) -> None:
    classes = np.where(LABELS == 0, 10, LABELS) if name == "svhn" else LABELS
    (tmp_path / stem).write_bytes(libsvm(COLOUR[:10], classes[:10]))
    (tmp_path / f"{stem}.t").write_bytes(libsvm(COLOUR[10:], classes[10:]))
    assert_colour(load_images(name, tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        b"x 1:2", b"1.5 1:2", b"3 0:7", b"3 785:7", b"3 1.5:7", b"3 5:256", b"3 5:-1", b"3 5:0.5",
        b"3 5:nan", b"3 5:", b"3 5", b"3 5:7 x", b"3 5:7 6", b"3 5:7x 6:1", b"\xff\xfe",
    ],
)  # fmt: skip
def test_lines_that_are_no_images_are_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "mnist").write_bytes(b"3 5:7\n\n" + line + b"\n")
    (tmp_path / "mnist.t").write_bytes(b"3 5:7\n")
    with pytest.raises(DataError, match="line 3 is no image of 784 pixels") as caught:
        load_images("mnist", tmp_path)
    assert caught.value.where == str(tmp_path / "mnist")


def test_damaged_bzip2_files_are_named(tmp_path: Path) -> None:
    content = bz2.compress(libsvm(GREY[:3], LABELS[:3]))
    (tmp_path / "mnist.t.bz2").write_bytes(content)
    for damaged in (content[:-10], b"BZh9 and something else"):
        (tmp_path / "mnist.bz2").write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            load_images("mnist", tmp_path)
        assert caught.value.where == str(tmp_path / "mnist.bz2")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnist", "expected train-images-idx3-ubyte"),
        ("fashion-mnist", "expected train-images-idx3-ubyte"),
        ("cifar10", "expected cifar-10-batches-bin, cifar-10-batches-py, cifar-10-binary.tar.gz"),
        ("svhn", "expected train_32x32.mat and test_32x32.mat"),
    ],
)
def test_folders_without_the_files_say_what_is_expected(
    tmp_path: Path, name: str, hint: str
) -> None:
    with pytest.raises(DataMissing, match=hint):
        load_images(name, tmp_path)


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_without_cache_and_folder_the_error_says_how_to_get_it(name: str) -> None:
    fetched = name in ("mnist", "mnist-5k", "fashion-mnist")
    hint = f"run 'kcompile data fetch {name}'" if fetched else "name a folder with .* with --data"
    with pytest.raises(DataMissing, match=hint):
        load_images(name)


def test_unknown_sets_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mnist-5k is read from the cache only"):
        load_images("mnist-5k", tmp_path)
    with pytest.raises(UsageError, match="unknown images 'imagenet'; there are: mnist"):
        load_images("imagenet")
    with pytest.raises(UsageError, match="no such folder"):
        load_images("mnist", tmp_path / "nowhere")


def test_unreadable_files_are_storage_errors(tmp_path: Path) -> None:
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.unlink()
    path.symlink_to(path)  # a loop
    with pytest.raises(StorageError):
        load_images("mnist", tmp_path)


def numbered(count: int) -> Labelled:
    """Images that can be told apart, in order of their classes as the packages have them."""
    images = np.zeros((count, 1, 28, 28), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(count), 256)
    return Labelled(images, np.sort(RANDOM.integers(10, size=count)))


def numbers(images: np.ndarray) -> list[int]:
    return (images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]).tolist()


def test_held_out_images_are_a_tenth_of_every_class() -> None:
    everything = numbered(10_000)
    train, test = hold_out(everything)
    assert (len(train), len(test)) == (9000, 1000)
    assert sorted(numbers(train.images) + numbers(test.images)) == list(range(10_000))
    share = np.bincount(test.labels) - np.bincount(everything.labels) / 10
    assert np.abs(share).max() <= 1.0
    for part in (train, test):
        assert np.array_equal(part.labels, everything.labels[numbers(part.images)])
        # In order of the classes, the first samples would all be zeros.
        assert len(set(part.labels[:50].tolist())) == 10


def test_the_choice_is_the_same_on_every_machine() -> None:
    """Anybody's 1,000 test images must be those that nobody else trained with."""
    labels = np.repeat(np.arange(10), 5)
    images = np.arange(50, dtype=np.uint8)[:, None, None, None]
    _, test = hold_out(Labelled(images, labels))
    assert test.images.ravel().tolist() == [27, 17, 8, 36, 49]


def test_the_cache_is_split_the_same_at_every_call(cache: Path) -> None:
    everything = numbered(200)
    (cache / "mnist").mkdir(parents=True)
    path = cache / "mnist" / "mnist.npz"
    path.write_bytes(pack({"images": everything.images, "labels": everything.labels}))
    one, other = load_images("mnist"), load_images("mnist")
    assert one.test_images.shape == (20, 1, 28, 28)
    assert np.array_equal(one.test_images, other.test_images)
    assert np.array_equal(one.train_labels, other.train_labels)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="run 'kcompile data fetch --again mnist'") as caught:
        load_images("mnist")
    assert caught.value.where == str(path)


def test_fashion_mnist_from_the_cache(cache: Path) -> None:
    write_idx(cache / "fashion-mnist", packed=True)
    assert_grey(load_images("fashion-mnist"))
