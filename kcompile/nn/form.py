"""A layer with its parameters as they are now: what a solver asks of it.

States are node-major, ``[N, S]``, samples innermost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Field: TypeAlias = Callable[[Tensor], Tensor]
"""Maps a state to its derivative, of the same shape."""


class Form(ABC):
    """dv/dt of a layer, differentiable in the state and in the layer's parameters."""

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """dv/dt, ``[N, S]``, at the voltages ``[N, S]``."""

    @abstractmethod
    def with_trace(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """dv/dt, and the trace of its Jacobian for every sample, ``[S]``, in closed form."""

    def flow(self, state: Tensor) -> Tensor:
        """The derivative of a state ``[N + 1, S]`` whose last row integrates the trace."""
        slope, trace = self.with_trace(state[:-1])
        return torch.cat((slope, trace[None]))

    def rk4(self, v: Tensor, duration: float, steps: int) -> Tensor:
        """The voltages after ``steps`` equal steps of Kutta's 3/8 rule; backwards if negative."""
        return _rk4(self.derivative, v, duration, steps)

    def rk4_flow(self, state: Tensor, duration: float, steps: int) -> Tensor:
        """``rk4`` of a state ``[N + 1, S]`` as ``flow`` takes it."""
        return _rk4(self.flow, state, duration, steps)


def _rk4(derivative: Field, v: Tensor, duration: float, steps: int) -> Tensor:
    """Kutta's 3/8 rule, which is torchdiffeq's ``rk4``, at half its cost per step."""
    h = duration / steps
    for _ in range(steps):
        k1 = derivative(v)
        k2 = derivative(torch.add(v, k1, alpha=h / 3))
        k3 = derivative(torch.add(v - k1 * (h / 3), k2, alpha=h))
        k4 = derivative(torch.add(v, k1 - k2 + k3, alpha=h))
        v = torch.add(v, torch.add(k1 + k4, k2 + k3, alpha=3.0), alpha=h / 8)
    return v
