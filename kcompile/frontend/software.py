"""The parts of a network that stay in software: an encoder before the circuit, a head after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.errors import CheckpointError, InputError
from kcompile.ir import FloatArray


@dataclass(frozen=True, eq=False)
class Linear:
    """``x @ weight.T + bias``.

    Args:
        weight: ``float64[out, in]``.
        bias: ``float64[out]``.
    """

    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, dtype=np.float64)
        bias = np.asarray(self.bias, dtype=np.float64)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise CheckpointError(f"a linear step of weight {weight.shape}, bias {bias.shape}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise CheckpointError("a linear step has weights that are not finite")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    def __call__(self, x: FloatArray) -> FloatArray:
        """``[..., in] -> [..., out]``."""
        if x.shape[-1] != self.weight.shape[1]:
            raise InputError(f"{x.shape[-1]} values where {self.weight.shape[1]} are expected")
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class Relu:
    """``max(x, 0)``."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Any shape, unchanged."""
        return np.maximum(x, 0.0)


@dataclass(frozen=True)
class Select:
    """The values ``start:stop`` (as Python slices them) of the last axis."""

    start: int | None
    stop: int | None

    def __call__(self, x: FloatArray) -> FloatArray:
        """``[..., n] -> [..., stop - start]``."""
        return x[..., self.start : self.stop]


Step = Linear | Relu | Select


@dataclass(frozen=True)
class Software:
    """Steps applied one after the other in double precision.

    Args:
        steps: in order; none at all is the identity.
    """

    steps: tuple[Step, ...] = ()

    def __call__(self, x: FloatArray) -> FloatArray:
        """``[..., in] -> [..., out]``."""
        for step in self.steps:
            x = step(x)
        return x

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def width(self) -> int | None:
        """How many values it takes, where a step fixes that."""
        first = next((step for step in self.steps if isinstance(step, Linear)), None)
        return None if first is None else int(first.weight.shape[1])

    def describe(self) -> str:
        """Its steps in a few words, for reports: ``linear 10x10, relu``."""
        words: list[str] = []
        for step in self.steps:
            if isinstance(step, Linear):
                out, given = step.weight.shape
                words.append(f"linear {given}x{out}")
            elif isinstance(step, Relu):
                words.append("relu")
            else:
                start = "" if step.start is None else step.start
                stop = "" if step.stop is None else step.stop
                words.append(f"values [{start}:{stop}]")
        return ", ".join(words)
