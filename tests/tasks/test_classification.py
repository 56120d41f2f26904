"""Pictures as the network takes them, and the paper's networks for pictures in colour."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from commands import run
from scipy.io import savemat

from kcompile.errors import DataMissing
from kcompile.frontend import load_checkpoint
from kcompile.nn import KirchhoffNet, log_density
from kcompile.tasks import TASKS, get_task
from kcompile.tasks.objectives import Classification
from kcompile.tasks.training import train

RANDOM = np.random.default_rng(3)
COLOUR = RANDOM.integers(256, size=(12, 3, 32, 32), dtype=np.uint8)
CLASSES = np.array([9, 0, 3, 1, 7, 2, 8, 4, 6, 5, 0, 9])


def write_cifar(folder: Path, images: int = 1) -> None:
    """Five batches of so many images and a test batch of one, in CIFAR-10's binary version."""
    records = np.hstack([CLASSES[:, None].astype(np.uint8), COLOUR.reshape(12, -1)])
    for k in range(5):
        content = records[k * images : (k + 1) * images].tobytes()
        (folder / f"data_batch_{k + 1}.bin").write_bytes(content)
    (folder / "test_batch.bin").write_bytes(records[-1:].tobytes())


def write_svhn(folder: Path) -> None:
    """Four images to train with and one to test with, in SVHN's MATLAB files."""
    for name, rows in (("train", slice(4)), ("test", slice(11, 12))):
        pixels = np.transpose(COLOUR[rows], (2, 3, 1, 0))
        classes = np.where(CLASSES[rows] == 0, 10, CLASSES[rows])[:, None].astype(np.uint8)
        savemat(folder / f"{name}_32x32.mat", {"X": pixels, "y": classes})


def write_mnist(folder: Path, labels: list[int]) -> np.ndarray:
    """An image a label to train with, and the same ones to test with; the images."""
    pixels = RANDOM.integers(256, size=(len(labels), 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        for name, values in (("images", pixels), ("labels", np.array(labels, dtype=np.uint8))):
            head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / f"{part}-{name}-idx{values.ndim}-ubyte").write_bytes(head + values.tobytes())
    return pixels


def test_pixels_are_flattened_channel_by_channel(tmp_path: Path) -> None:
    """The networks number pixels so; transposed, everything would still train, only worse."""
    write_cifar(tmp_path, images=2)
    split = get_task("cifar10").load(tmp_path)
    assert split.shape == (3, 32, 32)
    assert split.train_inputs.shape == (10, 3072)
    assert split.train_inputs.dtype == np.float32
    assert split.test_inputs.dtype == np.float64
    np.testing.assert_allclose(split.train_inputs * 255, COLOUR[:10].reshape(10, -1), rtol=1e-6)
    np.testing.assert_array_equal(split.test_inputs, COLOUR[11:].reshape(1, -1) / 255.0)
    np.testing.assert_array_equal(split.train_targets, CLASSES[:10])
    assert split.train_targets.dtype == np.int64
    assert split.normalisation == {"x": {"min": 0.0, "max": 255.0}}


def test_the_digit_0_of_svhn_is_class_0(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    split = get_task("svhn").load(tmp_path)
    np.testing.assert_array_equal(split.train_targets, [9, 0, 3, 1])
    np.testing.assert_array_equal(split.test_inputs, COLOUR[11:].reshape(1, -1) / 255.0)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "svhn", "genmnist"])
def test_a_folder_without_them_says_what_is_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="expected ") as caught:
        TASKS[name].load(tmp_path)
    assert caught.value.exit_status == 2


# Two million edges in each of four layers: the slowest tests of this folder.
@pytest.mark.parametrize(
    ("name", "write", "preset"),
    [("cifar10", write_cifar, "paper"), ("svhn", write_svhn, "kcompile")],
)
def test_the_papers_networks_train_on_pictures_in_colour(
    name: str, write, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs of all that the command does, on files as published but for their length."""
    # How fast a network of this size converges is for other tests.
    monkeypatch.setattr(Classification, "tolerance", 100.0)
    monkeypatch.setattr("kcompile.nn.solution._FEWEST", 1)
    write(tmp_path)
    target = tmp_path / "net.safetensors"
    done = run("train", name, "--preset", preset, "--data", tmp_path, "--epochs", 2, "-o", target)
    assert done.status == 0, done
    assert "17685920 parameters" in done.stdout
    checkpoint = load_checkpoint(target)
    record = checkpoint.training
    assert record["epochs_done"] == 2
    assert record["curve"][1] < record["curve"][0]
    assert [(phase.nodes, phase.duration) for phase in checkpoint.phases] == [(3122, 0.5)] * 4
    assert checkpoint.inputs == 3072
    np.testing.assert_array_equal(checkpoint.outputs, np.arange(3113, 3123))
    for phase in checkpoint.phases:
        assert all(np.isfinite(batch.params).all() for batch in phase.batches)


def test_images_of_a_digit_are_generated_from_noise(tmp_path: Path) -> None:
    """genmnist takes the twos alone, each pixel a draw from its 256th."""
    pixels = write_mnist(tmp_path, [2, 7, 2, 1])
    twos = pixels[[0, 2]].reshape(2, -1)
    task = get_task("genmnist")
    split = task.load(tmp_path)
    np.testing.assert_array_equal(split.train_inputs, twos)
    assert split.train_inputs.dtype == np.uint8
    np.testing.assert_array_equal(np.floor(split.test_inputs * 256), twos)
    np.testing.assert_array_equal(task.load(tmp_path).test_inputs, split.test_inputs)
    result = train(task, split=split, epochs=1)
    assert result.parameters == 2 * 2 * 50_240
    net = KirchhoffNet.from_checkpoint(result.checkpoint)
    with torch.no_grad():
        nats = log_density(net, torch.tensor(split.test_inputs))
    assert -float(nats.mean()) == pytest.approx(result.test_metric, rel=1e-3)


def test_a_classifier_learns_what_can_be_learnt() -> None:
    """That the loss falls is not enough: classes off by one would do that, too."""
    preset = recipes.preset(recipes.IMAGES, epochs=60, learning_rate=2e-2, augment=(), batch=40)
    result = train(recipes.images(samples=250), preset=preset)
    assert result.test_metric_converged >= 0.6
    curve = result.checkpoint.training["curve"]
    assert curve[-1] < 0.4 * curve[0]
    assert result.checkpoint.training["metric"] == "accuracy"
    assert result.checkpoint.training["loss"] == "cross_entropy"
