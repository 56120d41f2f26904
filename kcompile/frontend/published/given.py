"""The published topology of an explicit graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.frontend.topology import Edges


@dataclass(frozen=True)
class Given:
    """A graph's own edges, both ways, with one copy of the graph per feature of its nodes.

    The list counts nodes from 0, the circuit one higher. First the edges, then the same reversed,
    all of it ``repeat_within_layer`` times; then one copy per further feature, every one on the
    nodes of the second (so the published program); then ``repeat_across_layer`` edges from each
    node to its twin of the next feature; then for all nodes below the highest (ground too)
    ``repeat_to_gnd`` pairs to ground and back.

    Args:
        source_edge_index: the edges, two rows of equal length.
        num_node_feature: how many values each node of the graph has.
        repeat_across_layer: edges between twins.
        repeat_within_layer: parallel edges of the graph.
        repeat_to_gnd: pairs of edges to ground and back.
    """

    name: ClassVar[str] = "given"

    source_edge_index: Sequence[Sequence[int]]
    num_node_feature: int
    repeat_across_layer: int = 1
    repeat_within_layer: int = 1
    repeat_to_gnd: int = 1

    @property
    def count(self) -> int:
        """How many edges it makes."""
        inner = 2 * len(self.source_edge_index[0]) * self.repeat_within_layer
        twins = self._size * (self.num_node_feature - 1) * self.repeat_across_layer
        return inner * self.num_node_feature + twins + 2 * self._highest * self.repeat_to_gnd

    def edges(self) -> Edges:
        """The edges (see ``Topology``)."""
        src, dst = np.array(self.source_edge_index) + 1
        graph = np.array([np.append(src, dst), np.append(dst, src)])
        graph = np.tile(graph, (1, self.repeat_within_layer))
        further = self.num_node_feature - 1
        twins = further if self.repeat_across_layer else 0
        node = np.arange(1, self._size + 1)[:, None] + self._size * np.arange(twins)
        node = np.repeat(node.ravel(), self.repeat_across_layer)
        below = np.arange(self._highest)
        there = np.stack([below, np.zeros_like(below)], axis=1)
        ground = [np.tile(e, (1, self.repeat_to_gnd)).ravel() for e in (there, there[:, ::-1])]
        copies = np.tile(graph + self._size, (1, further))
        parts = (graph, copies, np.array([node, node + self._size]), np.array(ground))
        both = np.concatenate(parts, axis=1).astype(np.int32)
        return both[0], both[1]

    @property
    def _size(self) -> int:
        """How many nodes the graph has."""
        return max(map(max, self.source_edge_index)) + 1

    @property
    def _highest(self) -> int:
        """The highest node once the copies are joined."""
        joined = self.num_node_feature if self.repeat_across_layer else 2
        return self._size * min(self.num_node_feature, joined)
