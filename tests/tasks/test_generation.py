"""Points that are learnt as a density, and how samples are judged as a set."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch

from kcompile.errors import DataError, UsageError
from kcompile.nn import KirchhoffNet, push
from kcompile.tasks import first_samples, get_task
from kcompile.tasks.data import POINTS, draw
from kcompile.tasks.generation import TEST_POINTS, TRAIN_POINTS
from kcompile.tasks.training import train


@pytest.mark.parametrize("name", ["twomoon", "pinwheel"])
def test_test_points_are_others_than_those_trained_on(name: str) -> None:
    """And the same at every call."""
    split = get_task(name).load(None)
    assert split.train_inputs.shape == (TRAIN_POINTS, 2)
    assert split.test_inputs.shape == (TEST_POINTS, 2)
    assert split.train_targets.shape == (TRAIN_POINTS, 0)
    seen = {tuple(point) for point in split.train_inputs}
    assert not any(tuple(point) in seen for point in split.test_inputs)
    np.testing.assert_array_equal(get_task(name).load(None).test_inputs, split.test_inputs)


@pytest.mark.parametrize("name", POINTS)
def test_samples_are_nearer_to_their_own_points_than_to_others(name: str) -> None:
    metric = get_task(name).metric
    nothing = np.empty((400, 0))
    own = metric.value(draw(name, 400, 77), nothing)
    assert own < 0.05
    for other in set(POINTS) - {name}:
        assert metric.value(draw(other, 400, 77), nothing) > 1.5 * own


@pytest.mark.parametrize("name", ["circle", "potential1"])
def test_what_is_drawn_is_not_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --data out"):
        get_task(name).load(tmp_path)


def test_a_flow_learns_its_points() -> None:
    """By likelihood and by its samples: a density that is right backwards only would not."""
    task = recipes.points(samples=2000)
    preset = recipes.preset(recipes.FLOW, epochs=40, steps_per_epoch=20, batch=200)
    result = train(task, preset=preset, seed=1)
    curve = result.checkpoint.training["curve"]
    assert curve[-1] < curve[0] - 0.5
    assert result.test_metric_converged == pytest.approx(result.test_metric, abs=0.1)
    assert result.checkpoint.training["metric"] == "nll"
    assert result.checkpoint.samples is None  # it starts from draws
    net = KirchhoffNet.from_checkpoint(result.checkpoint)
    z = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        samples = push(net, z)[0].double().numpy()
    nothing = np.empty((400, 0))
    untrained = task.metric.value(z.double().numpy(), nothing)
    assert task.metric.value(samples, nothing) < 0.5 * untrained


def test_no_digit_to_learn_from_is_said(tmp_path: Path) -> None:
    """Passes over nothing would follow each other for ever."""
    pixels, labels = np.zeros((2, 28, 28), np.uint8), np.array([1, 7], np.uint8)
    for part in ("train", "t10k"):
        for name, values in (("images", pixels), ("labels", labels)):
            head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (tmp_path / f"{part}-{name}-idx{values.ndim}-ubyte").write_bytes(
                head + values.tobytes()
            )
    with pytest.raises(DataError, match="no images of the digit 2") as caught:
        get_task("genmnist").load(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert get_task("mnist").load(tmp_path).train_inputs.shape == (2, 784)


def test_a_generator_has_no_test_samples_to_carry() -> None:
    preset = recipes.preset(recipes.FLOW, epochs=1)
    model = train(recipes.points(), preset=preset).checkpoint.model()
    assert model.samples is None
    samples = first_samples(model, 3)
    assert samples is not None
    assert samples.inputs.shape == (3, 2)
