"""Every pass leaves dv/dt as it was, within its stated bound, and does what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import graphs, states
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.ir import EdgeBatch, Graph, Phase, derivative, digest, validate
from kcompile.passes import (
    LEVELS,
    DropDead,
    FoldGround,
    GroupPairs,
    MergeEqual,
    OrderEdges,
    devices,
    optimise,
    run_passes,
)

PASSES = [FoldGround(), MergeEqual(), DropDead(), GroupPairs(), OrderEdges(), OrderEdges(large=0)]


def one_phase(phi, src, dst, w, a, b, c, nodes=3) -> Graph:
    batch = EdgeBatch(phi, src, dst, w, a, b, c)
    return validate(Graph((Phase(nodes, 1.0, (batch,)),), nodes, [nodes]))


def edges(graph: Graph):
    (batch,) = graph.phases[0].batches
    return batch


@pytest.mark.parametrize("step", PASSES, ids=lambda step: step.name)
@given(data=st.data())
def test_a_pass_keeps_the_currents(step, data):
    graph = data.draw(graphs())
    result = step.apply(graph)
    validate(result.graph)
    for phase in range(len(graph.phases)):
        v = data.draw(states(graph, phase))
        before, after = derivative(graph, phase, v), derivative(result.graph, phase, v)
        rounding = 1e-12 * (1 + np.abs(before).max())
        assert np.abs(before - after).max() <= result.error_bound / 0.5 + rounding


@given(data=st.data())
def test_levels_keep_the_currents_and_never_add_devices(data):
    graph = data.draw(graphs())
    counts = []
    for level in range(len(LEVELS)):
        compiled, records = optimise(graph, level)
        counts.append(devices(compiled))
        assert [record.name for record in records] == [step.name for step in LEVELS[level]]
        for phase in range(len(graph.phases)):
            v = data.draw(states(graph, phase))
            expected = derivative(graph, phase, v)
            np.testing.assert_allclose(
                derivative(compiled, phase, v), expected, atol=1e-12 * (1 + np.abs(expected).max())
            )
    assert counts == sorted(counts, reverse=True)


@given(data=st.data())
def test_traces_name_each_surviving_checkpoint_edge_once(data):
    graph = data.draw(graphs(phases=1))
    compiled, _ = optimise(graph, 2)
    named = [e for batch in compiled.phases[0].batches for e in batch.trace.index.tolist()]
    assert len(named) == len(set(named))
    assert set(named) <= set(range(graph.edges))
    dropped = set(range(graph.edges)) - set(named)
    v = data.draw(states(graph, 0))
    for batch in graph.phases[0].batches:
        for e, (s, d) in enumerate(zip(batch.src, batch.dst, strict=True)):
            if int(batch.trace.index[e]) in dropped and s != d:
                # A dropped edge is dead, or was merged with others into a weight of zero.
                same = (np.minimum(batch.src, batch.dst) == min(s, d)) & (
                    np.maximum(batch.src, batch.dst) == max(s, d)
                )
                alone = one_phase(
                    batch.phi, batch.src[same], batch.dst[same], batch.column("w")[same],
                    batch.column("a")[same], batch.column("b")[same], batch.column("c")[same],
                    nodes=graph.phases[0].nodes,
                )  # fmt: skip
                kept, _ = optimise(alone, 1)
                np.testing.assert_allclose(
                    derivative(kept, 0, v), derivative(alone, 0, v), atol=1e-12
                )


def test_o0_is_literal():
    graph = one_phase("relu", [1, 1, 2], [1, 2, 0], 0.0, 1.0, -1.0, 0.0)
    compiled, records = optimise(graph, 0)
    assert digest(compiled) == digest(graph)
    assert records == ()


def test_fold_ground_turns_affine_ground_edges_into_diff_edges_of_one_voltage():
    graph = one_phase("relu", [0, 2, 1], [2, 0, 2], 3.0, [5.0, 7.0, 1.0], [6.0, 8.0, 2.0], 0.5)
    batch = edges(FoldGround().apply(graph).graph)
    assert batch.src.tolist() == [2, 2, 1]
    assert batch.dst.tolist() == [0, 0, 2]
    assert batch.w.tolist() == [-3.0, 3.0, 3.0]
    assert batch.a.tolist() == [6.0, 7.0, 1.0]
    assert batch.is_diff.tolist() == [True, True, False]


def test_merge_equal_sees_antiparallel_edges_and_signed_zero():
    graph = one_phase(
        "tanh", [1, 2, 1, 1], [2, 1, 2, 2], [1.0, 0.25, 2.0, 4.0],
        [1.0, -1.0, 1.0, 1.5], [-1.0, 1.0, -1.0, -1.5], [0.0, -0.0, -0.0, 0.0],
    )  # fmt: skip
    batch = edges(MergeEqual().apply(graph).graph)
    assert batch.w.tolist() == [2.75, 4.0]
    assert batch.src.tolist() == [1, 1]
    assert batch.trace.ptr.tolist() == [0, 3, 4]
    assert sorted(batch.trace.index[:3].tolist()) == [0, 1, 2]


def test_merge_equal_keeps_different_edges_apart():
    graph = one_phase("relu", [1, 1, 2], [2, 2, 1], 1.0, 1.0, -1.0, [0.0, 0.1, 0.0])
    assert MergeEqual().apply(graph).graph.edges == 3


def test_drop_dead_drops_only_what_never_conducts():
    graph = one_phase(
        "relu", [1, 1, 1, 1, 2], [2, 1, 2, 2, 3], [0.0, 1.0, 1.0, 1.0, 1.0],
        [1.0, 1.0, 0.0, 0.0, 1.0], [-1.0, -1.0, 0.0, 0.0, -1.0], [1.0, 1.0, -1.0, 1.0, -1e9],
    )  # fmt: skip
    batch = edges(DropDead().apply(graph).graph)
    assert batch.trace.index.tolist() == [3, 4]


def test_group_pairs_joins_both_directions_and_leaves_far_kinks_alone():
    graph = one_phase(
        "relu", [1, 2, 1, 3, 1], [2, 1, 2, 1, 2], 1.0,
        [1.0, 1.0, 1e-9, 1.0, 1.0], [-1.0, -1.0, -1e-9, -1.0, 0.5], [0.1, 0.2, 1.0, 0.3, 0.4],
    )  # fmt: skip
    result = GroupPairs().apply(graph).graph
    grouped, rest = result.phases[0].batches
    assert grouped.group_ptr is not None
    assert grouped.group_ptr.tolist() == [0, 2, 3]
    assert grouped.trace.index.tolist() == [0, 1, 3]
    assert rest.trace.index.tolist() == [2, 4]
    assert devices(result) == 4


def test_an_edge_without_a_kink_is_not_grouped():
    """With a == c == 0 the kink -c/a is not a number."""
    graph = one_phase("leaky_relu", [1, 1], [2, 2], 1.0, [0.0, 1.0], [0.0, -1.0], [0.0, 0.5])
    grouped, rest = GroupPairs().apply(graph).graph.phases[0].batches
    assert (len(grouped), len(rest)) == (1, 1)


def test_tanh_is_not_grouped():
    graph = one_phase("tanh", [1, 2], [2, 1], 1.0, 1.0, -1.0, 0.0)
    assert GroupPairs().apply(graph).graph.phases[0].batches[0].group_ptr is None


def test_records_count_devices_before_and_after():
    graph = one_phase("relu", [1, 2, 1], [2, 1, 1], 1.0, 1.0, -1.0, [0.0, 0.5, 0.0])
    _, records = run_passes(graph, (DropDead(), GroupPairs()))
    assert [(r.edges_before, r.edges_after) for r in records] == [(3, 2), (2, 1)]
    assert all(record.error_bound == 0.0 for record in records)


def test_an_unknown_level_is_an_error():
    with pytest.raises(UsageError, match="levels: 0..3"):
        optimise(one_phase("relu", [1], [2], 1.0, 1.0, -1.0, 0.0), 7)
