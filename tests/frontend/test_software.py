"""Encoders and heads: what each step does, and whether steps fit one another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import CheckpointError, InputError
from kcompile.frontend import Linear, Relu, Reshape, Select, Software

WEIGHT = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])


def test_nothing_is_the_identity():
    x = np.arange(3.0)
    assert Software()(x) is x
    assert not Software()
    assert Software().width is None
    assert Software().describe() == ""


def test_steps_follow_one_another():
    software = Software((Linear(WEIGHT, np.array([0.5, -10.0])), Relu(), Select(0, 1)))
    assert software(np.array([1.0, 2.0, 3.0])).tolist() == [5.5]
    assert software(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])).tolist() == [[5.5], [0.5]]
    assert software.width == 3
    assert software.output_width(3) == 1
    assert software.describe() == "linear 3x2, relu, values [0:1]"


@given(n=st.integers(1, 4), k=st.integers(1, 4), more=st.sampled_from([(), (2,), (2, 3)]))
def test_reshape_is_the_transposed_view(n, k, more):
    x = np.random.default_rng(0).normal(size=(*more, n * k))
    shaped = Reshape(k)(x)
    assert shaped.shape == (*more, n, k)
    for r in range(n):
        for c in range(k):
            assert np.array_equal(shaped[..., r, c], x[..., c * n + r])


@given(
    start=st.none() | st.integers(-5, 5),
    stop=st.none() | st.integers(-5, 5),
    given=st.integers(1, 6),
)
def test_a_selection_knows_its_width(start, stop, given):
    step = Select(start, stop)
    assert (step.output_width(given) or 0) == len(step(np.zeros(given)))


def test_the_width_is_known_only_where_a_step_fixes_it():
    linear = Linear(WEIGHT, np.zeros(2))
    assert Software((Relu(), linear)).width == 3
    assert Software((Select(0, 3), linear)).width is None
    assert Software((Reshape(3), linear)).width is None
    assert Software((Relu(),)).width is None


@pytest.mark.parametrize(
    ("steps", "given"),
    [
        ((Linear(WEIGHT, np.zeros(2)),), 2),
        ((Linear(WEIGHT, np.zeros(2)), Linear(WEIGHT, np.zeros(2))), 3),
        ((Select(3, None),), 3),
        ((Reshape(2),), 3),
        ((Reshape(2), Linear(WEIGHT, np.zeros(2))), 6),
    ],
)
def test_steps_that_do_not_fit(steps, given):
    with pytest.raises(CheckpointError, match="does not take"):
        Software(steps).output_width(given)


@pytest.mark.parametrize("step", [Linear(WEIGHT, np.zeros(2)), Reshape(2)])
def test_values_that_do_not_fit(step):
    with pytest.raises(InputError):
        step(np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (np.ones(3), np.ones(3)),
        (WEIGHT, np.ones(3)),
        (WEIGHT, np.ones((2, 1))),
        (np.ones((0, 3)), np.ones(0)),
        (np.ones((3, 0)), np.ones(3)),
        (WEIGHT * np.nan, np.ones(2)),
        (WEIGHT, np.array([1.0, np.inf])),
    ],
)
def test_linear_steps_that_are_none(weight, bias):
    with pytest.raises(CheckpointError):
        Linear(weight, bias)


def test_single_precision_weights_are_applied_in_double():
    step = Linear(np.float32([[0.1]]), np.float32([0.0]))
    assert step(np.array([1.0]))[0] == float(np.float32(0.1))
