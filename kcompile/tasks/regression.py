"""Regression as in Table I: features on the first nodes, the answer on the last one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from kcompile.errors import DataError, UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.data import load_table
from kcompile.tasks.data.packages import optional
from kcompile.tasks.metrics import METRICS
from kcompile.tasks.task import Kind, Split, Task

_SPLIT_SEED = 42


def scaled_split(x: FloatArray, y: FloatArray, test_share: float) -> Split:
    """A random split (the same at every call), scaled so that the training part spans 0..1.

    Args:
        x: ``float64[S, Nin]``.
        y: ``float64[S]``.
        test_share: how much of it is held out.

    Raises:
        DataError: there are too few samples for two parts.
        MissingExtra: scikit-learn is not installed.
    """
    if len(y) < 2:
        raise DataError(
            f"too few samples to train and to test with: {len(y)}", hint="give two or more"
        )
    divide = optional("sklearn.model_selection", "the split").train_test_split
    parts = divide(x, y[:, None], test_size=test_share, random_state=_SPLIT_SEED)
    train_x, test_x, train_y, test_y = (np.asarray(part, dtype=np.float64) for part in parts)
    low = {"x": train_x.min(axis=0), "y": train_y.min(axis=0)}
    span = {"x": train_x.max(axis=0) - low["x"], "y": train_y.max(axis=0) - low["y"]}

    def scale(name: str, values: FloatArray) -> FloatArray:
        return (values - low[name]) / np.where(span[name] > 0, span[name], 1.0)

    normalisation = {
        name: {"min": low[name].tolist(), "max": (low[name] + span[name]).tolist()}
        for name in ("x", "y")
    }
    return Split(
        scale("x", train_x),
        scale("y", train_y),
        scale("x", test_x),
        scale("y", test_y),
        normalisation,
    )


def _friedman(data: Path | None) -> Split:
    if data is not None:
        raise UsageError("friedman is made by scikit-learn", hint="leave --data out")
    make = optional("sklearn.datasets", "friedman").make_friedman1
    x, y = make(n_samples=4096, n_features=5, noise=0.0, random_state=42)
    return scaled_split(x, y, test_share=0.4)


def _table(name: str, data: Path | None) -> Split:
    return scaled_split(*load_table(name, data), test_share=0.3)


REGRESSION = tuple(
    Task(name, title, Kind.REGRESSION, load, METRICS["mse"], "mse", "lower")
    for name, title, load in (
        ("friedman", "Friedman's first regression problem, noiseless (Table I)", _friedman),
        ("housing", "California housing (Table I)", partial(_table, "housing")),
        ("diabetes", "diabetes progression (Table I)", partial(_table, "diabetes")),
    )
)
