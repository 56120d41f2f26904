"""The contract of the verdict: when it passes, when it fails, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kcompile.reference import Reference
from kcompile.verification import Verdict, judge, output_errors


def reference(outputs, tolerance=1e-3, reason=None) -> Reference:
    outputs = np.asarray(outputs, dtype=float)
    return Reference(
        outputs, (outputs,), tolerance, float(np.abs(outputs).max()), 1e-5, 1e-5, 1e-9, (0,),
        reason is None, reason, 0.1, solve_again=None, kept={},
    )  # fmt: skip


def verdict(outputs, spice, tolerance=1e-3, problems=None, reason=None) -> Verdict:
    golden = reference(outputs, tolerance, reason)
    errors = output_errors(np.asarray(spice, dtype=float), golden.outputs)
    nodes = range(1, golden.outputs.shape[1] + 1)
    return judge(errors, problems or [None] * golden.samples, golden, list(nodes))


OUTPUTS = [[0.5, -0.25], [0.75, 1.5]]


def test_the_tolerance_is_relative_to_the_peak_and_inclusive():
    assert verdict([[0.0]], [[1e-3]]).passed
    assert not verdict([[0.0]], [[1.0001e-3]]).passed
    assert verdict([[0.0], [1024.0]], [[1.024], [1024.0]]).passed
    assert not verdict([[0.0], [1024.0]], [[1.025], [1024.0]]).passed
    # A peak below 1 does not narrow it.
    assert verdict([[1e-6]], [[9e-4]]).passed


def test_a_large_error_is_said_with_sample_node_and_size():
    failed = verdict(OUTPUTS, [[0.5, -0.25], [0.75, 1.53]])
    assert failed.word == "fail"
    assert failed.reason == "sample 1, node n2 is off by 0.03, 20 times the 0.0015 allowed"


def test_several_bad_samples_are_counted():
    failed = verdict(OUTPUTS, np.asarray(OUTPUTS) + 1.0)
    assert "(2 samples are beyond it)" in failed.reasons[0]


def test_a_lost_sample_fails_whatever_the_others_say():
    spice = [OUTPUTS[0], [np.nan, np.nan]]
    failed = verdict(OUTPUTS, spice, problems=[None, "stopped after 3 s, the time limit"])
    assert failed.reasons == ("sample 1: stopped after 3 s, the time limit",)


def test_a_missing_result_fails_even_if_nobody_explains_it():
    failed = verdict(OUTPUTS, [OUTPUTS[0], [np.nan, 0.0]])
    assert failed.reasons == ("samples without a result: 1",)


def test_a_problem_fails_even_with_the_right_answer():
    failed = verdict(OUTPUTS, OUTPUTS, problems=["the decks print n1 = 3", None])
    assert failed.reasons == ("sample 0: the decks print n1 = 3",)


def test_a_reference_that_is_not_certified_fails():
    failed = verdict(OUTPUTS, OUTPUTS, reason="the reference is certain to 1 only")
    assert failed.reasons == ("the reference is certain to 1 only",)


def test_a_thousand_lost_samples_make_a_short_reason():
    outputs = np.zeros((1000, 1))
    failed = verdict(outputs, outputs * np.nan, problems=["it crashed"] * 1000)
    assert len(failed.reasons) == 4
    assert failed.reasons[-1] == "1000 of 1000 samples did not run as planned"


def test_pass_has_no_reason():
    passed = verdict(OUTPUTS, OUTPUTS)
    assert (passed.word, passed.reason, passed.passed) == ("pass", None, True)


ARRAYS = hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3))


@given(ARRAYS, ARRAYS, st.floats(1e-9, 1e3), st.floats(1.0, 1e6))
def test_a_looser_tolerance_never_turns_pass_into_fail(outputs, spice, tolerance, factor):
    if verdict(outputs, spice, tolerance).passed:
        assert verdict(outputs, spice, tolerance * factor).passed


@given(ARRAYS, ARRAYS, st.floats(1e-9, 1e3))
def test_it_is_the_largest_error_that_decides(outputs, spice, tolerance):
    allowed = tolerance * max(1.0, np.abs(outputs).max())
    assert verdict(outputs, spice, tolerance).passed == (np.abs(spice - outputs).max() <= allowed)


@given(ARRAYS, st.integers(0, 2), st.integers(0, 1))
def test_no_value_that_is_not_finite_ever_passes(outputs, sample, output):
    for value in (np.nan, np.inf, -np.inf):
        spice = outputs.copy()
        spice[sample, output] = value
        assert not verdict(outputs, spice, 1e3).passed


@pytest.mark.parametrize("word", ["pass", "fail"])
def test_words(word):
    assert Verdict(() if word == "pass" else ("x",)).word == word
