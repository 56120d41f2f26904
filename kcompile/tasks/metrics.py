"""How a task's outputs are judged, sample arrays in, one number out (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import InputError
from kcompile.ir import FloatArray

Targets = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A number that says how good outputs are.

    Args:
        name: as reports call it.
        better: ``lower`` or ``higher``.
        value: maps outputs ``[S, M]`` and targets to the number.
        agreement: maps two sets of outputs and the targets to how far they say the same: of a
            loss, the difference of its two values; of an accuracy, the share of equal answers.
    """

    name: str
    better: str
    value: Callable[[FloatArray, Targets], float]
    agreement: Callable[[FloatArray, FloatArray, Targets], float]


def _mse(outputs: FloatArray, targets: Targets) -> float:
    if outputs.shape != targets.shape or not len(outputs):
        raise InputError(f"outputs {list(outputs.shape)} for targets {list(targets.shape)}")
    return float(np.mean((outputs - targets) ** 2))


def _mse_agreement(one: FloatArray, other: FloatArray, targets: Targets) -> float:
    return abs(_mse(one, targets) - _mse(other, targets))


METRICS = {"mse": Metric("mse", "lower", _mse, _mse_agreement)}
"""Every metric by name. ``mse``: mean squared error of the outputs as the network scales them."""
