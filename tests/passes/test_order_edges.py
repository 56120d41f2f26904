"""Edges and groups in the order in which the simulator's matrix is eliminated."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from graphs import graphs, states
from hypothesis import given
from hypothesis import strategies as st

from kcompile.frontend.topology import Mixed
from kcompile.ir import EdgeBatch, Graph, Phase, derivative, validate
from kcompile.passes import Approximation, GroupPairs, OrderEdges, VoltageRange, optimise
from kcompile.passes.elimination import minimum_degree


def pairs_of(edges: set[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2).T
    return low, high


def fill(edges: set[tuple[int, int]], order: list[int]) -> int:
    """How many pairs elimination in an order joins that were not, by the book."""
    near = {node: set() for node in order}
    for low, high in edges:
        if low and low != high:
            near[low].add(high)
            near[high].add(low)
    count = 0
    for node in order:
        for one, other in combinations(sorted(near[node]), 2):
            if other not in near[one]:
                count += 1
                near[one].add(other)
                near[other].add(one)
        for other in near.pop(node):
            near[other].discard(node)
    return count


@given(data=st.data())
def test_an_order_has_every_node_once_and_eliminates_the_least_joined_next(data) -> None:
    nodes = data.draw(st.integers(1, 9))
    ends = st.integers(0, nodes)
    drawn = data.draw(st.sets(st.tuples(ends, ends), max_size=30))
    edges = {(min(pair), max(pair)) for pair in drawn}
    rank = minimum_degree(*pairs_of(edges), nodes)
    assert rank[0] == nodes
    assert sorted(rank[1:]) == list(range(nodes))
    near = {
        node: {end for edge in edges if node in edge for end in edge} - {0, node}
        for node in range(1, nodes + 1)
    }
    for node in np.argsort(rank[1:]) + 1:
        assert len(near[node]) == min(map(len, near.values()))
        around = near.pop(node)
        for other in around:
            near[other] = (near[other] | around) - {node, other}


def test_hubs_come_last_and_little_is_joined() -> None:
    src, dst = Mixed(1, 8, 8, 3, 4, repeat=(1, 1)).edges()
    edges = {(min(e), max(e)) for e in zip(src.tolist(), dst.tolist(), strict=True)}
    rank = minimum_degree(*pairs_of(edges), 68)
    assert set(rank[65:]) == {64, 65, 66, 67}
    order = (np.argsort(rank[1:]) + 1).tolist()
    shuffled = np.random.default_rng(0).permutation(order).tolist()
    assert fill(edges, order) < 0.5 * fill(edges, shuffled)


@given(data=st.data())
def test_groups_keep_their_edges(data) -> None:
    graph = GroupPairs().apply(data.draw(graphs())).graph
    found = OrderEdges(large=0).apply(graph).graph
    validate(found)
    for phase in range(len(graph.phases)):
        v = data.draw(states(graph, phase))
        before, after = derivative(graph, phase, v), derivative(found, phase, v)
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12 * (1 + abs(before).max()))
        assert groups(graph.phases[phase]) == groups(found.phases[phase])


def groups(phase: Phase) -> set[tuple[object, ...]]:
    """Every group's edges in order, by what they are and what they stand for."""
    found: set[tuple[object, ...]] = set()
    for batch in phase.batches:
        ptr = np.arange(len(batch) + 1) if batch.group_ptr is None else batch.group_ptr
        offsets = batch.column("c").tolist()
        rows = [
            (batch.phi, src, dst, offsets[e], *batch.trace.take([e]).index.tolist())
            for e, (src, dst) in enumerate(zip(batch.src.tolist(), batch.dst.tolist(), strict=True))
        ]
        found |= {tuple(rows[one:other]) for one, other in pairwise(ptr.tolist())}
    return found


def test_tables_stay_with_their_groups() -> None:
    random = np.random.default_rng(0)
    src, dst = np.array([(1, 2), (3, 1), (2, 3), (4, 3), (1, 2), (3, 4), (2, 1)]).T
    batch = EdgeBatch("tanh", src, dst, random.normal(size=7), 1.0, -1.0, random.normal(size=7))
    graph = validate(Graph((Phase(4, 1.0, (batch,)),), 4, [4]))
    around = VoltageRange(np.full(4, -1.0), np.full(4, 1.0))
    tabulated, _ = optimise(graph, 3, Approximation((around,), 1e-2))
    found = OrderEdges(large=0).apply(tabulated).graph
    (before,), (after,) = tabulated.phases[0].batches, found.phases[0].batches
    assert after.tables is not None
    assert {before.src[0], before.dst[0]} == {1, 2}
    assert {after.src[0], after.dst[0]} == {3, 4}
    v = random.uniform(-1, 1, size=(20, 4))
    np.testing.assert_allclose(derivative(found, 0, v), derivative(tabulated, 0, v), atol=1e-12)


def test_small_layers_are_sorted_as_people_read() -> None:
    batch = EdgeBatch("relu", [3, 2, 3, 1], [2, 1, 1, 0], 1.0, [1.0, 2.0, 3.0, 4.0], 0.5, 0.0)
    graph = validate(Graph((Phase(3, 1.0, (batch,)),), 3, [3]))
    (found,) = OrderEdges().apply(graph).graph.phases[0].batches
    assert list(zip(found.src, found.dst, strict=True)) == [(1, 0), (2, 1), (3, 1), (3, 2)]
    (wide,) = OrderEdges(large=0, most_nodes=2).apply(graph).graph.phases[0].batches
    assert wide.src.tolist() == found.src.tolist()


def hubs(leaves: int, hubs: int) -> Graph:
    """Every leaf joined to every hub; the hubs are the first nodes."""
    src = np.tile(np.arange(1, hubs + 1), leaves)
    dst = np.repeat(np.arange(hubs + 1, hubs + leaves + 1), hubs)
    batch = EdgeBatch("tanh", src, dst, np.ones(len(src)), 1.0, -1.0, np.linspace(0, 1, len(src)))
    nodes = hubs + leaves
    return validate(Graph((Phase(nodes, 1.0, (batch,)),), nodes, [nodes]))


def test_large_layers_are_ordered_as_they_are_eliminated() -> None:
    """Leaves have fewer neighbours than hubs: theirs come first, a leaf at a time."""
    (found,), (few,) = (optimise(hubs(leaves, 20), 2)[0].phases[0].batches for leaves in (150, 99))
    assert np.array_equal(found.dst, np.repeat(np.arange(21, 171), 20))
    assert np.array_equal(few.src, np.repeat(np.arange(1, 21), 99))  # 1,980 pairs


def test_an_order_is_found_for_as_many_nodes_as_images_in_colour_have() -> None:
    """3 x 32 x 32 pixels and further nodes; an order for ever more nodes would take ever longer."""
    (found,) = optimise(hubs(3100, 2), 2)[0].phases[0].batches
    assert np.array_equal(found.dst, np.repeat(np.arange(3, 3103), 2))
    (many,) = optimise(hubs(OrderEdges.most_nodes, 2), 2)[0].phases[0].batches
    assert np.array_equal(many.src, np.repeat([1, 2], OrderEdges.most_nodes))
