"""Training: it learns, it repeats itself, it stops when it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kcompile.errors import TrainingDiverged, UsageError
from kcompile.frontend import Checkpoint, load, load_checkpoint, save_checkpoint
from kcompile.nn import KirchhoffNet, converged_solution, training_solution
from kcompile.tasks import Split, Task, get_task
from kcompile.tasks.training import Progress, Trained, summary, train

SHIPPED = Path(__file__).parents[2] / "golden" / "friedman" / "model.safetensors"


@pytest.fixture(scope="module")
def task() -> Task:
    """Friedman on a tenth of its data."""
    whole = get_task("friedman")
    full = whole.load()
    rows = slice(0, 192)
    small = Split(
        full.train_inputs[rows],
        full.train_targets[rows],
        full.test_inputs[rows],
        full.test_targets[rows],
        full.normalisation,
    )
    return replace(whole, load=lambda: small)


def test_it_learns_and_says_what_it_did(task: Task, tmp_path: Path) -> None:
    seen: list[Progress] = []
    saved: list[Checkpoint] = []
    threads = torch.get_num_threads()
    fast = replace(task, recipe=replace(task.recipe, learning_rate=1e-2))
    result = train(fast, seed=1, epochs=6, on_epoch=seen.append, save=saved.append)
    assert torch.get_num_threads() == threads
    assert [p.epoch for p in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[2].remaining == pytest.approx(seen[2].seconds)
    assert seen[-1].loss < 0.25 * seen[0].loss
    assert len(saved) == 7
    assert saved[2].training["epochs_done"] == 3
    assert "test_metric" not in saved[5].training

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, saved[-1])
    model = load(path)
    record = model.training
    assert record["curve"] == [pytest.approx(p.loss, rel=1e-5) for p in seen]
    assert record["seed"] == 1
    assert record["recipe"]["epochs"] == 6
    assert {"kcompile", "torch", "torchdiffeq", "scikit-learn"} <= record["versions"].keys()
    assert record["test_metric_converged"] == result.test_metric_converged
    split = task.load()
    assert model.samples is not None
    np.testing.assert_array_equal(model.samples.inputs, split.test_inputs[:64])
    np.testing.assert_array_equal(model.samples.targets, split.test_targets[:64])
    # Both numbers can be had again from the file alone.
    as_trained = training_solution(model, split.test_inputs)
    assert task.metric.value(as_trained, split.test_targets) == pytest.approx(
        result.test_metric, rel=1e-4
    )
    converged = converged_solution(
        KirchhoffNet.from_checkpoint(load_checkpoint(path)), split.test_inputs
    )
    assert task.metric.value(converged.outputs, split.test_targets) == pytest.approx(
        result.test_metric_converged, rel=1e-9
    )


def test_the_same_arguments_give_the_same_file(task: Task, tmp_path: Path) -> None:
    files: list[bytes] = []
    for number, seed in enumerate([4, 4, 5]):
        torch.manual_seed(number)  # the global generator has no say
        path = tmp_path / str(number)
        save_checkpoint(path, train(task, seed=seed, epochs=2).checkpoint)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_no_batch_is_left_out(task: Task) -> None:
    """One sample an epoch would be lost here if the last, smaller batch were dropped."""
    recipe = replace(task.recipe, batch=191, learning_rate=0.0, weight_decay=0.0)
    curve: list[float] = []
    still = replace(task, recipe=recipe)
    result = train(still, seed=0, epochs=1, on_epoch=lambda p: curve.append(p.loss))
    split = task.load()
    outputs = training_solution(result.checkpoint.model(), split.train_inputs)
    assert curve == [pytest.approx(task.metric.value(outputs, split.train_targets), rel=1e-4)]


def test_a_loss_that_is_not_finite_stops_with_advice(task: Task) -> None:
    wild = replace(task, recipe=replace(task.recipe, learning_rate=10.0, batch=32))
    with pytest.raises(TrainingDiverged, match="became (nan|inf) in epoch 1;") as caught:
        train(wild, epochs=2)
    assert "lower learning rate" in str(caught.value)
    assert caught.value.exit_status == 3


def test_a_loss_that_runs_away_stops_with_what_was_saved(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kcompile.tasks.training._RUNAWAY", 0.5)
    still = replace(task, recipe=replace(task.recipe, learning_rate=0.0))
    saved: list[Checkpoint] = []
    with pytest.raises(TrainingDiverged, match=r"ran away from \S+ to \S+ in epoch 2"):
        train(still, epochs=3, save=saved.append)
    assert [checkpoint.training["epochs_done"] for checkpoint in saved] == [1]


def test_outputs_that_are_not_finite_are_no_result(task: Task) -> None:
    split = task.load()
    far = replace(split, test_inputs=np.full_like(split.test_inputs, 1e300))
    with pytest.raises(TrainingDiverged, match="test split"):
        train(task, epochs=1, split=far)


def test_refusals(task: Task) -> None:
    with pytest.raises(UsageError, match="0 epochs"):
        train(task, epochs=0)
    with pytest.raises(UsageError, match="sizes"):
        train(task, size="xl", epochs=1)


def test_summary_is_over_converged_metrics(task: Task) -> None:
    runs = [
        Trained(Checkpoint((), 0, np.array([1])), 168, seed, 9.0, value, 0.0, 1.5)
        for seed, value in [(3, 1.0), (4, 2.0), (5, 6.0)]
    ]
    found = summary(task, "s", runs)
    assert found["mean"] == 3.0
    assert found["sd"] == pytest.approx(7**0.5)
    assert found["parameters"] == 168
    assert found["seeds"][1] == {
        "seed": 4,
        "test_metric": 9.0,
        "test_metric_converged": 2.0,
        "seconds": 1.5,
    }
    assert summary(task, "s", runs[:1])["sd"] == 0.0


def test_the_shipped_network_is_as_good_as_it_says() -> None:
    whole = get_task("friedman")
    split = whole.load()
    checkpoint = load_checkpoint(SHIPPED)
    net = KirchhoffNet.from_checkpoint(checkpoint)
    assert net.parameter_count == 168
    assert net.dtype is torch.float32
    loss = whole.metric.value(
        converged_solution(net, split.test_inputs, 1e-5).outputs, split.test_targets
    )
    assert loss < 2e-3
    assert loss == pytest.approx(checkpoint.training["test_metric_converged"], rel=1e-4)
    assert checkpoint.samples is not None
    np.testing.assert_allclose(checkpoint.samples.inputs, split.test_inputs[:64], rtol=1e-12)
