"""The order in which a simulator's sparse matrix of a circuit is best eliminated."""

from __future__ import annotations

import numpy as np

from kcompile.ir import OffsetArray


def minimum_degree(low: OffsetArray, high: OffsetArray, nodes: int) -> OffsetArray:
    """When each node is eliminated, ``int64[N+1]``: next comes the one with fewest neighbours left.

    Eliminating a node joins its neighbours (Tinney and Walker 1967). That is what the simulator's
    own choice comes close to for circuits whose matrix is symmetric in structure. Ground, which is
    not in the matrix, is last.

    Args:
        low, high: ``int64[P]``, pairs of joined nodes; ground, and nodes joined to themselves, do
            not count. Time and memory grow with the square of the nodes and more.
        nodes: N.
    """
    inside = (low > 0) & (low != high)
    joined = np.zeros((nodes, nodes), dtype=bool)
    joined[low[inside] - 1, high[inside] - 1] = True
    joined |= joined.T
    packed = np.packbits(joined, axis=1, bitorder="little")
    rows = [int.from_bytes(row.tobytes(), "little") for row in packed]
    degrees = [row.bit_count() for row in rows]
    rank = np.full(nodes + 1, nodes, dtype=np.int64)
    left = set(range(nodes))
    for position in range(nodes):
        node = min(left, key=lambda each: degrees[each] * nodes + each)
        if degrees[node] == len(left) - 1:  # all that are left are joined: any order will do
            rank[np.array(sorted(left)) + 1] = np.arange(position, nodes)
            break
        rank[node + 1] = position
        left.remove(node)
        near, gone = rows[node], ~(1 << node)
        rest = near
        while rest:
            bit = rest & -rest
            rest ^= bit
            other = bit.bit_length() - 1
            rows[other] = (rows[other] | near) & gone & ~bit
            degrees[other] = rows[other].bit_count()
    return rank
