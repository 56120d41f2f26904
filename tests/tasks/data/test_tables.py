"""The tables have scikit-learn's features, from whichever file they come."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kcompile.errors import DataError, DataMissing, UsageError
from kcompile.tasks.data import load_table
from kcompile.tasks.data.tables import HOUSING_FEATURES

# The first two blocks of the published table, and the features that scikit-learn makes of them.
RAW = """\
-122.230000,37.880000,41.000000,880.000000,129.000000,322.000000,126.000000,8.325200,452600.000000
-122.220000,37.860000,21.000000,7099.000000,1106.000000,2401.000000,1138.000000,8.301400,358500.000000
"""
FEATURES = [
    [
        8.3252,
        41.0,
        6.984126984126984,
        1.0238095238095237,
        322.0,
        2.5555555555555554,
        37.88,
        -122.23,
    ],
    [
        8.3014,
        21.0,
        6.238137082601054,
        0.9718804920913884,
        2401.0,
        2.109841827768014,
        37.86,
        -122.22,
    ],
]
VALUES = [4.526, 3.585]


def write_parquet(path: Path, *, drop: str | None = None) -> None:
    columns = dict(
        zip((*HOUSING_FEATURES, "MedHouseVal"), [*np.transpose(FEATURES), VALUES], strict=True)
    )
    columns.pop(drop or "", None)
    # Whoever wrote it may have put the columns in another order.
    pq.write_table(pa.table(dict(reversed(columns.items()))), path, compression="brotli")


def test_housing_as_published(tmp_path: Path) -> None:
    (tmp_path / "cal_housing.data").write_text(RAW)
    x, y = load_table("housing", tmp_path)
    assert x == pytest.approx(np.array(FEATURES), rel=1e-15)
    assert y.tolist() == VALUES


def test_housing_in_its_archive(tmp_path: Path) -> None:
    content = RAW.encode()
    with tarfile.open(tmp_path / "cal_housing.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo("CaliforniaHousing/cal_housing.data")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    x, y = load_table("housing", tmp_path)
    assert x == pytest.approx(np.array(FEATURES), rel=1e-15)
    assert y.tolist() == VALUES


@pytest.mark.parametrize(
    "name", ["california_housing.parquet", "california_housing.parquet.brotli"]
)
def test_housing_as_parquet(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name)
    x, y = load_table("housing", tmp_path)
    assert x.tolist() == FEATURES
    assert y.tolist() == VALUES
    assert x.dtype == y.dtype == np.float64


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("cal_housing.data", RAW[:-40].encode(), "is not a table of numbers"),
        ("cal_housing.data", b"\n", "is empty"),
        ("cal_housing.data", b"1,2,3\n4,5,6\n", "has 3 columns, not 9"),
        ("cal_housing.data", b"1,2,3,4,5,6,0,8,9\n", "a block without households"),
        ("cal_housing.data", b"1,2,3,4,5,6,7,nan,9\n", "not finite"),
        ("cal_housing.tgz", b"no archive", "is not a whole .tar.gz archive"),
        ("california_housing.parquet", b"PAR1 and no more", "is not the parquet file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        load_table("housing", tmp_path)
    assert caught.value.where == str(tmp_path / name)


def test_parquet_that_lacks_a_column(tmp_path: Path) -> None:
    write_parquet(tmp_path / "california_housing.parquet", drop="AveOccup")
    with pytest.raises(DataError, match="is not the parquet file of the housing table"):
        load_table("housing", tmp_path)


def test_missing_tables_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="run 'kcompile data fetch housing', or name a folder"):
        load_table("housing")
    with pytest.raises(DataMissing, match="holds no housing table; expected cal_housing.data or"):
        load_table("housing", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        load_table("housing", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="unknown table 'boston'"):
        load_table("boston")


def test_diabetes_comes_with_scikit_learn(tmp_path: Path) -> None:
    x, y = load_table("diabetes")
    assert x.shape == (442, 10)
    assert y.shape == (442,)
    assert (y.min(), y.max()) == (25.0, 346.0)
    with pytest.raises(UsageError, match="leave out the folder"):
        load_table("diabetes", tmp_path)
