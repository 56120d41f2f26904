"""One orientation for edges that say the same: source above destination, ground last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kcompile.ir.arrays import FloatArray, IndexArray, OffsetArray
from kcompile.ir.graph import EdgeBatch


@dataclass(frozen=True, eq=False)
class Oriented:
    """A batch seen from the higher node of each edge, ``high -> low``.

    A current ``w*phi(a*vs + b*vd + c)`` from s to d is ``-w*phi(b*vd + a*vs + c)`` from d to s.

    Args:
        high, low: ``int32[E]``, the ends; ground can only be ``low``.
        sign: ``float64[E]``, -1 where the edge ran ``low -> high``.
        a, b: ``float64[E]``, coefficients of ``v_high`` and ``v_low``.
    """

    high: IndexArray
    low: IndexArray
    sign: FloatArray
    a: FloatArray
    b: FloatArray


def oriented(batch: EdgeBatch) -> Oriented:
    """The oriented view of a batch."""
    flip = batch.src < batch.dst
    a, b = batch.column("a"), batch.column("b")
    return Oriented(
        np.maximum(batch.src, batch.dst),
        np.minimum(batch.src, batch.dst),
        np.where(flip, -1.0, 1.0),
        np.where(flip, b, a),
        np.where(flip, a, b),
    )


def unordered_pairs(batch: EdgeBatch) -> OffsetArray:
    """A number for each edge's pair of nodes, ``int64[E]``: by the lower node, then the higher."""
    return pair_numbers(batch.src, batch.dst)


def pair_numbers(one: NDArray[np.integer], other: NDArray[np.integer]) -> OffsetArray:
    """A number for each pair of two: ordered by the lower of them, then the higher."""
    return np.minimum(one, other).astype(np.int64) << 32 | np.maximum(one, other)


def distinct(numbers: OffsetArray) -> OffsetArray:
    """Which numbers from 0 up there are, ``int64[U]`` of ``int64[K]``, ascending.

    Many are told apart faster than by ``numpy.unique``.
    """
    ascending = np.sort(numbers)
    return ascending[np.diff(ascending, prepend=-1) != 0] if len(ascending) else ascending


def pair_ends(pairs: OffsetArray) -> tuple[OffsetArray, OffsetArray]:
    """The lower and the higher of the pairs that ``pair_numbers`` numbered."""
    return pairs >> 32, pairs & 0xFFFFFFFF
