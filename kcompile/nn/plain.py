"""A layer in plain torch: node voltages are gathered, edge currents added up.

It runs on any device and gives the compiled kernel's numbers up to rounding. It makes arrays of
edges by samples, which is what costs its time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from kcompile.ir import LEAKY_SLOPE, Coefficients, Phi
from kcompile.nn.edges import Conductors
from kcompile.nn.form import Form


class PlainForm(Form):
    """A layer's edges with their coefficients.

    Args:
        batches: the edges; their coefficients are taken now, so the form is for one solve.
        nodes: N.
        capacitance: ``[N]``, software units; None: 1 each.
    """

    def __init__(
        self, batches: Sequence[Conductors], nodes: int, capacitance: Tensor | None
    ) -> None:
        self._batches = [(batch, batch.coefficients()) for batch in batches]
        self._nodes = nodes
        self._weight = None if capacitance is None else functional.pad(1 / capacitance, (1, 0))

    def derivative(self, v: Tensor) -> Tensor:
        """See ``Form``."""
        total = v.new_zeros(self._nodes + 1, v.shape[1])
        grounded = functional.pad(v, (0, 0, 1, 0))
        for batch, form in self._batches:
            current = _column(form.w) * apply_phi(batch.phi, _argument(batch, form, grounded))
            total = total.index_add(0, batch.dst, current)
            total = total.index_add(0, batch.src, current, alpha=-1)
        return self._weighed(total)[1:]

    def with_trace(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Form``."""
        grounded = functional.pad(v, (0, 0, 1, 0))
        trace = v.new_zeros(v.shape[1])
        for batch, form in self._batches:
            slope = _slope(batch.phi, _argument(batch, form, grounded))
            into, out_of = self._reach(batch, batch.dst, v), self._reach(batch, batch.src, v)
            pull = form.b * into - form.a * out_of
            trace = trace + (slope * (form.w * pull)[:, None]).sum(dim=0)
        return self.derivative(v), trace

    def _reach(self, batch: Conductors, end: Tensor, like: Tensor) -> Tensor:
        """How far each edge's current moves its end, ``[E]``: by 1/C.

        It does not move ground, nor a node that it both leaves and enters.
        """
        moves = ((end != 0) & (batch.src != batch.dst)).to(like.dtype)
        return moves if self._weight is None else moves * self._weight[end]

    def _weighed(self, total: Tensor) -> Tensor:
        return total if self._weight is None else total * self._weight[:, None]


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


def _slope(phi: Phi, x: Tensor) -> Tensor:
    if phi is Phi.TANH:
        return 1 - torch.tanh(x) ** 2
    return torch.where(x > 0, x.new_ones(()), x.new_tensor(phi.slope_below))


def _argument(batch: Conductors, form: Coefficients, grounded: Tensor) -> Tensor:
    """``a*v_src + b*v_dst + c`` of every edge and sample, ``[E, S]``."""
    source, destination = (grounded.index_select(0, end) for end in (batch.src, batch.dst))
    return _column(form.a) * source + _column(form.b) * destination + _column(form.c)


def _column(value: Tensor | float) -> Tensor | float:
    return value[:, None] if isinstance(value, Tensor) else value
