"""dv/dt of one layer as torch computes it, node-major: voltages are ``[N, S]``, batch innermost.

Two ways, the same numbers up to rounding: small layers multiply dense matrices (three kernel calls
an evaluation, which is what the time of a small network goes into), larger ones gather and add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from kcompile.ir import LEAKY_SLOPE, Phi
from kcompile.nn.edges import Edges

Field: TypeAlias = Callable[[Tensor], Tensor]
"""Maps voltages ``[N, S]`` to the sum of the currents into each node, ``[N, S]``."""

DENSE_LIMIT = 1 << 17
"""Edges times nodes up to which a layer is computed with dense matrices."""


def apply_phi(phi: Phi, x: Tensor) -> Tensor:
    """``phi`` of every element (the torch counterpart of calling a ``Phi``)."""
    match phi:
        case Phi.RELU:
            return torch.relu(x)
        case Phi.TANH:
            return torch.tanh(x)
        case Phi.LEAKY_RELU:
            return functional.leaky_relu(x, LEAKY_SLOPE)
        case Phi.IDENTITY:
            return x


def ends(edges: Edges, nodes: int) -> tuple[Tensor, Tensor]:
    """Which node each edge leaves and enters: two 0/1 matrices ``[E, N]``, ground left out."""
    dtype = edges.params.dtype
    leave = functional.one_hot(edges.src.long(), nodes + 1)[:, 1:].to(dtype)
    enter = functional.one_hot(edges.dst.long(), nodes + 1)[:, 1:].to(dtype)
    return leave, enter


def dense_field(edges: Edges, leave: Tensor, enter: Tensor, samples: int) -> Field:
    """The field of one batch of edges, by dense matrices.

    Args:
        edges: E edges; their coefficients are taken now, so the field is for one solve.
        leave: ``[E, N]`` as ``ends`` gives it.
        enter: likewise.
        samples: S.
    """
    phi = edges.law.phi
    form = edges.coefficients()
    control = _column(form.a) * leave + _column(form.b) * enter
    if isinstance(form.c, Tensor):
        offset = form.c[:, None].expand(-1, samples)
    else:
        offset = control.new_full((1, 1), form.c).expand(len(edges), samples)
    collect = (enter - leave).T * form.w

    def field(v: Tensor) -> Tensor:
        return collect @ apply_phi(phi, torch.addmm(offset, control, v))

    return field


def gathering_field(edges: Edges, nodes: int) -> Field:
    """The field of one batch of edges, by gathering node voltages and adding up edge currents.

    Args:
        edges: E edges; their coefficients are taken now, so the field is for one solve.
        nodes: N.
    """
    phi, src, dst = edges.law.phi, edges.src, edges.dst
    form = edges.coefficients()
    w, a, b, c = (_column(value) for value in (form.w, form.a, form.b, form.c))

    def field(v: Tensor) -> Tensor:
        grounded = functional.pad(v, (0, 0, 1, 0))
        argument = a * grounded.index_select(0, src) + b * grounded.index_select(0, dst) + c
        current = w * apply_phi(phi, argument)
        total = v.new_zeros(nodes + 1, v.shape[1])
        return total.index_add(0, dst, current).index_add(0, src, current, alpha=-1)[1:]

    return field


def _column(value: Tensor | float) -> Tensor | float:
    return value[:, None] if isinstance(value, Tensor) else value
