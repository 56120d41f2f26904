"""The edges of the network topologies: which nodes are joined, in the order parameters are stored.

Every generator gives ``(src, dst)``, two ``int32[E]`` arrays; node 0 is ground. Parameters match
edges by position, so the order is part of the format, not a detail.
"""

from __future__ import annotations

import numpy as np

from kcompile.ir import IndexArray

Edges = tuple[IndexArray, IndexArray]
"""Source and destination nodes, ``int32[E]`` each."""


def fully_connected(
    num_node: int, include_gnd: bool = True, repeat: tuple[int, int] = (1, 1)
) -> Edges:
    """Every node joined with every other one, both ways.

    For each i, for each j != i: ``repeat[0]`` edges (i, j), then ``repeat[1]`` edges (j, i). So
    every ordered pair occurs ``repeat[0] + repeat[1]`` times.

    Args:
        num_node: how many nodes, ground counted where it is included.
        include_gnd: nodes ``0..num_node-1``; else ``1..num_node``.
        repeat: edges out and edges back.
    """
    first = 0 if include_gnd else 1
    i, j = np.divmod(np.arange(num_node * max(num_node - 1, 0), dtype=np.int32), num_node - 1 or 1)
    j += j >= i
    return _both_ways(i + np.int32(first), j + np.int32(first), repeat)


def _both_ways(one: IndexArray, other: IndexArray, repeat: tuple[int, int]) -> Edges:
    """For each pair ``repeat[0]`` edges one -> other, then ``repeat[1]`` edges other -> one."""
    out, back = repeat
    src = np.empty((len(one), out + back), dtype=np.int32)
    dst = np.empty_like(src)
    src[:, :out], src[:, out:] = one[:, None], other[:, None]
    dst[:, :out], dst[:, out:] = other[:, None], one[:, None]
    return src.ravel(), dst.ravel()
