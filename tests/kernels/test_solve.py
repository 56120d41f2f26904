"""Whole Runge-Kutta solves and their adjoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_layers import Array, Case, cases, some_case

from kcompile.ir import Phi

REALS = (np.float32, np.float64)
SAMPLES = st.integers(1, 70)
properties = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def three_eighths(case: Case, name: str, v: Array, duration: float, steps: int) -> Array:
    """Kutta's 3/8 rule as textbooks write it, on the state with its trace's integral below."""

    def slope(y: Array) -> Array:
        trace = np.zeros(y.shape[1])
        out = np.empty_like(y[:-1])
        case.compiled(np.float64, name).derivative(np.ascontiguousarray(y[:-1]), out, trace)
        return np.vstack((case.derivative(y[:-1]), trace))

    y, h = v.copy(), duration / steps
    for _ in range(steps):
        k1 = slope(y)
        k2 = slope(y + h * k1 / 3)
        k3 = slope(y + h * (k2 - k1 / 3))
        k4 = slope(y + h * (k1 - k2 + k3))
        y = y + h * (k1 + 3 * k2 + 3 * k3 + k4) / 8
    return y


@given(cases((Phi.TANH, Phi.IDENTITY)), SAMPLES, st.integers(1, 4), st.floats(-0.5, 0.5))
@properties
def test_rk4_is_the_three_eighths_rule(
    name: str, case: Case, samples: int, steps: int, duration: float
) -> None:
    """Forwards and backwards, with and without the trace."""
    v, trace = case.states(samples), case.random.normal(size=samples)
    expected = three_eighths(case, name, np.vstack((v, trace)), duration, steps)
    alone = v.copy()
    layer = case.compiled(np.float64, name)
    layer.rk4(v, duration, steps, trace)
    layer.rk4(alone, duration, steps)
    close = 1e-12 * np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(v, expected[:-1], rtol=1e-10, atol=close)
    np.testing.assert_allclose(alone, expected[:-1], rtol=1e-10, atol=close)
    np.testing.assert_allclose(trace, expected[-1], rtol=1e-10, atol=close)


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 15, 33, 70])
def test_single_precision_solves_the_same(name: str, samples: int) -> None:
    case = some_case(samples)
    v = case.states(samples, np.float32)
    found = []
    for real in REALS:
        y, trace, grad, row = (
            v.astype(real), np.zeros(samples, real), v.astype(real), np.ones(samples, real),
        )  # fmt: skip
        grads = case.gradients(real)
        layer = case.compiled(real, name, grads)
        stages = layer.stages(samples, 3)
        layer.rk4(y, 0.2, 3, trace, stages)
        layer.rk4_pullback(stages, 0.2, 3, grad, row)
        found.append([y, trace, grad, *(g for batch in grads for g in batch)])
    for single, double in zip(*found, strict=True):
        close = 1e-4 * (1 + np.abs(double).max())
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=close)


def slope_of(f: Callable[[float], float], h: float = 1e-4) -> float:
    """The derivative at 0 by central differences, their leading error removed (Richardson)."""

    def central(by: float) -> float:
        return (f(by) - f(-by)) / (2 * by)

    return (4 * central(h / 2) - central(h)) / 3


@given(cases((Phi.TANH, Phi.IDENTITY)), SAMPLES, st.integers(1, 4), st.booleans())
@properties
def test_its_adjoint_is_that_of_finite_differences(
    name: str, case: Case, samples: int, steps: int, traced: bool
) -> None:
    """Discrete gradients: exact for the steps that were made, however coarse."""
    start, of_v = case.states(samples), case.states(samples)
    of_trace = case.random.normal(size=samples)
    duration = 0.3

    def loss(of: Case, at: Array) -> float:
        v, trace = at.copy(), np.zeros(samples)
        of.compiled(np.float64, name).rk4(v, duration, steps, trace if traced else None)
        return float((v * of_v).sum() + (trace * of_trace).sum())

    def nudge(k: int, i: int, e: int, by: float) -> float:
        return loss(case.nudged(k, i, e, by), start)

    v, trace, grads = start.copy(), np.zeros(samples), case.gradients()
    layer = case.compiled(np.float64, name, grads)
    stages = layer.stages(samples, steps)
    layer.rk4(v, duration, steps, trace if traced else None, stages)
    grad = of_v.copy()
    layer.rk4_pullback(stages, duration, steps, grad, of_trace if traced else None)
    direction = case.states(samples)
    size = abs(loss(case, start)) + np.abs(grad).sum()
    close = {"rel": 1e-6, "abs": 1e-8 * (1 + size)}
    slope = slope_of(lambda by: loss(case, start + by * direction))
    assert (grad * direction).sum() == pytest.approx(slope, **close)
    for k, batch in enumerate(case.batches):
        for i in range(4):
            for e in range(0, len(batch), 7):
                slope = slope_of(partial(nudge, k, i, e))
                assert grads[k][i][e] == pytest.approx(slope, **close)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("real", REALS)
@given(st.integers(0, 70), st.integers(0, 70), st.integers(0, 70))
@properties
def test_a_part_is_solved_alone(
    name: str, real: Any, traced: bool, one: int, two: int, by: int
) -> None:
    """Stages are kept for a part; other samples stay as they were."""
    begin, end = sorted((one, two))
    samples, part = end + by, slice(begin, end)
    case = some_case(3)
    start, of_v = case.states(samples, real), case.states(samples, real)
    results = []
    for of in (slice(0, samples), part):
        v, trace, grad = start.copy(), np.ones(samples, real), of_v.copy()
        row = np.ones(samples, real) if traced else None
        layer = case.compiled(real, name)
        stages = layer.stages(of.stop - of.start, 2)
        layer.rk4(v, 0.3, 2, trace if traced else None, stages, of)
        layer.rk4_pullback(stages, 0.3, 2, grad, row, of)
        results.append((v, trace, grad))
    close = {"rtol": 1e-4, "atol": 1e-4} if real is np.float32 else {"rtol": 1e-11, "atol": 1e-11}
    outside = np.ones(samples, bool)
    outside[part] = False
    for whole, some, before in zip(*results, (start, np.ones(samples, real), of_v), strict=True):
        np.testing.assert_array_equal(some[..., outside], before[..., outside])
        np.testing.assert_allclose(some[..., part], whole[..., part], **close)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("samples", [1, 2, 5, 17, 31, 64, 70])
def test_what_it_keeps_fits_into_its_room(name: str, real: Any, samples: int) -> None:
    """Catches stages that are written beyond the room that ``stages`` made."""
    for nodes in (1, 2, 5):
        case = some_case(1, nodes)
        layer = case.compiled(real, name)
        room = len(layer.stages(samples, 3))
        guarded = np.full(room + 4096, 7, np.uint8)
        layer.rk4(case.states(samples, real), 0.1, 3, np.zeros(samples, real), guarded)
        assert (guarded[room:] == 7).all()


def test_a_broken_sample_stays_broken_and_alone(name: str) -> None:
    case = some_case()
    v = case.states(9)
    v[0, 4] = np.nan
    case.compiled(np.float64, name).rk4(v, 0.1, 2)
    assert np.isnan(v[:, 4]).any()
    assert np.isfinite(np.delete(v, 4, axis=1)).all()
