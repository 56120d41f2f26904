"""The plain form, written down as the paper's equations read: what our kernel is measured against.

States are batch-major, ``[B, N]``. The voltages at both ends of every edge are gathered, the law
is applied to arrays of samples by edges, and currents are scattered into the nodes' sums; ground is
row 0 and dropped at the end. Solves are torchdiffeq's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchdiffeq
from torch import Tensor, nn

_untyped: Any = torchdiffeq

PUBLISHED: dict[str, Any] = {
    "method": "dopri5",
    "rtol": 1e-3,
    "atol": 1e-3,
    "options": {"first_step": 1e-2, "min_step": 1e-5},
}
"""Solver settings of the published configurations, the quicker of the two that they have."""


class PlainLayer(nn.Module):
    """Edges with the current ``p1 * relu(vs - vd - p0)``.

    Args:
        src, dst: ``int[E]``, 0 is ground.
        params: ``[2, E]``.
    """

    src: Tensor
    dst: Tensor

    def __init__(self, src: np.ndarray, dst: np.ndarray, params: Tensor) -> None:
        super().__init__()
        self.register_buffer("src", torch.as_tensor(np.asarray(src, dtype=np.int64)))
        self.register_buffer("dst", torch.as_tensor(np.asarray(dst, dtype=np.int64)))
        self.params = nn.Parameter(params.detach().clone())

    def forward(self, _t: Tensor | float, v: Tensor) -> Tensor:
        """dv/dt ``[B, N]`` of voltages ``[B, N]``."""
        grounded = torch.cat((v.new_zeros(len(v), 1), v), dim=1)
        difference = grounded[:, self.src] - grounded[:, self.dst]
        current = self.params[1] * torch.relu(difference - self.params[0])
        total = torch.zeros_like(grounded)
        total = total.scatter_add(1, self.dst.expand(len(v), -1), current)
        total = total.scatter_add(1, self.src.expand(len(v), -1), -current)
        return total[:, 1:]


class PlainNetwork(nn.Module):
    """One such layer over t = 0..1: its last voltage, of inputs that zeros follow.

    Args:
        layer: of N nodes.
        nodes: N.
    """

    def __init__(self, layer: PlainLayer, nodes: int) -> None:
        super().__init__()
        self.layer = layer
        self.nodes = nodes

    def forward(self, inputs: Tensor) -> Tensor:
        """``[B, 1]`` of ``[B, inputs]``, with gradients by the adjoint equation."""
        missing = self.nodes - inputs.shape[1]
        v = torch.cat((inputs, inputs.new_zeros(len(inputs), missing)), dim=1)
        return _untyped.odeint_adjoint(self.layer, v, v.new_tensor([0.0, 1.0]), **PUBLISHED)[-1][
            :, -1:
        ]


def solve(field, v: Tensor, method: str, tolerance: float) -> Tensor:
    """The voltages ``[B, N]`` at t = 1, all samples under one tolerance as torchdiffeq has it."""
    times = v.new_tensor([0.0, 1.0])
    with torch.no_grad():
        return _untyped.odeint(field, v, times, method=method, rtol=tolerance, atol=tolerance)[-1]


def rk4(field, v: Tensor, steps: int) -> Tensor:
    """The voltages ``[B, N]`` at t = 1 after equal steps, with gradients through them."""
    times = v.new_tensor([0.0, 1.0])
    options = {"step_size": 1.0 / steps}
    return _untyped.odeint(field, v, times, method="rk4", options=options)[-1]
