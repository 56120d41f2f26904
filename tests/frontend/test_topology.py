"""Generators make the published edges in the published order, and say beforehand how many."""

from __future__ import annotations

import numpy as np
import published
import pytest
from hypothesis import assume, given
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
    fully_connected,
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


def test_the_short_form_gives_the_same_edges():
    src, dst = fully_connected(4, False, (2, 1))
    agrees(FullyConnected(4, False, (2, 1)), list(zip(src.tolist(), dst.tolist(), strict=True)))


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
    for topology in (FullyConnected(3), Chain(4), Neighbourhood(1, 3, 3, 2), Mixed(1, 3, 3, 2, 4)):
        said = describe(topology)
        assert TOPOLOGIES[said.pop("name")](**said) == topology
