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
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kcompile import kernels
from kcompile.kernels import CompiledLayer, Reals, Wiring, workers
from kcompile.nn.edges import Conductors, Joined
from kcompile.nn.form import Form

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
        places: ``int64[E]`` each: the layer's edge ``e`` is the kernel's ``place[e]``.
        joined: what it was made of.
    """

    wirings: tuple[Wiring, ...]
    places: tuple[NDArray[np.int64], ...]
    joined: Joined

    @classmethod
    def of(cls, batches: Sequence[Conductors]) -> Structure:
        """The structure of a layer's edges."""
        wirings = tuple(Wiring(b.src.cpu().numpy(), b.dst.cpu().numpy(), b.phi) for b in batches)
        places = tuple(np.argsort(wiring.order) for wiring in wirings)
        return cls(wirings, places, Joined.of(batches))


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
        batches: Sequence[Conductors],
        nodes: int,
        capacitance: Tensor | None,
    ) -> None:
        self._coefficients: list[Tensor] = []
        given: list[kernels.Coefficients] = []
        slots: list[int] = []
        dtype = _array(batches[0].like).dtype
        for batch, wiring in zip(batches, structure.wirings, strict=True):
            form = batch.coefficients()
            values: list[Reals] = []
            for value in (form.w, form.a, form.b, form.c):
                if isinstance(value, Tensor):
                    self._coefficients.append(value)
                    slots.append(4 * len(given) + len(values))
                    values.append(_array(value).take(wiring.order))
                else:
                    values.append(_constant(float(value), dtype))
            given.append(kernels.Coefficients(wiring, values))
        conductance = None if capacitance is None else _array(1 / capacitance)
        layer = CompiledLayer(nodes, given, conductance, dtype)
        self._job = _Job(structure, layer, tuple(slots))

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
    """What is to be differentiated, and by how much.

    Args:
        structure: of the layer.
        layer: the kernel, with the coefficients as they are.
        slots: where the kernel has each coefficient that is no constant, of four a batch.
    """

    structure: Structure
    layer: CompiledLayer
    slots: tuple[int, ...]

    def each_part(self, samples: int, evaluations: int, work: Callable[[slice], T]) -> list[T]:
        """What ``work`` gives for each part of the samples, in order; several at a time."""
        parts = [slice(at, min(at + PART, samples)) for at in range(0, samples, PART)]
        edges = sum(map(len, self.structure.wirings))
        size = edges * PART * evaluations
        if len(parts) > 1 and size >= _WORTHWHILE and workers() > 1:
            return list(_pool(workers(), os.getpid()).map(work, parts))
        return [work(part) for part in parts]

    def pull(
        self,
        wanted: Sequence[bool],
        samples: int,
        evaluations: int,
        work: Callable[[CompiledLayer, slice], None],
    ) -> list[Tensor | None]:
        """The adjoints of the wanted coefficients, added up over parts."""
        wirings = self.structure.wirings
        slots = [slot for slot, want in zip(self.slots, wanted, strict=True) if want]

        def gradients_of(part: slice) -> list[Reals | None]:
            gradients: list[Reals | None] = [None] * (4 * len(wirings))
            for slot in slots:
                gradients[slot] = np.zeros(len(wirings[slot // 4]), self.layer.dtype)
            of_batches = [gradients[k : k + 4] for k in range(0, len(gradients), 4)]
            work(self.layer.with_gradients(of_batches), part)
            return gradients

        first, *others = self.each_part(samples, evaluations, gradients_of)
        found: dict[int, Tensor] = {}
        for slot in slots:
            total = cast(Reals, first[slot])
            for other in others:
                total += cast(Reals, other[slot])
            found[slot] = torch.as_tensor(total.take(self.structure.places[slot // 4]))
        return [
            found[slot] if want else None for slot, want in zip(self.slots, wanted, strict=True)
        ]


class _Derivative(torch.autograd.Function):
    """dv/dt, and the trace where it is wanted (else an empty tensor)."""

    @staticmethod
    def forward(
        ctx: Any, job: _Job, traced: bool, v: Tensor, *_coefficients: Tensor
    ) -> tuple[Tensor, Tensor]:
        v = v.contiguous()
        out, trace = torch.empty_like(v), v.new_empty(v.shape[1] if traced else 0)
        state, slope, row = _array(v), _array(out), _array(trace) if traced else None

        def work(part: slice) -> None:
            job.layer.derivative(state, slope, row, part)

        job.each_part(v.shape[1], 1, work)
        ctx.job, ctx.traced = job, traced
        ctx.save_for_backward(v)
        return out, trace

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, *grads: Tensor
    ) -> tuple[Any, ...]:
        (v,) = ctx.saved_tensors
        grad_v = torch.empty_like(v)
        state, given, result = _array(v), _array(grads[0]), _array(grad_v)
        row = _array(grads[1]) if ctx.traced else None

        def work(layer: CompiledLayer, part: slice) -> None:
            layer.pullback(state, given, result, row, part)

        wanted = ctx.needs_input_grad[3:]
        gradients = ctx.job.pull(wanted, v.shape[1], 1, work)
        return None, None, grad_v, *gradients


class _Rk4(torch.autograd.Function):
    """All steps of a solve in one call; memory grows by four states a step."""

    @staticmethod
    def forward(
        ctx: Any, job: _Job, task: _Solve, v: Tensor, trace: Tensor | None, *_coefficients: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        v = v.clone(memory_format=torch.contiguous_format)
        trace = None if trace is None else trace.clone(memory_format=torch.contiguous_format)
        state, row = _array(v), None if trace is None else _array(trace)

        def work(part: slice) -> Reals | None:
            stages = job.layer.stages(part.stop - part.start, task.steps) if task.keep else None
            job.layer.rk4(state, task.duration, task.steps, row, stages, part)
            return stages

        ctx.stages = job.each_part(v.shape[1], 4 * task.steps, work)
        ctx.job, ctx.task, ctx.traced = job, task, trace is not None
        return v, trace

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, *grads: Tensor
    ) -> tuple[Any, ...]:
        task = ctx.task
        grad_v = grads[0].clone(memory_format=torch.contiguous_format)
        grad_trace = grads[1].contiguous() if ctx.traced else None
        state, row = _array(grad_v), None if grad_trace is None else _array(grad_trace)

        def work(layer: CompiledLayer, part: slice) -> None:
            stages = ctx.stages[part.start // PART]
            layer.rk4_pullback(stages, task.duration, task.steps, state, row, part)

        wanted = ctx.needs_input_grad[4:]
        evaluations = 4 * task.steps
        gradients = ctx.job.pull(wanted, grad_v.shape[1], evaluations, work)
        return None, None, grad_v, grad_trace, *gradients


_derivative: Callable[..., tuple[Tensor, Tensor]] = cast(Any, _Derivative).apply
_rk4: Callable[..., tuple[Tensor, Tensor]] = cast(Any, _Rk4).apply


def _array(tensor: Tensor) -> Reals:
    return tensor.detach().contiguous().numpy()


@lru_cache
def _constant(value: float, dtype: np.dtype[Any]) -> Reals:
    return np.full(1, value, dtype)


@lru_cache
def _pool(count: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one inherits the object, but no thread."""
    return ThreadPoolExecutor(count, "kcompile-kernel")
