"""What the side files of compiled devices hold, by a reader of their description."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidefiles import SECTIONS, read, sample, sections

from kcompile.devices import Gates, Grain, PairData, encode, join

SIZES = st.integers(0, 2**32 - 1)


def content(data: PairData, **changes) -> bytes:
    options = {"nodes": 5, "diagonal": False, "gates": Gates.ONE, **changes}
    name, grain = options.pop("name", "kc_layer1"), options.pop("grain", Grain.LAYER)
    return b"".join(encode(data, name, grain, **options))


@given(SIZES, st.sampled_from(list(Grain)), st.booleans(), st.sampled_from(list(Gates)))
def test_a_reader_of_the_description_finds_what_was_written(
    seed: int, grain: Grain, diagonal: bool, gates: Gates
) -> None:
    data = sample(np.random.default_rng(seed))
    written = content(data, grain=grain, diagonal=diagonal, gates=gates)
    assert len(written) % 8 == 0
    facts, found = read(written)
    assert facts == {
        "version": 1, "order": 0x01020304, "grain": int(grain), "diagonal": int(diagonal),
        "gates": int(gates), "nodes": 5, "pairs": data.pairs, "knots": len(data.knot),
        "edges": len(data.w), "name": "kc_layer1",
    }  # fmt: skip
    for name, kind, _ in SECTIONS:
        np.testing.assert_array_equal(found[name], getattr(data, name), strict=False)
        assert found[name].dtype == kind


@given(SIZES)
def test_sections_are_padded_with_zeros_and_the_checksum_is_of_everything(seed: int) -> None:
    written = content(sample(np.random.default_rng(seed)))
    (stored,) = struct.unpack_from("=I", written, 88)
    assert stored == zlib.crc32(written[:88] + bytes(4) + written[92:])
    bounds = sections(written)
    assert (bounds[0].start, bounds[-1].stop) == (96, len(written))
    for bound, (_, kind, count) in zip(bounds, SECTIONS, strict=True):
        facts, _ = read(written)
        used = count(facts["pairs"], facts["knots"], facts["edges"]) * np.dtype(kind).itemsize
        assert not any(written[bound.start + used : bound.stop])


@given(st.lists(SIZES, min_size=1, max_size=4))
def test_joined_parts_are_pairs_one_behind_the_other(seeds: list[int]) -> None:
    """Catches offsets of a later part that begin at 0 again."""
    parts = [sample(np.random.default_rng(seed)) for seed in seeds]
    whole = join(parts)
    assert whole.pairs == sum(part.pairs for part in parts)
    pairs = [(part, k) for part in parts for k in range(part.pairs)]
    for number, (part, k) in enumerate(pairs):
        assert (whole.high[number], whole.low[number]) == (part.high[k], part.low[k])
        for ptr, names, more in (("knots", ("knot",), 0), ("knots", ("slope", "offset"), 1),
                                 ("edges", ("w", "a", "b", "c", "phi"), 0)):  # fmt: skip
            for name in names:
                np.testing.assert_array_equal(
                    _rows(whole, ptr, name, number, more), _rows(part, ptr, name, k, more)
                )


def _rows(data: PairData, ptr: str, name: str, pair: int, more: int) -> np.ndarray:
    """A pair's rows of a column; its segments are one more than its kinks."""
    begin, end = getattr(data, ptr)[pair : pair + 2] + np.array([pair * more, (pair + 1) * more])
    return getattr(data, name)[begin:end]


@pytest.mark.parametrize("name", ["", "x" * 32, "Kc", "kc-layer", "kc layer", "kc\n", "käfer"])
def test_names_that_ngspice_or_the_library_would_not_take(name: str) -> None:
    with pytest.raises(ValueError, match="device name"):
        content(sample(np.random.default_rng(1)), name=name)


@pytest.mark.parametrize("nodes", [-1, 0, 2**20 + 1])
def test_numbers_of_nodes_that_the_library_would_not_take(nodes: int) -> None:
    with pytest.raises(ValueError, match="nodes are not 1 to 1048576"):
        content(sample(np.random.default_rng(1)), nodes=nodes)


def test_the_longest_name_keeps_its_end() -> None:
    facts, _ = read(content(sample(np.random.default_rng(1)), name="x" * 31))
    assert facts["name"] == "x" * 31


def test_every_column_is_a_section() -> None:
    """Catches a column that is added to the data and forgotten in the file."""
    assert {name for name, _, _ in SECTIONS} == {field.name for field in fields(PairData)}
