"""The regression data, and the networks for it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from kcompile.errors import DataError, InputError, MissingExtra, UsageError
from kcompile.frontend import Checkpoint, Model, PhaseRecord, Samples
from kcompile.tasks import TASKS, first_samples, get_task, task_metrics
from kcompile.tasks.building import build
from kcompile.tasks.metrics import METRICS
from kcompile.tasks.regression import scaled_split


def friedman(x: np.ndarray) -> np.ndarray:
    """Friedman's first function."""
    return (
        10 * np.sin(np.pi * x[:, 0] * x[:, 1])
        + 20 * (x[:, 2] - 0.5) ** 2
        + 10 * x[:, 3]
        + 5 * x[:, 4]
    )


def model(samples: Samples | None = None, task: str | None = "friedman") -> Model:
    """A network without edges that takes five values and may carry samples."""
    return Checkpoint((PhaseRecord(6, 1.0, ()),), 5, [6], samples=samples, task=task).model()


def test_friedman_is_the_published_split() -> None:
    split = TASKS["friedman"].load(None)
    assert split.train_inputs.shape == (2457, 5)
    assert split.test_inputs.shape == (1639, 5)
    assert split.train_targets.shape == (2457, 1)
    for values in (split.train_inputs, split.train_targets):
        np.testing.assert_allclose(values.min(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.max(axis=0), 1, atol=1e-12)
    # Undone with the stored maps, the data is the function itself, row by row.
    maps = split.normalisation
    assert maps is not None
    x = split.test_inputs * np.subtract(maps["x"]["max"], maps["x"]["min"]) + maps["x"]["min"]
    y = split.test_targets * np.subtract(maps["y"]["max"], maps["y"]["min"]) + maps["y"]["min"]
    np.testing.assert_allclose(y[:, 0], friedman(x), rtol=1e-12)
    again = TASKS["friedman"].load(None)
    np.testing.assert_array_equal(again.test_inputs, split.test_inputs)


def test_the_split_scales_by_its_training_part_alone() -> None:
    x = np.arange(20.0)[:, None] * [1.0, 0.0]  # a feature that never changes must not divide by 0
    split = scaled_split(x, np.arange(20.0), test_share=0.5)
    assert split.train_targets.min() == 0
    assert split.train_targets.max() == 1
    whole = np.concatenate((split.train_targets, split.test_targets))
    assert whole.min() < 0 or whole.max() > 1
    assert np.isfinite(split.test_inputs).all()


def test_a_single_sample_makes_no_split() -> None:
    """Catches scikit-learn's own error, which names arguments that nobody gave."""
    with pytest.raises(DataError, match="too few samples .*: 1"):
        scaled_split(np.ones((1, 2)), np.ones(1), test_share=0.3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("friedman", {"s": 168, "m": 528, "l": 1520}),
        ("housing", {"s": 360, "m": 840, "l": 1520}),
        ("diabetes", {"s": 528, "m": 840, "l": 1520}),
    ],
)
def test_sizes_are_those_of_table_1(name: str, parameters: dict[str, int]) -> None:
    preset = get_task(name).preset()
    found = {
        size: build(plan, preset.recipe, seed=0).parameter_count
        for size, plan in preset.plans.items()
    }
    assert found == parameters


def test_the_answer_is_read_at_a_node_of_its_own() -> None:
    preset = get_task("friedman").preset()
    net = build(preset.plan("s"), preset.recipe, seed=0)
    layer = next(net.phases)
    assert net.outputs.tolist() == [layer.nodes]
    assert net.inputs < layer.nodes  # the node that is read starts at 0 V
    (batch,) = net.to_checkpoint().phases[0].batches
    assert batch.law == "shift_relu"
    assert batch.topology is not None
    assert batch.topology["name"] == "fully_connected"


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="friedman") as caught:
        get_task("juggling")
    assert caught.value.exit_status == 2
    with pytest.raises(UsageError, match="sizes: s, m, l"):
        get_task("friedman").preset().plan("xl")


def test_samples_come_from_the_checkpoint_first_then_from_the_data() -> None:
    split = TASKS["friedman"].load(None)
    carried = Samples(np.full((3, 5), 0.25), np.full((3, 1), 0.5))
    few = first_samples(model(carried), 2)
    assert few is not None
    np.testing.assert_array_equal(few.inputs, carried.inputs[:2])
    np.testing.assert_array_equal(few.targets, carried.targets[:2])
    many = first_samples(model(carried), 5)
    assert many is not None
    np.testing.assert_array_equal(many.inputs, split.test_inputs[:5])
    np.testing.assert_array_equal(many.targets, split.test_targets[:5])
    assert first_samples(model(task="unheard-of"), 1) is None
    with pytest.raises(UsageError, match="has 1639"):
        first_samples(model(), 1640)
    with pytest.raises(UsageError, match="one or more"):
        first_samples(model(), 0)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"kcompile\[train\]"):
        TASKS["friedman"].load(None)
    carried = Samples(np.zeros((3, 5)), np.zeros((3, 1)))
    assert first_samples(model(carried), 3) is not None


def test_mean_squared_error() -> None:
    mse = METRICS["mse"]
    targets = np.array([[1.0], [2.0]])
    assert mse.value(np.array([[1.5], [1.0]]), targets) == pytest.approx(0.625)
    found = task_metrics("friedman", targets, targets + 0.1, targets)
    assert found == {
        "mse": {
            "software": 0.0,
            "spice": pytest.approx(0.01),
            "agreement": pytest.approx(0.01),
        }
    }
    assert task_metrics("unheard-of", targets, targets, targets) == {}
    with pytest.raises(InputError, match="for targets"):
        mse.value(np.zeros((2, 3)), targets)
    with pytest.raises(InputError, match="for targets"):
        mse.value(targets[:0], targets[:0])
