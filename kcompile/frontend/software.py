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
        if weight.ndim != 2 or 0 in weight.shape or bias.shape != weight.shape[:1]:
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

    def output_width(self, given: int) -> int | None:
        """How many values come out of ``given``; None: it does not take that many."""
        return self.weight.shape[0] if given == self.weight.shape[1] else None

    def __str__(self) -> str:
        out, given = self.weight.shape
        return f"linear {given}x{out}"


@dataclass(frozen=True)
class Relu:
    """``max(x, 0)``."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Any shape, unchanged."""
        return np.maximum(x, 0.0)

    def output_width(self, given: int) -> int | None:
        """``given``."""
        return given

    def __str__(self) -> str:
        return "relu"


@dataclass(frozen=True)
class Select:
    """The values ``start:stop`` (as Python slices them) of the last axis."""

    start: int | None
    stop: int | None

    def __call__(self, x: FloatArray) -> FloatArray:
        """``[..., n] -> [..., stop - start]``."""
        return x[..., self.start : self.stop]

    def output_width(self, given: int) -> int | None:
        """How many values come out of ``given``; None where the slice would be empty."""
        return len(range(given)[self.start : self.stop]) or None

    def __str__(self) -> str:
        start = "" if self.start is None else self.start
        stop = "" if self.stop is None else self.stop
        return f"values [{start}:{stop}]"


@dataclass(frozen=True)
class Reshape:
    """The values as a matrix with ``columns`` columns, dealt out column by column.

    With n values and K columns, row r is ``x[r], x[r + n/K], x[r + 2*n/K], ...``: the features of
    graph node r where each feature has a copy of the graph.
    """

    columns: int

    def __call__(self, x: FloatArray) -> FloatArray:
        """``[..., n] -> [..., n / columns, columns]``."""
        if x.shape[-1] % self.columns:
            raise InputError(f"{x.shape[-1]} values do not fill {self.columns} columns")
        return np.swapaxes(x.reshape(*x.shape[:-1], self.columns, -1), -1, -2)

    def output_width(self, given: int) -> int | None:
        """``columns``; None where ``given`` values do not fill them."""
        return self.columns if given % self.columns == 0 else None

    def __str__(self) -> str:
        return f"{self.columns} columns"


Step = Linear | Relu | Select | Reshape


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
        """How many values it takes, where its first steps fix that."""
        for step in self.steps:
            if isinstance(step, Linear):
                return int(step.weight.shape[1])
            if not isinstance(step, Relu):
                return None
        return None

    def output_width(self, given: int) -> int:
        """How many values (of the last axis) come out when ``given`` go in.

        Raises:
            CheckpointError: a step does not take what the step before gives.
        """
        width = given
        for step in self.steps:
            out = step.output_width(width)
            if out is None:
                raise CheckpointError(f"the software step '{step}' does not take {width} values")
            width = out
        return width

    def describe(self) -> str:
        """Its steps in a few words, for reports: ``linear 10x10, relu``."""
        return ", ".join(map(str, self.steps))
