"""The prepared right-hand side against the plain one of the graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcompile.ir import EdgeBatch, Graph, Phase, Phi, derivative
from kcompile.reference import RhsFactory, phase_rhs
from kcompile.reference.rhs import numpy_rhs


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, np.random.Generator]:
    """Random graphs of one phase: several batches, ground, multi-edges, self-loops, any phi."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes = draw(st.integers(1, 6))
    batches: list[EdgeBatch] = []
    for phi in draw(st.lists(st.sampled_from(list(Phi)), max_size=4)):
        edges = draw(st.integers(0, 20))
        ends = random.integers(0, nodes + 1, (2, edges))
        single = draw(st.booleans())
        columns = random.normal(size=(4, 1 if single else edges)) * 3
        w, a, b, c = (column[0] if single else column for column in columns)
        batches.append(EdgeBatch(phi, *ends, w, a, b, c))
    capacitance = random.uniform(0.5, 2.0, nodes)
    return Graph((Phase(nodes, 1.0, tuple(batches)),), nodes, [nodes], capacitance), random


FACTORIES = pytest.mark.parametrize("factory", [phase_rhs, numpy_rhs])


@FACTORIES
@given(graphs())
@settings(max_examples=100, deadline=None)
def test_equals_the_plain_derivative(
    factory: RhsFactory, case: tuple[Graph, np.random.Generator]
) -> None:
    graph, random = case
    rhs = factory(graph, 0)
    for _ in range(3):
        v = random.normal(size=graph.nodes) * 10
        expected = derivative(graph, 0, v)
        np.testing.assert_allclose(rhs(v), expected, rtol=1e-13, atol=1e-12)


@FACTORIES
def test_results_do_not_share_memory(factory: RhsFactory) -> None:
    edge = EdgeBatch(Phi.IDENTITY, [1], [0], 1.0, 1.0, 0.0, 0.0)
    rhs = factory(Graph((Phase(1, 1.0, (edge,)),), 1, [1]), 0)
    first = rhs(np.array([2.0]))
    rhs(np.array([5.0]))
    assert first == [-2.0]


@FACTORIES
def test_uses_only_the_capacitances_of_the_phase(factory: RhsFactory) -> None:
    edge = EdgeBatch(Phi.IDENTITY, [0], [1], 1.0, 0.0, 0.0, 6.0)
    phases = (Phase(1, 1.0, (edge,)), Phase(3, 1.0, ()))
    rhs = factory(Graph(phases, 1, [1], [2.0, 3.0, 4.0]), 0)
    np.testing.assert_array_equal(rhs(np.zeros(1)), [3.0])


def test_without_a_kernel_it_is_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = EdgeBatch(Phi.TANH, [1, 0], [0, 1], [1.0, 0.3], 1.0, -1.0, 0.2)
    graph = Graph((Phase(1, 1.0, (edge,)),), 1, [1])
    v = np.array([0.7])
    with monkeypatch.context() as patch:
        patch.setenv("KCOMPILE_KERNEL", "none")
        expected = phase_rhs(graph, 0)(v)
    np.testing.assert_array_equal(expected, numpy_rhs(graph, 0)(v))
    np.testing.assert_allclose(phase_rhs(graph, 0)(v), expected, rtol=1e-14)


@FACTORIES
@given(graphs(), st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_a_state_gives_the_same_whatever_is_beside_it(
    factory: RhsFactory, case: tuple[Graph, np.random.Generator], samples: int
) -> None:
    graph, random = case
    rhs = factory(graph, 0)
    states = random.normal(size=(samples, graph.nodes)) * 10
    together = rhs(states)
    assert together.shape == states.shape
    for state, slope in zip(states, together, strict=True):
        np.testing.assert_array_equal(rhs(state), slope)
