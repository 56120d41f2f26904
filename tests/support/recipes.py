"""Tasks that train in a blink: tiny data, tiny networks, recipes of a few steps."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from kcompile.frontend import Checkpoint, save_checkpoint
from kcompile.tasks import Preset, Split, Task, get_task
from kcompile.tasks.presets import read_presets

SUPERVISED = """\
[tiny.network]
law = "shift_relu"
inputs = 3
outputs = "last1"

[[tiny.network.layers]]
topology = "fully_connected"
arguments = { num_node = 6 }
duration = 0.5

[tiny.training]
epochs = 4
batch = 16
learning_rate = 1e-2
final_rate = 1e-4
clip = 1.0
steps = 3
jitter = 2
"""

FLOW = """\
[tiny.network]
law = "tanh_affine"
inputs = 2

[[tiny.network.layers]]
topology = "fully_connected"
arguments = { num_node = 3, repeat = [2, 2] }
duration = 0.5
copies = 2

[tiny.training]
epochs = 4
steps_per_epoch = 3
batch = 32
learning_rate = 1e-2
steps = 3
jitter = 2
"""

IMAGES = """\
[tiny.network]
law = "shift_relu"
inputs = 16
outputs = "last10"
head = [10, 16, 10]

[[tiny.network.layers]]
topology = "mixed"
arguments = { num_channel = 1, width = 4, height = 4, neighbor_size = 2, fully_connect_node = 10 }
duration = 0.5

[tiny.training]
epochs = 3
batch = 16
learning_rate = 1e-2
augment = ["shift", "flip"]
steps = 3
"""


def preset(text: str, **recipe: object) -> Preset:
    """The first preset in a TOML text, some fields of its recipe replaced."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "presets.toml"
        path.write_text(text)
        (first, *_) = read_presets(path).values()
    return replace(first, recipe=replace(first.recipe, **recipe))


def regression(samples: int = 80) -> Task:
    """Three features, one answer; 16 of the samples are tested on."""
    random = np.random.default_rng(5)
    x = random.random((samples, 3))
    y = np.sin(2 * x[:, :1]) * x[:, 1:2] + 0.3 * x[:, 2:]
    split = Split(x[:-16], y[:-16], x[-16:], y[-16:], {"x": {"min": [0.0] * 3, "max": [1.0] * 3}})
    return replace(get_task("friedman"), load=lambda data: split)


def images(samples: int = 50) -> Task:
    """Pictures of 4 x 4 pixels whose class is the brightest of the first ten."""
    random = np.random.default_rng(6)
    x = random.random((samples, 16), dtype=np.float32)
    y = x[:, :10].argmax(axis=1)
    split = Split(
        x[:-10], y[:-10], x[-10:].astype(np.float64), y[-10:],
        {"x": {"min": 0.0, "max": 255.0}}, (1, 4, 4),
    )  # fmt: skip
    return replace(get_task("mnist"), load=lambda data: split)


def points(samples: int = 200) -> Task:
    """Points of two moons, few of them."""
    whole = get_task("twomoon").load(None)
    split = replace(
        whole,
        train_inputs=whole.train_inputs[:samples],
        train_targets=whole.train_targets[:samples],
        test_inputs=whole.test_inputs[:50],
        test_targets=whole.test_targets[:50],
    )
    return replace(get_task("twomoon"), load=lambda data: split)


def density(name: str = "potential1", draws: int = 60) -> Task:
    """A potential, judged on few draws."""
    whole = get_task(name).load(None)
    split = replace(
        whole, test_inputs=whole.test_inputs[:draws], test_targets=whole.test_targets[:draws]
    )
    return replace(get_task(name), load=lambda data: split)


def content(folder: Path, checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint's file."""
    path = folder / "content"
    save_checkpoint(path, checkpoint)
    return path.read_bytes()
