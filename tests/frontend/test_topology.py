"""Generators make the published edges in the published order, and say beforehand how many."""

from __future__ import annotations

import numpy as np
import published
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.frontend.published.given import Given
from kcompile.frontend.topology import (
    TOPOLOGIES,
    Chain,
    FullyConnected,
    Mixed,
    Neighbourhood,
    describe,
    share_of,
)

SMALL = st.integers(0, 2)
REPEAT = st.tuples(SMALL, SMALL)


def agrees(topology, expected) -> None:
    src, dst = topology.edges()
    assert src.dtype == dst.dtype == np.int32
    assert list(zip(src.tolist(), dst.tolist(), strict=True)) == expected
    assert topology.count == len(expected)


@given(num_node=st.integers(0, 6), include_gnd=st.booleans(), repeat=REPEAT)
def test_fully_connected(num_node, include_gnd, repeat):
    expected = published.fully_connect(num_node, include_gnd, repeat)
    agrees(FullyConnected(num_node, include_gnd, repeat), expected)


@given(num_node=st.integers(0, 6), include_gnd=st.booleans(), repeat=REPEAT)
def test_chain(num_node, include_gnd, repeat):
    expected = published.simple_connect(num_node, include_gnd, repeat)
    agrees(Chain(num_node, include_gnd, repeat), expected)


IMAGES = {
    "num_channel": st.integers(1, 2),
    "width": st.integers(1, 5),
    "height": st.integers(1, 5),
    "neighbor_size": st.integers(1, 4),
    "padding": st.booleans(),
    "parallel": st.integers(1, 4),
}


@given(**IMAGES, repeat=st.integers(1, 2))
def test_neighbourhood(**arguments):
    assume(arguments["padding"] or arguments["neighbor_size"] <= min(
        arguments["width"], arguments["height"]))  # fmt: skip
    agrees(Neighbourhood(**arguments), published.neighbor_index(**arguments))


@given(**IMAGES, fully_connect_node=st.integers(0, 3), repeat=REPEAT, kernel_repeat=SMALL)
def test_mixed(**arguments):
    assume(arguments["padding"] or arguments["neighbor_size"] <= min(
        arguments["width"], arguments["height"]))  # fmt: skip
    pixels = arguments["num_channel"] * arguments["width"] * arguments["height"]
    assume(pixels > 1 and arguments["neighbor_size"] > 1 and arguments["kernel_repeat"])
    agrees(Mixed(**arguments), published.mix_connect(**arguments))


@given(
    edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5),
    num_node_feature=st.integers(1, 3),
    repeat_across_layer=SMALL,
    repeat_within_layer=st.integers(1, 2),
    repeat_to_gnd=SMALL,
)
def test_given(edges, **arguments):
    source = [list(row) for row in zip(*edges, strict=True)]
    agrees(Given(source, **arguments), published.pregiven(source, **arguments))


@pytest.mark.parametrize(
    ("topology", "nodes", "edges"),
    [
        (Mixed(1, 28, 28, 4, 50, (1, 1)), 834, 230_068),
        (Mixed(1, 28, 28, 3, 0, (1, 1)), 784, 50_240),
        (FullyConnected(3, repeat=(25, 25)), 2, 300),
        (Mixed(3, 32, 32, 4, 50), 3122, 2_054_018),
    ],
)
def test_the_networks_of_the_paper_have_their_size(topology, nodes, edges):
    src, dst = topology.edges()
    assert (max(src.max(), dst.max()), len(src), topology.count) == (nodes, edges, edges)


@pytest.mark.parametrize(
    "call",
    [
        lambda: FullyConnected(-1),
        lambda: FullyConnected(3, repeat=(1, -1)),
        lambda: FullyConnected(3, repeat=(1,)),
        lambda: Chain(-2),
        lambda: Neighbourhood(1, 3, 3, 4),
        lambda: Neighbourhood(1, 3, 3, 0),
        lambda: Neighbourhood(0, 3, 3, 2),
        lambda: Neighbourhood(1, 3, 3, 2, parallel=0),
        lambda: Neighbourhood(1, 3, 3, 2, parallel=1000),
        lambda: Mixed(1, 3, 3, 2, -1),
        lambda: Mixed(1, 3, 3, 1, 5),
        lambda: FullyConnected(10**6).edges(),
        lambda: Chain(2**31).edges(),
        lambda: Neighbourhood(1, 10**6, 10**6, 3).edges(),
        lambda: Mixed(1, 3, 3, 2, 2**31).edges(),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(UsageError):
        call()


def test_counting_needs_no_memory():
    size = 10**9
    windows = (size - 2) ** 2
    assert Neighbourhood(1, size, size, 3).count == windows * 72
    # Padded, k = size: overlaps 1, 2, ..., size, ..., 2, 1 along each axis.
    overlaps = [*range(1, 8), *range(6, 0, -1)]
    expected = sum((a * b) * (a * b - 1) for a in overlaps for b in overlaps)
    assert Neighbourhood(1, 7, 7, 7, padding=True).count == expected


def test_further_nodes_without_edges_cost_nothing():
    assert len(Mixed(1, 3, 3, 2, 2**30, repeat=(0, 0)).edges()[0]) == 48


def test_a_description_makes_the_same_topology():
    for topology in (
        FullyConnected(3),
        Chain(4),
        Neighbourhood(1, 3, 3, 2),
        Mixed(1, 3, 3, 2, 4),
        Mixed(1, 3, 3, 2, 4, sharing=True),
    ):
        said = describe(topology)
        assert TOPOLOGIES[said.pop("name")](**said) == topology


# --- Sharing ------------------------------------------------------------------------------------


def kernels_by_hand(num_channel, width, height, neighbor_size, padding, repeat, parallel):
    """For every edge ``(src, dst, what it must share with)``, found by looking at every window."""
    reach = range(neighbor_size)
    positions = [(c, y, x) for c in range(num_channel) for y in reach for x in reach]
    margin = neighbor_size - 1 if padding else 0

    def node(top, left, position):
        c, y, x = position[0], position[1] + top, position[2] + left
        inside = 0 <= y < width and 0 <= x < height
        return 1 + c * width * height + y * height + x if inside else None

    edges = []
    for top in range(-margin, width - neighbor_size + margin + 1):
        for left in range(-margin, height - neighbor_size + margin + 1):
            for j in positions:
                for k in positions:
                    src, dst = node(top, left, j), node(top, left, k)
                    if j != k and src and dst:
                        edges += [(src, dst, (j, k, again)) for again in range(repeat)]
    shifts = [0]
    for step in range(1, parallel):
        shifts += [shift + step * num_channel * width * height for shift in shifts]
    return [(s + n, d + n, (copy, key)) for copy, n in enumerate(shifts) for s, d, key in edges]


def shares_as(share, keys):
    """Equal keys have one column, different keys different ones, and no column is idle."""
    assert share.dtype == np.int32
    assert len(share) == len(keys)
    assert len(set(zip(keys, share.tolist(), strict=True))) == len(set(keys)) == len(set(share))
    assert sorted(set(share.tolist())) == list(range(len(set(keys))))


SHARED = {
    "num_channel": st.integers(1, 3),
    "width": st.integers(1, 4),
    "height": st.integers(1, 4),
    "neighbor_size": st.integers(1, 3),
    "padding": st.booleans(),
    "parallel": st.integers(1, 3),
}


def fits(arguments):
    return arguments["padding"] or arguments["neighbor_size"] <= min(
        arguments["width"], arguments["height"]
    )


@settings(max_examples=60, deadline=None)
@given(**SHARED, repeat=st.integers(1, 2))
def test_all_windows_of_a_kernel_share(**arguments):
    """Catches windows cut by the border whose positions are counted from what is left of them."""
    assume(fits(arguments))
    topology = Neighbourhood(**arguments, sharing=True)
    expected = kernels_by_hand(**arguments)
    agrees(topology, [(src, dst) for src, dst, _ in expected])
    shares_as(share_of(topology), [key for _, _, key in expected])


@settings(max_examples=60, deadline=None)
@given(
    **SHARED, fully_connect_node=st.integers(0, 2), repeat=REPEAT, kernel_repeat=st.integers(1, 2)
)
def test_ground_and_further_nodes_share_nothing(fully_connect_node, repeat, **arguments):
    """Catches columns of the kernel that are handed out again to the edges behind it."""
    assume(fits(arguments) and arguments["neighbor_size"] > 1)
    pixels = arguments["num_channel"] * arguments["width"] * arguments["height"]
    assume(pixels > 1)
    topology = Mixed(
        **arguments, fully_connect_node=fully_connect_node, repeat=repeat, sharing=True
    )
    kernel = arguments.pop("kernel_repeat")
    keys = [key for _, _, key in kernels_by_hand(**arguments, repeat=kernel)]
    share = share_of(topology)
    shares_as(share, keys + list(range(topology.count - len(keys))))
    assert len(share) == len(topology.edges()[0])


def test_sharing_changes_no_edge_and_off_it_shares_nothing():
    for plain, shared in (
        (Neighbourhood(2, 4, 3, 2, True), Neighbourhood(2, 4, 3, 2, True, sharing=True)),
        (Mixed(1, 4, 4, 3, 2), Mixed(1, 4, 4, 3, 2, sharing=True)),
    ):
        assert share_of(plain) is None
        for one, other in zip(plain.edges(), shared.edges(), strict=True):
            assert np.array_equal(one, other)
    assert share_of(FullyConnected(3)) is share_of(Chain(3)) is None


def test_a_kernel_has_one_column_for_each_pair_of_positions():
    # A 4x4 window of 16 pixels; then 784 edges to ground and 784 back, 50 nodes with 785 twice.
    share = share_of(Mixed(1, 28, 28, 4, 50, (1, 1), sharing=True))
    assert share is not None
    assert share.max() + 1 == 16 * 15 + 2 * 784 + 2 * 50 * 785


@pytest.mark.parametrize(
    "topology",
    [
        Neighbourhood(1, 10**6, 10**6, 3, sharing=True),
        Mixed(1, 3, 3, 2, 2**31, sharing=True),
    ],
)
def test_sharing_of_more_edges_than_can_be_numbered_is_refused(topology):
    with pytest.raises(UsageError, match="more than can be numbered"):
        topology.share()


def test_a_window_without_pairs_shares_nothing():
    share = Neighbourhood(1, 3, 3, 1, sharing=True).share()
    assert share is not None
    assert share.tolist() == []
