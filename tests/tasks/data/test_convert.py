"""Files of packages that hold something else than they should."""

from __future__ import annotations

import gzip
import json

import pytest

from kcompile.errors import DataError
from kcompile.tasks.data.convert import digits_from_csv, digits_from_json


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"data": [1, 2]}', b'{"data": "x"}', b"{"])
def test_json_that_holds_no_images(content: bytes) -> None:
    with pytest.raises(DataError, match=r"0.json: holds no images"):
        digits_from_json(dict.fromkeys([f"{digit}.json" for digit in range(10)], content))


def test_grey_levels_that_are_none_are_not_rounded_away() -> None:
    """Numbers that were scaled in another way would become other images."""
    content = json.dumps({"data": [0.5] * 784}).encode()
    with pytest.raises(DataError, match="grey levels that are none of 256"):
        digits_from_json(dict.fromkeys([f"{digit}.json" for digit in range(10)], content))


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"1,2,3"), gzip.compress(b"x" * 9)],
    ids=["plain", "one line", "letters"],  # gzip writes the time: names must not tell it
)
def test_csv_that_holds_no_images(content: bytes) -> None:
    with pytest.raises(DataError, match=r"mnist_5k.csv.gz: "):
        digits_from_csv({"mnist_5k.csv.gz": content})
