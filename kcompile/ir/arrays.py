"""Array types of the graph, and the one way to make its arrays immutable."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IndexArray: TypeAlias = NDArray[np.int32]
OffsetArray: TypeAlias = NDArray[np.int64]


def frozen(values: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    """``values`` as a read-only, contiguous array of ``dtype`` (copied only where it must be)."""
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim == 1 and np.ndim(values) == 0:
        array = array.reshape(())
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def picked_runs(ptr: OffsetArray, order: OffsetArray) -> tuple[OffsetArray, OffsetArray]:
    """Some runs of an array, one behind the other.

    Args:
        ptr: ``int64[G+1]``; run g has the places ``ptr[g]:ptr[g+1]``.
        order: which runs, in their new order.

    Returns:
        Where they begin then, as ``ptr``, and the place that each entry comes from.
    """
    lengths = np.diff(ptr)[order]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return starts, np.arange(int(starts[-1])) + np.repeat(ptr[:-1][order] - starts[:-1], lengths)
