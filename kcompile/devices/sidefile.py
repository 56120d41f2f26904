"""Side files: what a native device of a whole layer, or of its pairs of nodes, reads beside it.

A file is a header and sections of plain numbers in this machine's order of bytes, each padded to
8 bytes: ``high, low uint32[P]``, ``knots, edges uint64[P+1]``, ``knot float64[K]``, ``slope, offset
float64[K+P]``, ``w, a, b, c float64[E]``, ``phi uint8[E]``. ``native/sidefile.c`` reads it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

PHIS = ("relu", "tanh", "leaky_relu", "identity")
"""The nonlinearities in the order of their numbers, as in ``native/layer.h``."""

_MAGIC = b"KCLAYER\n"
_VERSION = 1
_ORDER = 0x01020304
_HEADER = struct.Struct("=8s6I3Q32s2I")
_NAME = re.compile(r"[a-z0-9_]{1,31}")
_MOST_NODES = 1 << 20


class Grain(IntEnum):
    """How much of a layer one device holds."""

    PAIR = 1
    LAYER = 2


class Gates(IntEnum):
    """How many voltages switch the currents of a layer on: none, one, or one for each row.

    What flows between two nodes belongs to the row of the higher one.
    """

    NONE = 0
    ONE = 1
    ROWS = 2


@dataclass(frozen=True, eq=False)
class PairData:
    """What flows between P pairs of nodes, in SI units; out of ``high``, into ``low``.

    Pair k has a piecewise-linear function of ``u = v(high) - v(low)`` with the kinks
    ``knot[knots[k]:knots[k+1]]`` and one segment more than kinks, ``slope*u + offset``, and edges
    ``edges[k]:edges[k+1]`` with currents ``w*phi(a*v(high) + b*v(low) + c)``.

    Args:
        high, low: ``[P]``, node numbers (0 is ground, which can only be ``low``).
        knots, edges: ``[P+1]``, where each pair's kinks and edges begin.
        knot: ``[K]`` volts, ascending within a pair.
        slope, offset: ``[K+P]`` siemens and amperes; pair k's begin at ``knots[k] + k``.
        w, a, b, c: ``[E]``, amperes, 1/V, 1/V, 1.
        phi: ``[E]``, places in ``PHIS``.
    """

    high: NDArray[np.integer[Any]]
    low: NDArray[np.integer[Any]]
    knots: NDArray[np.integer[Any]]
    edges: NDArray[np.integer[Any]]
    knot: NDArray[np.float64]
    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    w: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    phi: NDArray[np.integer[Any]]

    @property
    def pairs(self) -> int:
        """P."""
        return len(self.high)


def join(parts: Sequence[PairData]) -> PairData:
    """The pairs of several parts, one behind the other."""

    def rows(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    def starts(name: str) -> Any:
        sizes = [np.diff(getattr(part, name)) for part in parts]
        return np.concatenate(([0], np.cumsum(np.concatenate(sizes))))

    plain = ("high", "low", "knot", "slope", "offset", "w", "a", "b", "c", "phi")
    columns = {name: rows(name) for name in plain}
    return PairData(knots=starts("knots"), edges=starts("edges"), **columns)


def encode(
    data: PairData, name: str, grain: Grain, *, nodes: int, diagonal: bool, gates: Gates
) -> Iterator[bytes]:
    """The content of a side file, in pieces.

    Args:
        data: what it describes.
        name: of the device: small letters, digits and underscores, 1 to 31 of them.
        grain: one device for the layer, or one a pair.
        nodes: the layer's nodes, ground not counted, 1 to 2**20.
        diagonal: whether the device's Jacobian has nothing but its diagonal.
        gates: how many terminals behind the nodes' multiply currents: of a layer's device none,
            one, or one a node; of a pair's none or one.

    Raises:
        ValueError: the name or the number of nodes is out of range.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"device name {name!r} is not of 1 to 31 small letters, digits and _")
    if not 0 < nodes <= _MOST_NODES:
        raise ValueError(f"{nodes} nodes are not 1 to {_MOST_NODES}")
    sections = [
        *(_padded(getattr(data, key), np.uint32) for key in ("high", "low")),
        *(_padded(getattr(data, key), np.uint64) for key in ("knots", "edges")),
        *(
            _padded(getattr(data, key), np.float64)
            for key in ("knot", "slope", "offset", "w", "a", "b", "c")
        ),
        _padded(data.phi, np.uint8),
    ]
    sizes = (data.pairs, len(data.knot), len(data.w))

    def header(checksum: int) -> bytes:
        flags = (int(grain), int(diagonal), int(gates), nodes)
        return _HEADER.pack(
            _MAGIC, _VERSION, _ORDER, *flags, *sizes, name.encode("ascii"), checksum, 0
        )

    checksum = zlib.crc32(header(0))
    for section in sections:
        checksum = zlib.crc32(section, checksum)
    yield header(checksum)
    yield from sections


def _padded(values: NDArray[Any], kind: type[np.generic]) -> bytes:
    content = np.ascontiguousarray(values, dtype=kind).tobytes()
    return content + bytes(-len(content) % 8)
