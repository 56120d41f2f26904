"""A layer through the compiled kernel: whole Runge-Kutta solves and their discrete gradients.

Samples are worked on in parts of a fixed size, and parts' gradients are added in order: how many
processors there are changes no bit of the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kcompile import kernels
from kcompile.kernels import CompiledLayer, Reals, Wiring
from kcompile.nn.edges import Edges
from kcompile.nn.form import Form
from kcompile.nn.threads import workers

T = TypeVar("T")

PART = 64
"""Samples in a part: what fills the kernel's widest block of float32."""

_WORTHWHILE = 1 << 22
"""Edges times samples times evaluations of a part from which a thread of its own pays."""


@dataclass(frozen=True, eq=False)
class Structure:
    """What of a layer does not change in training.

    Args:
        wirings: one for each batch of edges.
        orders: ``int64[E]`` each: the kernel's edge ``e`` is the layer's ``order[e]``.
    """

    wirings: tuple[Wiring, ...]
    orders: tuple[Tensor, ...]

    @classmethod
    def of(cls, batches: Sequence[Edges]) -> Structure:
        """The structure of a layer's edges."""
        wirings = tuple(
            Wiring(b.src.cpu().numpy(), b.dst.cpu().numpy(), b.law.phi) for b in batches
        )
        return cls(wirings, tuple(torch.as_tensor(wiring.order) for wiring in wirings))


class CompiledForm(Form):
    """A layer's edges with their coefficients, in the kernel's order.

    Args:
        structure: of the edges.
        batches: the edges; their coefficients are taken now, so the form is for one solve.
        nodes: N.
        capacitance: ``[N]``, software units; None: 1 each.
    """

    def __init__(
        self,
        structure: Structure,
        batches: Sequence[Edges],
        nodes: int,
        capacitance: Tensor | None,
    ) -> None:
        self._coefficients: list[Tensor] = []
        for batch, order in zip(batches, structure.orders, strict=True):
            form = batch.coefficients()
            for value in (form.w, form.a, form.b, form.c):
                self._coefficients.append(
                    value.index_select(0, order)
                    if isinstance(value, Tensor)
                    else batch.params.new_full((1,), value)
                )
        conductance = None if capacitance is None else _array(1 / capacitance)
        self._job = _Job(structure, nodes, conductance)

    def derivative(self, v: Tensor) -> Tensor:
        """See ``Form``."""
        return _derivative(self._job, False, v, *self._coefficients)[0]

    def with_trace(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Form``."""
        return _derivative(self._job, True, v, *self._coefficients)

    def rk4(self, v: Tensor, duration: float, steps: int) -> Tensor:
        """See ``Form``."""
        return self._solve(v, None, duration, steps)[0]

    def rk4_flow(self, state: Tensor, duration: float, steps: int) -> Tensor:
        """See ``Form``."""
        v, trace = self._solve(state[:-1], state[-1], duration, steps)
        return torch.cat((v, trace[None]))

    def _solve(
        self, v: Tensor, trace: Tensor | None, duration: float, steps: int
    ) -> tuple[Tensor, Tensor]:
        task = _Solve(duration, steps, torch.is_grad_enabled())
        return _rk4(self._job, task, v, trace, *self._coefficients)


@dataclass(frozen=True)
class _Solve:
    """What a Runge-Kutta solve is to do, and whether its adjoint may be asked for."""

    duration: float
    steps: int
    keep: bool


@dataclass(frozen=True, eq=False)
class _Job:
    """A layer without its coefficients."""

    structure: Structure
    nodes: int
    conductance: Reals | None

    def bind(
        self, coefficients: Sequence[Tensor], gradients: Sequence[Reals | None] | None = None
    ) -> CompiledLayer:
        """The kernel of these coefficients, whose adjoints are added to ``gradients``."""
        values = [_array(value) for value in coefficients]
        given = gradients or [None] * len(values)
        batches = [
            kernels.Coefficients(wiring, values[4 * k : 4 * k + 4], given[4 * k : 4 * k + 4])
            for k, wiring in enumerate(self.structure.wirings)
        ]
        return CompiledLayer(self.nodes, batches, self.conductance, values[0].dtype)

    def edges(self) -> int:
        return sum(map(len, self.structure.wirings))

    def each_part(self, samples: int, evaluations: int, work: Callable[[slice], T]) -> list[T]:
        """What ``work`` gives for each part of the samples, in order; several at a time."""
        parts = [slice(at, min(at + PART, samples)) for at in range(0, samples, PART)]
        size = self.edges() * PART * evaluations
        if len(parts) > 1 and size >= _WORTHWHILE and workers() > 1:
            return list(_pool(workers(), os.getpid()).map(work, parts))
        return [work(part) for part in parts]

    def pull(
        self,
        coefficients: Sequence[Tensor],
        wanted: Sequence[bool],
        samples: int,
        evaluations: int,
        work: Callable[[CompiledLayer, slice], None],
    ) -> list[Tensor | None]:
        """The adjoints of the wanted coefficients, added up over parts."""

        def gradients_of(part: slice) -> list[Reals | None]:
            gradients = [
                np.zeros(len(c), _array(c).dtype) if want else None
                for c, want in zip(coefficients, wanted, strict=True)
            ]
            work(self.bind(coefficients, gradients), part)
            return gradients

        total: list[Reals | None] = [None] * len(wanted)
        for gradients in self.each_part(samples, evaluations, gradients_of):
            for k, gradient in enumerate(gradients):
                if gradient is not None:
                    known = total[k]
                    total[k] = gradient if known is None else known + gradient
        return [None if g is None else torch.as_tensor(g) for g in total]


class _Derivative(torch.autograd.Function):
    """dv/dt, and the trace where it is wanted (else an empty tensor)."""

    @staticmethod
    def forward(
        ctx: Any, job: _Job, traced: bool, v: Tensor, *coefficients: Tensor
    ) -> tuple[Tensor, Tensor]:
        v = v.contiguous()
        out, trace = torch.empty_like(v), v.new_empty(v.shape[1] if traced else 0)
        layer = job.bind(coefficients)
        row = _array(trace) if traced else None

        def work(part: slice) -> None:
            layer.derivative(_array(v), _array(out), row, part)

        job.each_part(v.shape[1], 1, work)
        ctx.job, ctx.traced = job, traced
        ctx.save_for_backward(v, *coefficients)
        return out, trace

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, *grads: Tensor
    ) -> tuple[Any, ...]:
        v, *coefficients = ctx.saved_tensors
        grad_out, grad_v = grads[0].contiguous(), torch.empty_like(v)
        row = _array(grads[1].contiguous()) if ctx.traced else None

        def work(layer: CompiledLayer, part: slice) -> None:
            layer.pullback(_array(v), _array(grad_out), _array(grad_v), row, part)

        wanted = ctx.needs_input_grad[3:]
        gradients = ctx.job.pull(coefficients, wanted, v.shape[1], 1, work)
        return None, None, grad_v, *gradients


class _Rk4(torch.autograd.Function):
    """All steps of a solve in one call; memory grows by four states a step."""

    @staticmethod
    def forward(
        ctx: Any, job: _Job, task: _Solve, v: Tensor, trace: Tensor | None, *coefficients: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        v = v.clone(memory_format=torch.contiguous_format)
        trace = None if trace is None else trace.clone(memory_format=torch.contiguous_format)
        layer = job.bind(coefficients)
        row = None if trace is None else _array(trace)

        def work(part: slice) -> Reals | None:
            stages = layer.stages(part.stop - part.start, task.steps) if task.keep else None
            layer.rk4(_array(v), task.duration, task.steps, row, stages, part)
            return stages

        ctx.stages = job.each_part(v.shape[1], 4 * task.steps, work)
        ctx.job, ctx.task, ctx.traced = job, task, trace is not None
        ctx.save_for_backward(*coefficients)
        return v, trace

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, *grads: Tensor
    ) -> tuple[Any, ...]:
        coefficients, task = ctx.saved_tensors, ctx.task
        grad_v = grads[0].clone(memory_format=torch.contiguous_format)
        grad_trace = grads[1].contiguous() if ctx.traced else None
        row = None if grad_trace is None else _array(grad_trace)

        def work(layer: CompiledLayer, part: slice) -> None:
            stages = ctx.stages[part.start // PART]
            layer.rk4_pullback(stages, task.duration, task.steps, _array(grad_v), row, part)

        wanted = ctx.needs_input_grad[4:]
        evaluations = 4 * task.steps
        gradients = ctx.job.pull(coefficients, wanted, grad_v.shape[1], evaluations, work)
        return None, None, grad_v, grad_trace, *gradients


_derivative: Callable[..., tuple[Tensor, Tensor]] = cast(Any, _Derivative).apply
_rk4: Callable[..., tuple[Tensor, Tensor]] = cast(Any, _Rk4).apply


def _array(tensor: Tensor) -> Reals:
    return tensor.detach().contiguous().numpy()


@lru_cache
def _pool(count: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one inherits the object, but no thread."""
    return ThreadPoolExecutor(count, "kcompile-kernel")
