"""dv/dt, its Jacobian's trace and their adjoint against numpy and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kernel_layers import Case, cases, one_edge, some_case

from kcompile.ir import Phi
from kcompile.kernels.library import suite

REALS = (np.float32, np.float64)
SAMPLES = st.integers(1, 70)
"""One sample, blocks of one, two and four vectors of every suite, and their tails."""

properties = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("real", REALS)
@given(cases(), SAMPLES)
@properties
def test_derivative_is_that_of_the_graph(name: str, real: Any, case: Case, samples: int) -> None:
    v = case.states(samples, real, 3.0)
    out = np.full_like(v, np.nan)
    case.compiled(real, name).derivative(v, out)
    close = 40 * np.finfo(real).eps * case.magnitude(v)
    np.testing.assert_allclose(out, case.derivative(v), rtol=0, atol=close)


@given(cases(), SAMPLES)
@properties
def test_trace_is_that_of_the_jacobian(name: str, case: Case, samples: int) -> None:
    """Self-loops, ground and capacitances among them."""
    v = case.states(samples)
    assume(case.far_from_kinks(v, 1e-4))
    out, trace = np.empty_like(v), np.full(samples, np.nan)
    layer = case.compiled(np.float64, name)
    layer.derivative(v, out, trace)
    np.testing.assert_allclose(trace, case.trace(v), rtol=1e-7, atol=1e-7)
    alone = np.empty_like(v)
    layer.derivative(v, alone)
    np.testing.assert_allclose(alone, out, rtol=1e-13, atol=1e-13 * case.magnitude(v))


@given(cases(), SAMPLES, st.booleans())
@settings(properties, max_examples=40)
def test_pullback_is_that_of_finite_differences(
    name: str, case: Case, samples: int, traced: bool
) -> None:
    v = case.states(samples)
    assume(case.far_from_kinks(v, 1e-4))
    of_out, of_trace = case.states(samples), case.random.normal(size=samples)

    def loss(of: Case, at: Any) -> float:
        out, trace = np.empty_like(at), np.zeros(samples)
        of.compiled(np.float64, name).derivative(at, out, trace if traced else None)
        return float((out * of_out).sum() + (trace * of_trace).sum())

    grads, grad_v = case.gradients(), np.full_like(v, np.nan)
    layer = case.compiled(np.float64, name, grads)
    layer.pullback(v, of_out, grad_v, of_trace if traced else None)
    h, size = 1e-5, 1 + abs(loss(case, v)) + case.magnitude(v) * samples
    step = case.states(samples)
    slope = (loss(case, v + h * step) - loss(case, v - h * step)) / (2 * h)
    assert (grad_v * step).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7 * size)
    for k, batch in enumerate(case.batches):
        for i in range(4):
            for e in range(0, len(batch), 5):
                up, down = (loss(case.nudged(k, i, e, by), v) for by in (h, -h))
                expected = pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-7 * size)
                assert grads[k][i][e] == expected


@pytest.mark.parametrize("traced", [False, True])
@given(cases(), SAMPLES)
@settings(properties, max_examples=30)
def test_single_precision_pulls_back_the_same(
    name: str, traced: bool, case: Case, samples: int
) -> None:
    v, of_out = (case.states(samples, np.float32) for _ in range(2))
    assume(case.far_from_kinks(v, 1e-4))
    of_trace = case.random.normal(size=samples).astype(np.float32)
    found: list[list[Any]] = []
    for real in REALS:
        grads, grad_v = case.gradients(real), np.empty(v.shape, real)
        layer = case.compiled(real, name, grads)
        row = of_trace.astype(real) if traced else None
        layer.pullback(v.astype(real), of_out.astype(real), grad_v, row)
        found.append([grad_v, *(g for batch in grads for g in batch)])
    close = 1e-5 * (1 + case.magnitude(v)) * samples
    for single, double in zip(*found, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=close)


@pytest.mark.parametrize("samples", [1, 3, 70])
def test_adjoints_that_are_not_wanted_are_left_out_and_others_added_to(
    name: str, samples: int
) -> None:
    case = some_case()
    v, of_out = case.states(samples), case.states(samples)
    everything, grad_v = case.gradients(), np.empty_like(v)
    case.compiled(np.float64, name, everything).pullback(v, of_out, grad_v)
    some: Any = [[grads[0], None, None, grads[3]] for grads in case.gradients()]
    again = np.empty_like(v)
    layer = case.compiled(np.float64, name, some)
    for _ in range(2):
        layer.pullback(v, of_out, again)
    np.testing.assert_array_equal(again, grad_v)
    for got, want in zip(some, everything, strict=True):
        np.testing.assert_allclose(got[0], 2 * want[0], rtol=1e-14)
        np.testing.assert_allclose(got[3], 2 * want[3], rtol=1e-14)


@pytest.mark.parametrize("real", REALS)
@given(st.integers(1, 70), st.data())
@settings(properties, max_examples=30)
def test_a_sample_does_not_depend_on_its_batch_mates(
    name: str, real: Any, samples: int, data: st.DataObject
) -> None:
    case = some_case(samples)
    layer = case.compiled(real, name)
    v = case.states(samples, real)
    together, traces = np.empty_like(v), np.empty(samples, real)
    layer.derivative(v, together, traces)
    at = data.draw(st.integers(0, samples - 1))
    alone, trace = np.empty((case.nodes, 1), real), np.empty(1, real)
    one = np.ascontiguousarray(v[:, at : at + 1])
    layer.derivative(one, alone, trace)
    close = 4 * np.finfo(real).eps * case.magnitude(one)
    np.testing.assert_allclose(together[:, at], alone[:, 0], rtol=0, atol=close)
    np.testing.assert_allclose(traces[at], trace[0], rtol=0, atol=4 * close)


@pytest.mark.parametrize("real", REALS)
@given(st.integers(0, 70), st.integers(0, 70), st.integers(0, 70))
@settings(properties, max_examples=30)
def test_a_part_touches_its_samples_only(name: str, real: Any, one: int, two: int, by: int) -> None:
    """Catches a vector that is stored beyond the end of a part."""
    begin, end = sorted((one, two))
    samples, part = end + by, slice(begin, end)
    case = some_case()
    v, of_out = case.states(samples, real), case.states(samples, real)
    whole, traces, pulled = np.empty_like(v), np.empty(samples, real), np.empty_like(v)
    layer = case.compiled(real, name)
    layer.derivative(v, whole, traces)
    layer.pullback(v, of_out, pulled, traces)
    out, trace, back = np.full_like(v, 7), np.full(samples, 7, real), np.full_like(v, 7)
    layer.derivative(v, out, trace, part)
    layer.pullback(v, of_out, back, traces, part)
    close = 64 * np.finfo(real).eps * (1 + case.magnitude(v)) if samples else 0.0
    for got, full in ((out, whole), (trace, traces), (back, pulled)):
        outside = np.ones(samples, bool)
        outside[part] = False
        assert (got[..., outside] == 7).all()
        np.testing.assert_allclose(got[..., part], full[..., part], rtol=0, atol=10 * close)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("phi", list(Phi))
@pytest.mark.parametrize("samples", [1, 2, 5, 70])
def test_nan_stays_and_infinities_end_where_phi_does(
    name: str, real: Any, phi: Phi, samples: int
) -> None:
    """Catches comparisons by which a broken solution looks like a sound one."""
    layer = one_edge(phi, real, suite(real, name))
    ends = {
        Phi.RELU: (np.inf, 0.0),
        Phi.TANH: (1.0, -1.0),
        Phi.LEAKY_RELU: (np.inf, -np.inf),
        Phi.IDENTITY: (np.inf, -np.inf),
    }[phi]
    for at in range(samples):
        for value, expected in ((np.nan, np.nan), (np.inf, ends[0]), (-np.inf, ends[1])):
            v = np.full((1, samples), 0.5, real)
            v[0, at] = value
            out = np.empty_like(v)
            layer.derivative(v, out)
            assert np.array_equal(out[0, at], expected, equal_nan=True)
            rest = np.delete(out[0], at)
            np.testing.assert_allclose(rest, phi(np.array(0.5)), rtol=1e-6)


def test_no_samples_and_no_edges(name: str) -> None:
    case = some_case()
    layer = case.compiled(np.float64, name)
    none = np.empty((case.nodes, 0))
    layer.derivative(none, none, np.empty(0))
    layer.pullback(none, none, none, np.empty(0))
    bare = Case(3, (), None, case.random)
    out, trace = np.full((3, 5), np.nan), np.full(5, np.nan)
    bare.compiled(np.float64, name).derivative(bare.states(5), out, trace)
    assert (out == 0).all()
    assert (trace == 0).all()
