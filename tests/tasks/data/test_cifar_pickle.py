"""CIFAR-10's pickles are read, and nothing in a pickle is ever run."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from kcompile.errors import DataError
from kcompile.tasks.data import load_images
from kcompile.tasks.data.cifar_pickle import read_batch

PATH = Path("batch")
PIXELS = np.random.default_rng(5).integers(256, size=(4, 3072), dtype=np.uint8)
LABELS = [3, 0, 9, 5]


def python2_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 wrote it, opcode by opcode: texts are its byte strings."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    integers = b"".join(b"K" + bytes([value]) for value in labels)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02"
        b"K\x00\x85q\x03" + text(b"b") + b"q\x04\x87q\x05Rq\x06("
        b"K\x01M" + struct.pack("<H", len(pixels)) + b"M\x00\x0c\x86q\x07"
        b"cnumpy\ndtype\nq\x08" + text(b"u1") + b"q\x09K\x00K\x01\x87q\x0aRq\x0b("
        b"K\x03" + text(b"|") + b"q\x0cNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0db"
        b"\x89" + text(pixels.tobytes()) + b"q\x0etq\x0fb"
    )
    return (
        b"\x80\x02}q\x00(" + text(b"data") + array + text(b"labels") + b"](" + integers + b"e"
        + text(b"batch_label") + text(b"training batch 1 of 5")
        + text(b"filenames") + b"](" + text(b"a.png") + b"eu."
    )  # fmt: skip


def test_the_batch_of_python_2_is_one() -> None:
    """The opcodes above are what they are meant to be: the ordinary unpickler agrees."""
    value = pickle.loads(python2_pickle(PIXELS, LABELS), encoding="bytes")
    assert np.array_equal(value[b"data"], PIXELS)
    assert value[b"labels"] == LABELS


def test_batches_of_python_2_are_read() -> None:
    pixels, labels = read_batch(python2_pickle(PIXELS, LABELS), PATH)
    assert np.array_equal(pixels, PIXELS)
    assert labels.tolist() == LABELS
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("form", [str, str.encode])
def test_batches_written_again_by_python_3_are_read(protocol: int, form: type) -> None:
    value = {form("data"): PIXELS, form("labels"): LABELS, form("batch_label"): "x"}
    pixels, labels = read_batch(pickle.dumps(value, protocol=protocol), PATH)
    assert np.array_equal(pixels, PIXELS)
    assert labels.tolist() == LABELS


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py"])
def test_cifar_as_torchvision_leaves_it(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        (tmp_path / place / name).write_bytes(python2_pickle(PIXELS, LABELS))
    (tmp_path / place / "batches.meta").write_bytes(b"not looked at")
    images = load_images("cifar10", tmp_path)
    assert images.train_images.shape == (20, 3, 32, 32)
    # Red, green, blue, each row by row.
    assert np.array_equal(images.test_images[1, 2, 5], PIXELS[1, 2048 + 5 * 32 :][:32])
    assert images.test_labels.tolist() == LABELS


class Intruder:
    """Runs a command when it is unpickled in the ordinary way."""

    def __init__(self, call: object, *arguments: object) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("protocol", range(5))
def test_nothing_in_a_malicious_pickle_runs(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    value = {b"data": PIXELS, b"labels": LABELS, b"x": Intruder(os.system, f"touch {victim}")}
    content = pickle.dumps(value, protocol=protocol)
    with pytest.raises(DataError, match=r"asks for \w+.system, .* nothing was run"):
        read_batch(content, PATH)
    assert not victim.exists()
    pickle.loads(content, encoding="bytes")  # it is malicious
    assert victim.exists()


@pytest.mark.parametrize(
    "call",
    [
        b"cbuiltins\neval\n", b"c__builtin__\neval\n", b"cnumpy\nload\n", b"cnumpy\nfromfile\n",
        b"cnumpy.core.multiarray\nfromfile\n", b"c_codecs\ndecode\n", b"cnumpy\nndarray.tofile\n",
        b"(inumpy\nload\n", b"\x8c\x05numpy\x8c\x04load\x93",
    ],
)  # fmt: skip
def test_no_other_name_is_answered(call: bytes) -> None:
    """Also not one of numpy's many functions that read and write files."""
    with pytest.raises(DataError, match="nothing was run"):
        read_batch(b"\x80\x04" + call + b"U\x01x\x85R.", PATH)


def test_names_that_are_answered_call_nothing() -> None:
    """numpy would make an array of a terabyte of it; we only remember that it was asked for."""
    huge = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x06" + b"\0" * 5 + b"\1"
    with pytest.raises(DataError, match="holds no batch"):
        read_batch(b"\x80\x02}U\x04data" + huge + b"\x85U\x01b\x87Rs.", PATH)


def test_a_few_bytes_do_not_fill_the_memory() -> None:
    """The unpickler makes room for 4 billion values when one is numbered so."""
    for number in (b"r\xff\xff\xff\xff", b"p4294967295\n"):
        with pytest.raises(DataError, match="is not a whole pickle"):
            read_batch(b"\x80\x02}" + number + b".", PATH)


def test_one_file_changes_nothing_for_the_next() -> None:
    """BUILD can set attributes of whatever a name is answered with."""
    change = b"cnumpy\ndtype\nN}U\x09arguments(U\x01xtsb\x86b0"
    for content in (b"\x80\x02" + change + b"N.", b"\x80\x02cnumpy\ndtype\n}(U\x01aK\x01ub."):
        with pytest.raises(DataError):
            read_batch(content, PATH)
    pixels, _ = read_batch(python2_pickle(PIXELS, LABELS), PATH)
    assert np.array_equal(pixels, PIXELS)


@pytest.mark.parametrize(
    "value",
    [
        [1, 2], {}, {"data": PIXELS}, {"labels": LABELS}, {"data": "x", "labels": LABELS},
        {"data": PIXELS.astype(np.int16), "labels": LABELS},
        {"data": np.asfortranarray(PIXELS), "labels": LABELS},
        {"data": PIXELS, "labels": [1, 2, "x", 4]}, {"data": PIXELS, "labels": [2**70] * 4},
        {"data": PIXELS, "labels": np.array(LABELS)}, {"data": PIXELS, "labels": (1, 2, 3, 4)},
        {"data": np.array([None, 1]), "labels": LABELS},
        {"data": PIXELS[:, :100], "labels": LABELS}, {"data": PIXELS, "labels": LABELS[:3]},
        {"data": PIXELS, "labels": [1, 2, 3, 10]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_of_something_else_are_refused(
    tmp_path: Path, value: object, protocol: int
) -> None:
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        (tmp_path / name).write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(DataError) as caught:
        load_images("cifar10", tmp_path)
    assert caught.value.where == str(tmp_path / "data_batch_1")


@pytest.mark.parametrize(
    "entry",
    [
        b"c_codecs\nencode\n)\x81K\x01",
        b"U\x04datacnumpy.core.multiarray\n_reconstruct\n)\x81U\x06labels]",
        b"U\x04datac_codecs\nencode\n)\x81U\x06labels]",
    ],
)
def test_objects_that_were_never_initialised_are_refused(entry: bytes) -> None:
    """Catches recorders without arguments and state: a pickle may pass by their __init__."""
    with pytest.raises(DataError, match="holds no batch of images"):
        read_batch(b"\x80\x02}(" + entry + b"u.", PATH)


def test_cut_batches_are_refused() -> None:
    content = python2_pickle(PIXELS, LABELS)
    for length in [*range(0, 300, 3), len(content) - 1]:
        with pytest.raises(DataError):
            read_batch(content[:length], PATH)


def test_damaged_batches_raise_nothing_but_our_error() -> None:
    content = bytearray(python2_pickle(PIXELS[:1], LABELS[:1]))
    random = np.random.default_rng(0)
    for _ in range(1000):
        position = int(random.integers(300))
        damaged = bytearray(content)
        damaged[position] = int(random.integers(256))
        try:
            read_batch(bytes(damaged), PATH)
        except DataError as error:
            assert error.where == "batch"  # noqa: PT017 - most of them, not each
