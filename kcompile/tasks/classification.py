"""Image classification as in Table II: pixels on the first nodes, classes read from the last."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.tasks.data import load_images
from kcompile.tasks.data.labelled import Pixels
from kcompile.tasks.metrics import METRICS
from kcompile.tasks.task import Kind, Split, Task


def _split(name: str, data: Path | None) -> Split:
    """Pixels in 0..1, flattened channel by channel; nothing else is done to them."""
    images = load_images(name, data)
    channels, height, width = images.train_images.shape[1:]
    return Split(
        _flat(images.train_images, np.float32),
        images.train_labels,
        _flat(images.test_images, np.float64),
        images.test_labels,
        {"x": {"min": 0.0, "max": 255.0}},
        (channels, height, width),
    )


def _flat(images: Pixels, kind: type[np.floating[Any]]) -> NDArray[Any]:
    return np.divide(images.reshape(len(images), -1), 255.0, dtype=kind)


CLASSIFICATION = tuple(
    Task(name, title, Kind.CLASSIFICATION, partial(_split, name), METRICS["accuracy"], "accuracy",
         "higher")
    for name, title in (
        ("mnist", "handwritten digits (Table II)"),
        ("fashion-mnist", "articles of clothing, as MNIST"),
        ("cifar10", "CIFAR-10 (Table II)"),
        ("svhn", "street view house numbers (Table II)"),
    )
)  # fmt: skip
