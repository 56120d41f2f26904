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
