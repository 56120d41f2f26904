"""Numbers that say how good outputs are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcompile.errors import InputError
from kcompile.tasks import TASKS, get_task, task_metrics
from kcompile.tasks.metrics import METRICS, energy_distance, mean_brightness

values = st.floats(-50, 50, width=32)


def sets(points: int, width: int = 2) -> st.SearchStrategy[np.ndarray]:
    return st.integers(1, points).flatmap(lambda n: arrays(np.float64, (n, width), elements=values))


def brute(one: np.ndarray, other: np.ndarray) -> float:
    """From its definition, pair by pair."""

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.sqrt(sum((p - q) ** 2)) for p in a for q in b]))

    return 2 * gap(one, other) - gap(one, one) - gap(other, other)


@given(sets(6), sets(6))
def test_energy_distance_is_its_definition(one: np.ndarray, other: np.ndarray) -> None:
    found = energy_distance(one, other)
    assert found == pytest.approx(brute(one, other), abs=1e-9)
    assert found >= -1e-9
    assert found == pytest.approx(energy_distance(other, one), abs=1e-9)
    assert energy_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert energy_distance(one, one[::-1]) == pytest.approx(0, abs=1e-9)


def test_energy_distance_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large sets are worked on in parts: none may be dropped or counted twice."""
    random = np.random.default_rng(0)
    one, other = random.normal(size=(37, 3)), random.normal(size=(11, 3)) + 0.5
    whole = energy_distance(one, other)
    for chunk in (1, 100, 300):
        monkeypatch.setattr("kcompile.tasks.metrics._CHUNK", chunk)
        assert energy_distance(one, other) == pytest.approx(whole, rel=1e-12)


def test_energy_distance_tells_distributions_apart() -> None:
    """By its mean alone, or by its spread alone, two sets may be equal that are not."""
    random = np.random.default_rng(1)
    ring = random.normal(size=(500, 2))
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    cloud = random.normal(size=(500, 2)) * np.sqrt(0.5)
    again = random.normal(size=(500, 2)) * np.sqrt(0.5)
    assert energy_distance(cloud, again) < 0.01 < energy_distance(cloud, ring)


def test_accuracy_counts_the_largest_output() -> None:
    accuracy = METRICS["accuracy"]
    outputs = np.array([[0.1, 0.9, 0.0], [5.0, -1.0, 4.9], [-3.0, -2.0, -2.5], [0.0, 0.0, 1.0]])
    assert accuracy.value(outputs, np.array([1, 0, 2, 2])) == 0.75
    assert accuracy.value(outputs, np.array([0, 1, 0, 1])) == 0.0
    assert accuracy.better == "higher"
    for bad in (np.array([1, 0, 2]), np.zeros((4, 1), dtype=int)):
        with pytest.raises(InputError, match="for classes"):
            accuracy.value(outputs, bad)
    with pytest.raises(InputError, match="for classes"):
        accuracy.value(outputs[:0], np.array([], dtype=int))


@given(st.integers(1, 20).flatmap(lambda n: arrays(np.float64, (2, n, 4), elements=values)))
def test_agreement_is_the_share_of_equal_answers(pair: np.ndarray) -> None:
    """It does not ask whether the answers are right."""
    one, other = pair
    metric = METRICS["accuracy"]
    targets = np.zeros(len(one), dtype=int)
    expected = np.mean(
        [int(a.argmax()) == int(b.argmax()) for a, b in zip(one, other, strict=True)]
    )
    assert metric.agreement(one, other, targets) == pytest.approx(float(expected))
    assert metric.agreement(one, one, targets) == 1.0
    mse = METRICS["mse"]
    assert mse.agreement(one, other, one) == pytest.approx(mse.value(other, one))
    assert mse.agreement(one, one, other) == 0.0


def test_metrics_of_sets_want_no_targets() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(size=(2, 50, 2))
    found = task_metrics("twomoon", one, other, None)
    (name,) = found
    assert name == "energy_distance"
    scores = found[name]
    assert scores["agreement"] == pytest.approx(abs(scores["software"] - scores["spice"]))
    images = random.random((3, 784))
    found = task_metrics("genmnist", images, images + 0.5, None)["mean_brightness"]
    assert (
        found["software"] == pytest.approx(mean_brightness(images)) == pytest.approx(images.mean())
    )
    assert found["agreement"] == pytest.approx(0.5)


def test_metrics_of_answers_are_silent_without_targets() -> None:
    outputs = np.zeros((2, 10))
    assert task_metrics("mnist", outputs, outputs, None) == {}
    assert task_metrics("friedman", outputs[:, :1], outputs[:, :1], None) == {}
    assert task_metrics(None, outputs, outputs, outputs) == {}


@pytest.mark.parametrize(
    ("published", "ours"), [("toyregress", "friedman"), ("diabete", "diabetes")]
)
def test_published_names_are_known(published: str, ours: str) -> None:
    assert get_task(published) is TASKS[ours]
    answers = np.ones((2, 1))
    assert "mse" in task_metrics(published, answers, answers, answers)
