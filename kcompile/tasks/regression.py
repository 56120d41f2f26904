"""Regression as in Table I: features on the first nodes, the answer on the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from kcompile.errors import MissingExtra
from kcompile.frontend.topology import FullyConnected
from kcompile.ir import FloatArray
from kcompile.tasks.metrics import METRICS
from kcompile.tasks.task import LayerPlan, Plan, Recipe, Split, Task

_RECIPE = Recipe(epochs=400, batch=64, learning_rate=5e-4)
_SPLIT_SEED = 42


def _plans(features: int, sizes: Mapping[str, int]) -> dict[str, Plan]:
    """One fully connected layer of ``N - 1`` nodes and ground for each N: 4N(N-1) parameters.

    The features start nodes 1.., the other nodes start at 0 V, the last one is read.
    """
    return {
        size: Plan(
            "shift_relu",
            (LayerPlan(FullyConnected(count), nodes=count - 1, duration=1.0),),
            inputs=features,
            outputs=(count - 1,),
        )
        for size, count in sizes.items()
    }


def scaled_split(x: FloatArray, y: FloatArray, test_share: float) -> Split:
    """A random split (the same at every call), scaled so that the training part spans 0..1.

    Args:
        x: ``float64[S, Nin]``.
        y: ``float64[S]``.
        test_share: how much of it is held out.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    divide = _sklearn("model_selection").train_test_split
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


def _friedman() -> Split:
    make = _sklearn("datasets").make_friedman1
    x, y = make(n_samples=4096, n_features=5, noise=0.0, random_state=42)
    return scaled_split(x, y, test_share=0.4)


def _sklearn(module: str) -> Any:
    from importlib import import_module

    try:
        return cast(Any, import_module(f"sklearn.{module}"))
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "the data of this task comes with scikit-learn, which is not installed",
            hint="install it with: pip install 'kcompile[train]'",
        ) from error


def _task(
    name: str, title: str, features: int, sizes: Mapping[str, int], load: Callable[[], Split]
) -> Task:
    plans = _plans(features, sizes)
    return Task(name, title, plans, _RECIPE, load, loss="mse", metric=METRICS["mse"])


FRIEDMAN = _task(
    "friedman",
    "Friedman's first regression problem, noiseless (Table I)",
    features=5,
    sizes={"s": 7, "m": 12, "l": 20},
    load=_friedman,
)
