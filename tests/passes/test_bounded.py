"""``-O3``: what it adds to any node's current stays within its bound, where it says it does."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import graphs, states
from hypothesis import assume, given
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.ir import EdgeBatch, Graph, Phase, derivative, digest, edge_currents, validate
from kcompile.passes import (
    LEVELS,
    Approximation,
    DropNegligible,
    TabulatePairs,
    VoltageRange,
    bounded_passes,
    devices,
    optimise,
    run_passes,
)
from kcompile.passes.curvature import FALLING, FOURTH, RISING, SECOND, Sums, cells

BOUNDS = st.sampled_from([1e-6, 1e-4, 1e-2, 1.0])


@st.composite
def ranges(draw: st.DrawFn, graph: Graph) -> tuple[VoltageRange, ...]:
    """A range of every phase, some nodes of no width at all."""
    found = []
    for phase in range(len(graph.phases)):
        low = draw(states(graph, phase))
        width = draw(st.lists(st.sampled_from([0.0, 1e-3, 0.5, 4.0]), min_size=len(low),
                              max_size=len(low)))  # fmt: skip
        found.append(VoltageRange(low, low + np.array(width)))
    return tuple(found)


@st.composite
def inside(draw: st.DrawFn, found: VoltageRange) -> np.ndarray:
    """A state within a range, its ends included."""
    shares = draw(st.lists(st.floats(0, 1), min_size=found.nodes, max_size=found.nodes))
    return np.clip(found.low + np.array(shares) * (found.high - found.low), found.low, found.high)


def currents(graph: Graph, phase: int, v: np.ndarray) -> np.ndarray:
    return derivative(graph, phase, v) * graph.capacitance[: graph.phases[phase].nodes]


def tanh_pair(count: int = 5, nodes: int = 2, seed: int = 0) -> Graph:
    random = np.random.default_rng(seed)
    a = random.normal(0, 1, count)
    batch = EdgeBatch(
        "tanh", [1] * count, [2] * count, random.normal(0, 1, count), a, -a,
        random.normal(0, 1, count),
    )  # fmt: skip
    return validate(Graph((Phase(nodes, 1.0, (batch,)),), nodes, [nodes]))


def around(graph: Graph, width: float = 2.0) -> tuple[VoltageRange, ...]:
    return tuple(
        VoltageRange(np.full(p.nodes, -width), np.full(p.nodes, width)) for p in graph.phases
    )


@pytest.mark.parametrize("step", [DropNegligible, TabulatePairs], ids=lambda step: step.name)
@given(data=st.data(), bound=BOUNDS)
def test_a_pass_keeps_its_bound_within_the_ranges(step, data, bound):
    graph = data.draw(graphs())
    found = data.draw(ranges(graph))
    result = step(found, bound).apply(graph)
    validate(result.graph)
    assert result.error_bound <= bound * (1 + 1e-9)
    for phase, within in enumerate(found):
        v = data.draw(inside(within))
        before, after = currents(graph, phase, v), currents(result.graph, phase, v)
        rounding = 1e-12 * (1 + np.abs(before).max())
        assert np.abs(before - after).max() <= result.error_bound + rounding


@given(data=st.data(), bound=BOUNDS)
def test_the_level_keeps_the_whole_bound(data, bound):
    graph = data.draw(graphs())
    found = data.draw(ranges(graph))
    compiled, records = optimise(graph, 3, Approximation(found, bound))
    total = sum(record.error_bound for record in records)
    assert total <= bound * (1 + 1e-9)
    exact = {step.name for level in LEVELS for step in level}
    assert all(record.error_bound == 0 for record in records if record.name in exact)
    assert devices(compiled) <= devices(optimise(graph, 2)[0])
    for phase, within in enumerate(found):
        v = data.draw(inside(within))
        before, after = currents(graph, phase, v), currents(compiled, phase, v)
        rounding = 1e-12 * (1 + np.abs(before).max())
        assert np.abs(before - after).max() <= total + rounding


@given(data=st.data())
def test_traces_name_every_tabulated_checkpoint_edge_once(data):
    graph = data.draw(graphs(phases=1))
    compiled = TabulatePairs(around(graph), 1e-3).apply(graph).graph
    named = [e for batch in compiled.phases[0].batches for e in batch.trace.index.tolist()]
    assert sorted(named) == list(range(graph.edges))


@given(
    rows=st.lists(
        st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=5
    ),
    low=st.floats(-20, 20), width=st.floats(1e-3, 50),
)  # fmt: skip
def test_no_sum_bends_more_than_its_cells_say(rows, low, width):
    w, a, c = np.array(rows).T
    assume((np.abs(a) > 1e-3).all())
    sums = Sums(np.array([0, len(w)]), w, a, c)
    found = cells(sums, np.array([low]), np.array([low + width]))
    assert (found.right > found.left).all()
    assert found.left[found.ptr[1]] == low
    assert found.right[found.ptr[2] - 1] == low + width
    u = found.left[:, None] + np.linspace(0, 1, 21) * (found.right - found.left)[:, None]
    t = np.tanh(a * u[..., None] + c)
    second = np.abs((-2 * w * a**2 * t * (1 - t * t)).sum(axis=-1)).max(axis=1)
    assert (second <= found.bend + 1e-13 * np.abs(w * a**2).sum() + 1e-300).all()


def test_the_extremes_of_the_derivatives_of_tanh():
    x = np.linspace(-4, 4, 800_001)
    t = np.tanh(x)
    s = 1 - t * t
    second, fourth = np.abs(2 * t * s), np.abs(8 * t * s * (1 - 3 * s))
    assert SECOND - 1e-4 < second.max() <= SECOND
    assert FOURTH - 1e-3 < fourth.max() <= FOURTH
    assert (fourth <= np.minimum(FOURTH, 8 * s) + 1e-15).all()
    rising, falling = (x >= 0) & (x <= RISING), x >= FALLING
    assert (np.diff(second[rising]) > 0).all()
    assert (np.diff(second[falling]) < 0).all()


def test_fewer_points_where_more_error_is_allowed():
    graph = tanh_pair()
    counts = []
    for bound in (1e-2, 1e-3, 1e-4):
        (batch,) = TabulatePairs(around(graph), bound).apply(graph).graph.phases[0].batches
        assert batch.tables is not None
        counts.append(len(batch.tables.x))
    assert counts == sorted(counts)
    assert counts[2] == pytest.approx(counts[1] * np.sqrt(10), rel=0.3)


def test_a_table_that_would_cost_more_than_its_edges_is_not_made():
    graph = tanh_pair()
    result = TabulatePairs(around(graph), 1e-12).apply(graph)
    assert result.error_bound == 0.0
    assert digest(result.graph) == digest(graph)


def test_beyond_the_range_a_table_stays_within_the_sum_of_the_weights():
    graph = tanh_pair()
    result = TabulatePairs(around(graph, 0.1), 1e-4).apply(graph)
    (batch,) = result.graph.phases[0].batches
    weight = np.abs(batch.w).sum()
    for u in (-1e9, -30.0, -1.0, -0.25, 0.25, 1.0, 30.0, 1e9):
        before, after = (currents(g, 0, np.array([u, 0.0])) for g in (graph, result.graph))
        assert np.abs(after).max() <= weight * (1 + 1e-12)
        assert np.abs(before - after).max() <= weight * (1e-8 if abs(u) >= 1e9 else 0.4)
    assert "beyond the voltage ranges" in result.notes[0]


def test_a_group_has_its_whole_current_on_its_first_edge():
    graph = TabulatePairs(around(tanh_pair()), 1e-3).apply(tanh_pair()).graph
    (batch,) = graph.phases[0].batches
    leaving, entering = edge_currents(batch, np.array([[0.0, 0.3, -0.4], [0.0, 1.0, 1.0]]))
    assert leaving.shape == (2, 5)
    assert (leaving[:, 1:] == 0).all()
    np.testing.assert_array_equal(leaving, entering)


def test_edges_that_carry_nothing_are_dropped_whatever_the_bound():
    batch = EdgeBatch("relu", [1, 1], [2, 2], 1.0, 1.0, -1.0, [-100.0, 0.0])
    far = EdgeBatch("relu", [1], [0], 1.0, 1.0, -1.0, -50.0, trace=None)
    graph = Graph((Phase(2, 1.0, (batch,)),), 2, [2])
    kept = DropNegligible(around(graph), 1e-9).apply(graph).graph
    assert kept.edges == 2  # one device with an edge that does carry something
    graph = Graph((Phase(2, 1.0, (far,)),), 2, [2])
    result = DropNegligible(around(graph), 1e-9).apply(graph)
    assert result.graph.edges == 0
    assert result.error_bound == 0.0


def test_small_edges_go_first_and_only_as_many_as_both_ends_can_spare():
    w = np.array([1e-5, 2e-5, 4e-5, 1.0])
    batch = EdgeBatch("tanh", [1, 2, 3, 1], [2, 3, 1, 2], w, 1.0, 1.0, 20.0)
    graph = validate(Graph((Phase(3, 1.0, (batch,)),), 3, [3]))
    result = DropNegligible(around(graph), 3.5e-5).apply(graph)
    assert result.graph.phases[0].batches[0].trace.index.tolist() == [2, 3]
    assert result.error_bound == pytest.approx(3e-5)


def test_the_level_needs_ranges_that_fit():
    graph = tanh_pair()
    with pytest.raises(UsageError, match="needs voltage ranges"):
        optimise(graph, 3)
    with pytest.raises(UsageError, match="not those of the network"):
        optimise(graph, 3, Approximation((), 1e-3))
    with pytest.raises(UsageError, match="error bound"):
        optimise(graph, 3, Approximation(around(graph), 0.0))
    upside_down = VoltageRange(np.ones(2), np.zeros(2))
    with pytest.raises(UsageError, match="phase 0"):
        optimise(graph, 3, Approximation((upside_down,), 1e-3))


def test_thousands_of_pairs_at_once():
    """Chunks of work must not show: each pair's table is what it is alone."""
    random = np.random.default_rng(1)
    count, nodes = 60_000, 600
    src, dst = random.integers(1, nodes + 1, (2, count))
    a, w, c = random.normal(0, 0.3, (3, count))
    batch = EdgeBatch("tanh", src, dst, w, a, -a, c)
    graph = validate(Graph((Phase(nodes, 1.0, (batch,)),), nodes, [1]))
    found = around(graph, 3.0)
    compiled, records = run_passes(graph, bounded_passes(Approximation(found, 1e-2)))
    v = random.uniform(-3, 3, nodes)
    off = np.abs(currents(graph, 0, v) - currents(compiled, 0, v)).max()
    total = sum(record.error_bound for record in records)
    assert total / 100 < off <= total <= 1e-2
