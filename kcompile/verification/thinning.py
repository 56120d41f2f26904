"""What is drawn of what is too much to draw."""

from __future__ import annotations

import numpy as np

from kcompile.ir import FloatArray, OffsetArray


def some_nodes(nodes: tuple[int, ...], most: int) -> tuple[int, ...]:
    """At most ``most`` of the nodes, evenly chosen, the first and the last among them."""
    if len(nodes) <= most:
        return nodes
    return tuple(nodes[round(k * (len(nodes) - 1) / (most - 1))] for k in range(most))


def some_points(size: FloatArray, most: int) -> OffsetArray:
    """Which of many points are drawn: about ``most``, evenly chosen, and the largest of all.

    Args:
        size: ``float64[P]``, what must not be hidden where it is largest.

    Returns:
        Ascending indices.
    """
    count = len(size)
    if count <= most:
        return np.arange(count)
    chosen = np.linspace(0, count - 1, most).astype(np.int64)
    return np.union1d(chosen, [int(np.argmax(size))])


def error_limits(errors: FloatArray, allowed: float) -> tuple[float, float]:
    """The ends of a logarithmic axis that shows errors and what is allowed of them.

    Args:
        errors: not negative; zeros and NaN are left out.
        allowed: positive.
    """
    values = errors[np.isfinite(errors) & (errors > 0)]
    top = max(float(values.max(initial=0.0)), allowed)
    # The first instants have next to no error: they must not stretch the axis over ten decades.
    low = float(np.quantile(values, 0.02)) if values.size else allowed / 1e3
    return max(min(low, allowed) / 3, top * 1e-10), top * 6
