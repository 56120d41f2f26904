"""Generation: a flow from a normal draw to points (Fig. 7) or to images of a digit (Fig. 9)."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np

from kcompile.errors import DataError, UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.data import POINTS, draw, load_images
from kcompile.tasks.metrics import Metric, energy_distance, mean_brightness, mean_gap, of_samples
from kcompile.tasks.task import Kind, Split, Task

TRAIN_POINTS = 1 << 16
TEST_POINTS = 10_000
_TRAIN_SEED, _TEST_SEED, _REFERENCE_SEED = 1, 2, 3
_REFERENCE_POINTS = 2000
_DIGIT = 2


def _points(name: str, data: Path | None) -> Split:
    if data is not None:
        raise UsageError(f"{name} is drawn, not read", hint="leave --data out")
    train = draw(name, TRAIN_POINTS, _TRAIN_SEED)
    test = draw(name, TEST_POINTS, _TEST_SEED)
    return Split(train, np.empty((len(train), 0)), test, np.empty((len(test), 0)))


def _digits(data: Path | None) -> Split:
    """Images of one digit, each pixel a draw from its 256th of 0..1: a density needs no steps.

    Training adds noise anew at every step, to whole numbers.
    """
    images = load_images("mnist", data)
    train = images.train_images[images.train_labels == _DIGIT]
    test = images.test_images[images.test_labels == _DIGIT]
    if not (len(train) and len(test)):
        raise DataError(
            f"no images of the digit {_DIGIT} to train and to test with", where=data or "mnist"
        )
    flat = test.reshape(len(test), -1).astype(np.float64)
    noise = np.random.default_rng(_TEST_SEED).uniform(size=flat.shape)
    return Split(
        train.reshape(len(train), -1),
        np.empty((len(train), 0)),
        (flat + noise) / 256.0,
        np.empty((len(test), 0)),
        {"x": {"min": 0.0, "max": 256.0}},
        (1, 28, 28),
    )


@cache
def _reference(name: str) -> FloatArray:
    return draw(name, _REFERENCE_POINTS, _REFERENCE_SEED)


@cache
def _reference_gap(name: str) -> float:
    return mean_gap(_reference(name), _reference(name))


def _distance(name: str, samples: FloatArray) -> float:
    return energy_distance(samples, _reference(name), _reference_gap(name))


def _task(name: str, title: str, load: partial[Split] | None, metric: Metric) -> Task:
    return Task(name, title, Kind.GENERATION, load or _digits, metric, "nll", "lower")


GENERATION = (
    *(
        _task(
            name,
            f"points of {name} (Fig. 7)",
            partial(_points, name),
            of_samples("energy_distance", partial(_distance, name)),
        )
        for name in POINTS
    ),
    _task(
        "genmnist",
        f"images of the digit {_DIGIT} (Fig. 9)",
        None,
        of_samples("mean_brightness", mean_brightness),
    ),
)
