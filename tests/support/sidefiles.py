"""Side files of compiled devices for tests: random ones, a reader, and ones that are wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from kcompile.devices import PHIS, PairData

HEADER = struct.Struct("=8s6I3Q32s2I")
"""Magic, version, order, grain, diagonal, gates, nodes; pairs, knots, edges; name, checksum, 0."""

SECTIONS: tuple[tuple[str, type[np.generic], Callable[[int, int, int], int]], ...] = (
    ("high", np.uint32, lambda pairs, knots, edges: pairs),
    ("low", np.uint32, lambda pairs, knots, edges: pairs),
    ("knots", np.uint64, lambda pairs, knots, edges: pairs + 1),
    ("edges", np.uint64, lambda pairs, knots, edges: pairs + 1),
    ("knot", np.float64, lambda pairs, knots, edges: knots),
    ("slope", np.float64, lambda pairs, knots, edges: knots + pairs),
    ("offset", np.float64, lambda pairs, knots, edges: knots + pairs),
    *((name, np.float64, lambda pairs, knots, edges: edges) for name in "wabc"),
    ("phi", np.uint8, lambda pairs, knots, edges: edges),
)
"""Name, kind and length of each section, in order."""


def sample(random: np.random.Generator, nodes: int = 5, pairs: int | None = None) -> PairData:
    """Pairs of everything: kinks, edges, both or neither, some to ground."""
    count = int(random.integers(0, 6)) if pairs is None else pairs
    high = random.integers(2, nodes + 1, count)
    knots, edges = (np.concatenate(([0], random.integers(0, 4, count).cumsum())) for _ in "ab")
    kinks = [np.sort(random.normal(size=n)) for n in np.diff(knots)]
    total = int(edges[-1])
    return PairData(
        high, random.integers(0, high), knots, edges, np.concatenate([np.zeros(0), *kinks]),
        *random.normal(size=(2, int(knots[-1]) + count)),
        *random.normal(size=(4, total)), random.integers(0, len(PHIS), total),
    )  # fmt: skip


def sections(content: bytes) -> list[slice]:
    """Where the sections lie, padding included."""
    fields = HEADER.unpack_from(content)
    start, found = HEADER.size, list[slice]()
    for _, kind, count in SECTIONS:
        size = count(*fields[7:10]) * np.dtype(kind).itemsize
        found.append(slice(start, start + -(-size // 8) * 8))
        start = found[-1].stop
    return found


def read(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the sections of a side file."""
    magic, *numbers, name, checksum, zero = HEADER.unpack_from(content)
    assert (magic, zero) == (b"KCLAYER\n", 0)
    assert checksum == zlib.crc32(sealed(content, 0))
    words = ("version", "order", "grain", "diagonal", "gates", "nodes", "pairs", "knots", "edges")
    facts = {**dict(zip(words, numbers, strict=True)), "name": name.rstrip(b"\0").decode()}
    columns = {
        name: np.frombuffer(content, kind, count(*numbers[6:9]), bounds.start)
        for bounds, (name, kind, count) in zip(sections(content), SECTIONS, strict=True)
    }
    return facts, columns


def sealed(content: bytes, checksum: int | None = None) -> bytes:
    """The same with another checksum, by default the right one."""
    if checksum is None:
        checksum = zlib.crc32(sealed(content, 0))
    at = HEADER.size - 8
    return content[:at] + struct.pack("=I", checksum) + content[at + 4 :]
