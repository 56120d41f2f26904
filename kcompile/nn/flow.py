"""The density of a network's outputs where it starts from a normal draw.

Along the ODE, the logarithm of the density falls by the trace of the Jacobian of dv/dt
(instantaneous change of variables, arXiv:1806.07366, Eq. (8)); the trace of the edge law is known
in closed form, so it goes along with the state as one row more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kcompile.errors import InputError, UsageError
from kcompile.nn.network import KirchhoffNet
from kcompile.nn.solver import Solver, integrate


def normal_log_density(z: Tensor) -> Tensor:
    """The logarithm of the standard normal density of each row of ``[S, N]``, ``[S]``."""
    return -0.5 * (z**2).sum(dim=1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def log_density(net: KirchhoffNet, x: Tensor, solver: Solver | None = None) -> Tensor:
    """The logarithm of the density that a network gives to outputs, ``[S]``.

    Args:
        net: N nodes in every layer, all given and all read.
        x: ``[S, N]``, solved backwards through the layers.
        solver: instead of the network's own.

    Raises:
        UsageError: the network is no flow.
        InputError: the outputs are not of N values.
        SolverError: the solver cannot go on.
    """
    _require_samples(net, x)
    state = _with_row(x.to(net.dtype))
    for layer in reversed(list(net.phases)):
        state = integrate(
            layer, state, solver or net.solver, net.capacitance_of(layer, state), flow=True,
            backwards=True,
        )  # fmt: skip
    # Backwards, the row holds minus the integral of the trace.
    return normal_log_density(state[:-1].T) + state[-1]


def push(net: KirchhoffNet, z: Tensor, solver: Solver | None = None) -> tuple[Tensor, Tensor]:
    """The outputs of normal draws, and the logarithm of their density.

    Args:
        net: N nodes in every layer, all given and all read.
        z: ``[S, N]``.
        solver: instead of the network's own.

    Returns:
        ``[S, N]`` and ``[S]``.

    Raises:
        UsageError: the network is no flow.
        InputError: the draws are not of N values.
        SolverError: the solver cannot go on.
    """
    _require_samples(net, z)
    state = _with_row(z.to(net.dtype))
    for layer in net.phases:
        state = integrate(
            layer, state, solver or net.solver, net.capacitance_of(layer, state), flow=True
        )
    return state[:-1].T, normal_log_density(z.to(net.dtype)) - state[-1]


def _with_row(x: Tensor) -> Tensor:
    return torch.cat((x.T, x.new_zeros(1, len(x))))


def require_flow(net: KirchhoffNet) -> None:
    """Sees that a network has a density.

    Raises:
        UsageError: not all of its nodes are given, kept and read.
    """
    nodes = {layer.nodes for layer in net.phases}
    every = len(nodes) == 1 and net.inputs in nodes
    whole = every and list(net.outputs) == list(range(1, net.inputs + 1))
    plain = all(layer.residual is None for layer in net.phases)
    if not (whole and plain) or net.encoder.record() or net.head.record():
        raise UsageError(
            "the network has no density: not all of its nodes are given, kept and read",
            hint="use layers of one size, without residual, encoder or head",
        )


def _require_samples(net: KirchhoffNet, samples: Tensor) -> None:
    require_flow(net)
    if samples.ndim != 2 or samples.shape[1] != net.inputs:
        raise InputError(
            f"samples of shape {list(samples.shape)}", hint=f"give [samples, {net.inputs}]"
        )
