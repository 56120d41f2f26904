"""Spreads, yields and specifications say what they mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from circuits import make_model

from kcompile.errors import UsageError
from kcompile.experiments import Specification, Spread, Yield
from kcompile.experiments.judging import Judge
from kcompile.tasks import get_task


def test_a_spread_of_known_numbers() -> None:
    spread = Spread.of([1.0, 2.0, None, 3.0, math.inf, 4.0])
    assert spread is not None
    assert (spread.count, spread.mean, spread.least, spread.most) == (4, 2.5, 1.0, 4.0)
    assert spread.sd == pytest.approx(np.std([1, 2, 3, 4], ddof=1))
    half = 1.959963984540054 * spread.sd / 2
    assert spread.interval == pytest.approx((2.5 - half, 2.5 + half))
    assert spread.quantiles[1] == 2.5
    assert Spread.of([None, math.nan]) is None


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        spread = Spread.of(random.normal(3.0, 2.0, 60).tolist())
        assert spread is not None
        hits += spread.interval[0] <= 3.0 <= spread.interval[1]
    assert 0.925 < hits / 1000 < 0.965


def test_a_yield_counts_what_has_no_answer_as_bad() -> None:
    specification = Specification.parse("mse <= 0.5", get_task("friedman").metric)
    found = Yield.of(specification, [0.1, 0.5, 0.6, None, math.inf])
    assert (found.good, found.runs, found.share) == (2, 5, 0.4)
    assert found.interval[0] < 0.4 < found.interval[1]
    above = Specification.parse("accuracy>=0.9", get_task("mnist").metric)
    assert above.met(0.95)
    assert not above.met(0.85)


@pytest.mark.parametrize("text", ["mse<0.1", "mse<=", "accuracy>=0.9", "mse<=x", "rms_error"])
def test_a_specification_names_a_quantity_of_this_network(text: str) -> None:
    with pytest.raises(UsageError, match="quantities: max_error, rms_error, mse"):
        Specification.parse(text, get_task("friedman").metric)


def test_a_network_without_a_task_is_judged_by_its_errors() -> None:
    judge = Judge(make_model(), np.zeros((2, 2)), None)
    assert judge.metric is None
    assert judge.errors(np.array([[3.0, 0.0], [0.0, 4.0]])) == (4.0, 2.5)
    assert judge.errors(np.array([[np.nan, 0.0], [0.0, 4.0]])) == (math.inf, math.inf)
