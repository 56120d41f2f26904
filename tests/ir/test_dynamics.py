"""dv/dt against Kirchhoff's law written out edge by edge, and what phases hand over."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graphs import graphs, states
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import CheckpointError, GraphError
from kcompile.ir import (
    LAWS,
    LEAKY_SLOPE,
    EdgeBatch,
    Fill,
    Graph,
    Phase,
    Phi,
    derivative,
    edge_currents,
    get_law,
    hand_over,
    phase_output,
)

SCALAR = {
    Phi.RELU: lambda x: max(x, 0.0),
    Phi.TANH: math.tanh,
    Phi.LEAKY_RELU: lambda x: x if x > 0 else LEAKY_SLOPE * x,
    Phi.IDENTITY: lambda x: x,
}


@given(data=st.data())
def test_derivative_is_kirchhoffs_law_edge_by_edge(data):
    graph: Graph = data.draw(graphs())
    for k, phase in enumerate(graph.phases):
        v = data.draw(states(graph, k))
        total = [0.0] * (phase.nodes + 1)
        volts = [0.0, *v]
        for batch in phase.batches:
            for e in range(len(batch)):
                s, d = int(batch.src[e]), int(batch.dst[e])
                w, a, b, c = (float(batch.column(n)[e]) for n in "wabc")
                current = w * SCALAR[batch.phi](a * volts[s] + b * volts[d] + c)
                total[s] -= current
                total[d] += current
        expected = np.array(total[1:]) / graph.capacitance[: phase.nodes]
        np.testing.assert_allclose(
            derivative(graph, k, v), expected, rtol=1e-12, atol=1e-12 * (1 + abs(expected).max())
        )


@given(graph=graphs(phases=1), rows=st.integers(1, 3))
def test_batches_of_states_are_states(graph, rows):
    v = np.random.default_rng(0).normal(size=(2, rows, graph.phases[0].nodes))
    together = derivative(graph, 0, v)
    assert together.shape == v.shape
    np.testing.assert_array_equal(together[1, -1], derivative(graph, 0, v[1, -1]))


def test_currents_of_both_ends_are_given_apart():
    batch = EdgeBatch("relu", [1], [2], 2.0, 1.0, -1.0, 0.0)
    leaving, entering = edge_currents(batch, np.array([0.0, 3.0, 1.0]))
    assert leaving.tolist() == entering.tolist() == [4.0]


def test_a_state_of_the_wrong_width_is_named():
    graph = Graph((Phase(2, 1.0, ()),), 1, [1])
    with pytest.raises(GraphError, match="phase 0: .*3.* for 2 nodes"):
        derivative(graph, 0, np.zeros(3))


@pytest.mark.parametrize(
    ("nodes", "fill", "expected"),
    [
        (2, Fill.ZERO, [1.0, 2.0]),
        (3, Fill.ZERO, [1.0, 2.0, 3.0]),
        (5, Fill.ZERO, [1.0, 2.0, 3.0, 0.0, 0.0]),
        (5, Fill.REPEAT, [1.0, 2.0, 3.0, 1.0, 2.0]),
        (8, Fill.REPEAT, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]),
    ],
)
def test_hand_over(nodes, fill, expected):
    assert hand_over(np.array([1.0, 2.0, 3.0]), Phase(nodes, 1.0, (), fill)).tolist() == expected


def test_of_nothing_repeat_gives_zeros():
    assert hand_over(np.empty((2, 0)), Phase(2, 1.0, (), Fill.REPEAT)).tolist() == [[0, 0], [0, 0]]


def test_a_residual_adds_what_an_earlier_phase_passed_on():
    phases = (Phase(1, 1.0, ()), Phase(1, 1.0, ()), Phase(1, 1.0, (), residual=0))
    graph = Graph(phases, 1, [1])
    outputs = [np.array([10.0]), np.array([20.0])]
    assert phase_output(graph, 2, np.array([1.0]), outputs).tolist() == [11.0]
    assert phase_output(graph, 1, np.array([1.0]), outputs[:1]).tolist() == [1.0]


@pytest.mark.parametrize("law", LAWS.values(), ids=lambda law: law.name)
def test_each_laws_formula_says_what_its_coefficients_compute(law):
    rng = np.random.default_rng(3)
    p = rng.normal(size=(law.rows, 5))
    vs, vd = rng.normal(size=5), rng.normal(size=5)
    form = law.coefficients(p)
    found = form.w * law.phi(form.a * vs + form.b * vd + form.c)
    names = {f"p{k}": row for k, row in enumerate(p)}
    functions = {
        "relu": lambda x: np.where(x > 0, x, 0.0),
        "tanh": np.tanh,
        "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
        "identity": lambda x: x,
    }
    expected = eval(law.formula, {"__builtins__": {}}, {**names, **functions, "vs": vs, "vd": vd})
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_an_unknown_law_lists_those_there_are():
    with pytest.raises(CheckpointError, match="unknown law 'sine'; known laws: .*tanh_diff"):
        get_law("sine")


@given(x=st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_phi_is_elementwise_and_keeps_shape(x):
    values = np.array(x)
    for phi in Phi:
        np.testing.assert_allclose(phi(values), [SCALAR[phi](v) for v in x], rtol=1e-15)
