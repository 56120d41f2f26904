"""The software around the circuit in torch: trainable counterparts of ``frontend.software``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software, Step
from kcompile.ir import FloatArray


class SoftwareModule(nn.Module):
    """Steps applied one after the other; the weights of the linear ones are trained.

    Args:
        software: the steps with their first weights; none at all is the identity.
        dtype: of the weights; float64 instead where that type would round one of them.
    """

    def __init__(self, software: Software, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if not all(_holds(dtype, step) for step in software.steps):
            dtype = torch.float64
        modules = (
            _Linear(step, dtype) if isinstance(step, Linear) else _Fixed(step)
            for step in software.steps
        )
        self.steps = nn.ModuleList(modules)

    def __len__(self) -> int:
        return len(self.steps)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in] -> [..., out]``, as ``Software`` maps it."""
        for step in self._steps:
            x = step(x)
        return x

    def initialise(self, generator: torch.Generator) -> None:
        """Draws every weight and bias anew, uniform within ``1/sqrt(in)``, as ``nn.Linear`` does.

        Args:
            generator: on the processor; the same state gives the same numbers.
        """
        for step in self._steps:
            if isinstance(step, _Linear):
                bound = 1 / math.sqrt(step.weight.shape[1])
                nn.init.uniform_(step.weight, -bound, bound, generator=generator)
                nn.init.uniform_(step.bias, -bound, bound, generator=generator)

    def record(self) -> Software:
        """The steps as a checkpoint stores them: in float64, exactly what torch holds.

        Raises:
            CheckpointError: a weight is not finite.
        """
        return Software(tuple(step.record() for step in self._steps))

    @property
    def _steps(self) -> Iterator[_Linear | _Fixed]:
        return iter(cast("Iterable[_Linear | _Fixed]", self.steps))


class _Linear(nn.Module):
    """``x @ weight.T + bias`` with trainable weights."""

    def __init__(self, step: Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(step.weight, dtype=dtype))
        self.bias = nn.Parameter(torch.tensor(step.bias, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias)

    def record(self) -> Linear:
        return Linear(_array(self.weight), _array(self.bias))


class _Fixed(nn.Module):
    """A step without weights."""

    def __init__(self, step: Relu | Select | Reshape) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        match self.step:
            case Relu():
                return torch.relu(x)
            case Select(start, stop):
                return x[..., start:stop]
            case Reshape(columns):
                return x.reshape(*x.shape[:-1], columns, -1).transpose(-1, -2)

    def record(self) -> Relu | Select | Reshape:
        return self.step


def _holds(dtype: torch.dtype, step: Step) -> bool:
    """Whether a type holds every weight of a step exactly."""
    if not isinstance(step, Linear):
        return True
    values = (torch.tensor(weights) for weights in (step.weight, step.bias))
    return all(torch.equal(value.to(dtype).double(), value) for value in values)


def _array(weights: Tensor) -> FloatArray:
    return weights.detach().cpu().double().numpy().astype(np.float64)
