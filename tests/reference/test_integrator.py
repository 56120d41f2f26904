"""Samples that are integrated together against scipy, one by one, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import DOP853, RK45

from kcompile.ir import EdgeBatch, Graph, Phase, Phi
from kcompile.reference import phase_rhs
from kcompile.reference.integrator import IntegrationError, Settings, integrate
from kcompile.reference.pairs import eighth_order, fifth_order, pair_for

PAIRS = pytest.mark.parametrize(
    ("pair", "method"), [(fifth_order(), RK45), (eighth_order(), DOP853)], ids=lambda each: ""
)


def network(seed: int, nodes: int, phi: Phi, edges: int = 40) -> Graph:
    """Random edges among nodes and ground."""
    random = np.random.default_rng(seed)
    ends = random.integers(0, nodes + 1, (2, edges))
    w, a, b, c = random.normal(size=(4, edges)) * np.array([[0.8], [1.0], [1.0], [0.3]])
    return Graph((Phase(nodes, 1.0, (EdgeBatch(phi, *ends, w, a, b, c),)),), nodes, [nodes])


@PAIRS
@pytest.mark.parametrize("phi", [Phi.TANH, Phi.IDENTITY])
def test_every_sample_takes_the_steps_that_scipy_takes(pair, method, phi: Phi) -> None:
    """A wrong coefficient, norm or step rule: another step somewhere.

    Not for relu, at whose corners the last bit of a step decides about the next one.
    """
    graph = network(3, 5, phi)
    rhs = phase_rhs(graph, 0)
    v0 = np.random.default_rng(4).normal(size=(6, 5)) * 2
    given_ = Settings(1e-7, 1e-7, steps=2)
    found = integrate(rhs, v0, 2.0, given_, pair, [True] * 6)
    for start, solution in zip(v0, found, strict=True):
        solver = method(
            lambda _t, v: rhs(v), 0.0, start, 2.0, rtol=1e-7, atol=1e-7,
            max_step=1.0 / pair.shares,
        )  # fmt: skip
        while solver.status == "running":
            solver.step()
            middle = np.linspace(solver.t_old, solver.t, 5)
            assert solution.interpolant is not None
            at = solution.interpolant(middle)
            np.testing.assert_allclose(at, solver.dense_output()(middle).T, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(solution.final, solver.y, rtol=1e-9, atol=1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    nodes=st.integers(1, 12),
    samples=st.integers(2, 9),
    phi=st.sampled_from(list(Phi)),
)
@settings(max_examples=40, deadline=None)
def test_no_sample_depends_on_the_others_by_a_bit(
    seed: int, nodes: int, samples: int, phi: Phi
) -> None:
    graph = network(seed, nodes, phi)
    rhs, pair = phase_rhs(graph, 0), pair_for(graph.phases[0])
    random = np.random.default_rng(seed)
    v0 = random.normal(size=(samples, nodes)) * 10.0 ** random.integers(-2, 2, (samples, 1))
    wanted = random.uniform(size=samples) < 0.5
    together = integrate(rhs, v0, 1.0, Settings(1e-6, 1e-6), pair, wanted.tolist())
    times = np.linspace(0.0, 1.0, 9)
    for start, solution, dense in zip(v0, together, wanted, strict=True):
        [alone] = integrate(rhs, start[None], 1.0, Settings(1e-6, 1e-6), pair, [True])
        np.testing.assert_array_equal(alone.final, solution.final)
        assert (solution.interpolant is not None) == dense
        if solution.interpolant is not None:
            assert alone.interpolant is not None
            np.testing.assert_array_equal(alone.interpolant(times), solution.interpolant(times))


def test_the_method_suits_the_currents() -> None:
    assert pair_for(network(1, 3, Phi.RELU).phases[0]) is fifth_order()
    assert pair_for(network(1, 3, Phi.LEAKY_RELU).phases[0]) is fifth_order()
    assert pair_for(network(1, 3, Phi.TANH).phases[0]) is eighth_order()
    assert pair_for(network(1, 3, Phi.RELU, edges=0).phases[0]) is eighth_order()


@PAIRS
def test_the_sample_that_fails_is_named_by_its_place(pair, method) -> None:
    def rhs(v):
        return np.where(v > 5.0, v * v, -v)  # from above 5 it explodes

    v0 = np.array([[1.0], [2.0], [6.0], [3.0]])
    with pytest.raises(IntegrationError, match=r"resolution|without bound") as caught:
        integrate(rhs, v0, 1.0, Settings(1e-8, 1e-8), pair)
    assert caught.value.sample == 2
    assert caught.value.time == pytest.approx(1 / 6, rel=1e-3)


@PAIRS
def test_a_waveform_is_as_good_between_the_steps(pair, method) -> None:
    [solution] = integrate(
        lambda v: -v, np.array([[1.0, 2.0]]), 3.0, Settings(1e-9, 1e-9), pair, [True]
    )
    assert solution.interpolant is not None
    times = np.linspace(0.0, 3.0, 1001)
    expected = np.exp(-times)[:, None] * [1.0, 2.0]
    np.testing.assert_allclose(solution.interpolant(times), expected, atol=2e-8)
    np.testing.assert_array_equal(solution.interpolant(np.array([0.0, 9.0]))[0], [1.0, 2.0])
