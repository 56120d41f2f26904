"""A layer through fused kernels on a GPU, written in Triton.

Nodes walk their edges, so each edge is computed at either of its ends: that takes no array of edges
by samples and no atomic additions, which would add in another order every time. Importing this
module imports Triton.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kcompile.ir import Phi
from kcompile.nn import triton_kernels
from kcompile.nn.captured import Captures
from kcompile.nn.edges import Conductors, Joined
from kcompile.nn.form import Form

_THREAD = 8
"""Edges times samples that a thread of a program holds at a time."""

_NARROWEST, _WIDEST = 16, 32
"""Samples of a tile: as many as there are, between these."""

_NODE_WARPS, _EDGE_WARPS = 8, 4
"""Warps, of 32 threads, of a program for a node, and of one for edges."""

_REPLAYED = 1 << 26
"""Edges times samples up to which solves are captured: above, a kernel outlasts its launch."""

_REPLAYED_STEPS = 256
"""Runge-Kutta steps up to which they are: a graph holds some twenty launches of each."""


@dataclass(frozen=True, eq=False)
class Incidence:
    """The edges of one batch as their nodes see them; all tensors are ``int32`` on the device.

    Edges from a node to itself carry nothing; here they go from ground to ground.

    Args:
        src, dst: ``[E]``, 0 is ground.
        start: ``[2N + 1]``: the edges that leave node ``n + 1`` are ``start[2n]..start[2n + 1]`` of
            the two below, those that enter it ``start[2n + 1]..start[2n + 2]``.
        edges: which edge it is.
        others: the edge's other end.
        phi: the nonlinearity.
    """

    src: Tensor
    dst: Tensor
    start: Tensor
    edges: Tensor
    others: Tensor
    phi: Phi

    @classmethod
    def of(cls, batch: Conductors, nodes: int) -> Incidence:
        """The incidence of a batch in a layer of N nodes, on the batch's device."""
        src, dst = (end.cpu().numpy().astype(np.int64) for end in (batch.src, batch.dst))
        loops = src == dst
        src[loops] = dst[loops] = 0
        slot = np.concatenate((2 * src - 2, 2 * dst - 1))
        grounded = np.concatenate((src, dst)) == 0
        order = np.argsort(slot, kind="stable")[int(grounded.sum()) :]
        start = np.searchsorted(slot[order], np.arange(2 * nodes + 1))
        others = np.concatenate((dst, src))[order]

        def on_device(values: NDArray[Any]) -> Tensor:
            return torch.as_tensor(values.astype(np.int32), device=batch.like.device)

        arrays = (src, dst, start, order % max(len(src), 1), others)
        return cls(*map(on_device, arrays), phi=batch.phi)


@dataclass(frozen=True, eq=False)
class Incidences:
    """What of a layer does not change in training.

    Args:
        batches: one for each batch of edges.
        joined: what they were made of.
        captures: solves of the layer that have been captured.
    """

    batches: tuple[Incidence, ...]
    joined: Joined
    captures: Captures = field(default_factory=Captures)

    @classmethod
    def of(cls, batches: Sequence[Conductors], nodes: int) -> Incidences:
        """The incidences of a layer's edges, at least one batch of them."""
        return cls(tuple(Incidence.of(b, nodes) for b in batches), Joined.of(batches))


class _Fused(Form):
    """A layer through the kernels.

    Args:
        job: the layer without its coefficients.
        coefficients: four a batch, each of all edges or shared.
    """

    def __init__(self, job: _Job, coefficients: Sequence[Tensor]) -> None:
        self._job = job
        self._coefficients = tuple(coefficients)

    def derivative(self, v: Tensor) -> Tensor:
        """See ``Form``."""
        return _apply(self._job, False, v, self._coefficients)[0]

    def with_trace(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Form``."""
        return _apply(self._job, True, v, self._coefficients)


class TritonForm(_Fused):
    """A layer's edges with their coefficients, for the kernels.

    A Runge-Kutta solve on a GPU that is asked for again is replayed as a CUDA graph.

    Args:
        incidences: of the edges.
        batches: the edges; their coefficients are taken now, so the form is for one solve.
        nodes: N.
        capacitance: ``[N]``, software units; None: 1 each.
    """

    def __init__(
        self,
        incidences: Incidences,
        batches: Sequence[Conductors],
        nodes: int,
        capacitance: Tensor | None,
    ) -> None:
        coefficients: list[Tensor] = []
        for batch in batches:
            form = batch.coefficients()
            for value in (form.w, form.a, form.b, form.c):
                shared = not isinstance(value, Tensor)
                coefficients.append(
                    batch.like.new_full((1,), value) if shared else value.contiguous()
                )
        reach = batches[0].like.new_ones(nodes + 1)
        if capacitance is not None:
            reach[1:] = 1 / capacitance.detach()
        reach[0] = 0
        super().__init__(_Job(incidences.batches, reach), coefficients)
        self._captures = incidences.captures

    def rk4(self, v: Tensor, duration: float, steps: int) -> Tensor:
        """See ``Form``."""
        return self._solve(_Fused.rk4, v, duration, steps)

    def rk4_flow(self, state: Tensor, duration: float, steps: int) -> Tensor:
        """See ``Form``."""
        return self._solve(_Fused.rk4_flow, state, duration, steps)

    def _solve(
        self,
        solve: Callable[[_Fused, Tensor, float, int], Tensor],
        state: Tensor,
        duration: float,
        steps: int,
    ) -> Tensor:
        batches = self._job.batches

        def solved(tensors: Sequence[Tensor]) -> Tensor:
            state, reach, *coefficients = tensors
            return solve(_Fused(_Job(batches, reach), coefficients), state, duration, steps)

        tensors = (state, self._job.reach, *self._coefficients)
        size = sum(len(batch.src) for batch in batches) * state.shape[1]
        if 0 < size <= _REPLAYED and steps <= _REPLAYED_STEPS and _can_capture(state):
            return self._captures.run((solve, duration, steps), solved, tensors)
        return solved(tensors)


@dataclass(frozen=True, eq=False)
class _Job:
    """A layer without its coefficients, which come as four tensors a batch."""

    batches: tuple[Incidence, ...]
    reach: Tensor

    def derivative(
        self, v: Tensor, coefficients: Sequence[Tensor], traced: bool
    ) -> tuple[Tensor, Tensor]:
        """dv/dt, ``[N, S]``, and its Jacobian's diagonal: ``[N, S]``, empty if not ``traced``."""
        total = torch.zeros_like(v)
        diagonal = torch.zeros_like(v) if traced else v.new_empty(0, v.shape[1])
        for batch, four, _ in self._batches(v, coefficients):
            _launch_for_nodes(
                triton_kernels.add_currents,
                (v, total, diagonal, self.reach),
                batch, four, v.shape, traced,
            )  # fmt: skip
        return total, diagonal

    def pull_voltages(
        self, v: Tensor, g: Tensor, g_trace: Tensor | None, coefficients: Sequence[Tensor]
    ) -> Tensor:
        """The adjoint of ``v``, given those of dv/dt ``[N, S]`` and of the trace ``[S]``."""
        grad = torch.zeros_like(v)
        for batch, four, _ in self._batches(v, coefficients):
            _launch_for_nodes(
                triton_kernels.pull_voltages,
                (v, g, g if g_trace is None else g_trace, grad, self.reach),
                batch, four, v.shape, g_trace is not None,
            )  # fmt: skip
        return grad

    def pull_coefficients(
        self,
        v: Tensor,
        g: Tensor,
        g_trace: Tensor | None,
        coefficients: Sequence[Tensor],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """The adjoints of the wanted coefficients, in their order."""
        grads = [
            torch.zeros_like(c) if want else None
            for c, want in zip(coefficients, wanted, strict=True)
        ]
        samples = v.shape[1]
        lanes, width = _tile(samples, _EDGE_WARPS)
        for batch, four, k in self._batches(v, coefficients):
            of_four = grads[k : k + 4]
            if all(grad is None for grad in of_four):
                continue
            count = len(batch.src)
            _launch(
                triton_kernels.pull_coefficients,
                (-(-count // lanes),),
                v, g, g if g_trace is None else g_trace, self.reach, batch.src, batch.dst,
                tuple(four), _steps(four), tuple(of_four), count, samples,
                g_trace is not None, *_shape_of(batch.phi), lanes, width, warps=_EDGE_WARPS,
            )  # fmt: skip
        return grads

    def _batches(
        self, v: Tensor, coefficients: Sequence[Tensor]
    ) -> Iterator[tuple[Incidence, Sequence[Tensor], int]]:
        """Batches that have something to compute, their coefficients, and where those begin."""
        for number, batch in enumerate(self.batches):
            if len(batch.src) and v.numel():
                yield batch, coefficients[4 * number : 4 * number + 4], 4 * number


def _launch_for_nodes(
    kernel: Any,
    arrays: Sequence[Tensor],
    batch: Incidence,
    four: Sequence[Tensor],
    shape: Sequence[int],
    traced: bool,
) -> None:
    """One program for each node and block of samples."""
    nodes, samples = shape
    lanes, width = _tile(samples, _NODE_WARPS)
    _launch(
        kernel,
        (nodes, -(-samples // width)),
        *arrays, (batch.start, batch.edges, batch.others), tuple(four), _steps(four),
        samples, traced, *_shape_of(batch.phi), lanes, width, warps=_NODE_WARPS,
    )  # fmt: skip


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, warps: int) -> None:
    """Runs a kernel where its first argument is."""
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, num_warps=warps)


def _can_capture(state: Tensor) -> bool:
    """Whether graphs can be captured where it is, and the caller captures none already."""
    return state.is_cuda and not cast(Any, torch.cuda).is_current_stream_capturing()


def _tile(samples: int, warps: int) -> tuple[int, int]:
    """How many edges and how many samples a program holds at a time, both powers of two."""
    width = min(max(1 << (samples - 1).bit_length(), _NARROWEST), _WIDEST)
    return _THREAD * 32 * warps // width, width


def _steps(four: Sequence[Tensor]) -> tuple[int, ...]:
    """1 for coefficients of every edge, 0 for one that all share."""
    return tuple(int(len(value) > 1) for value in four)


def _shape_of(phi: Phi) -> tuple[bool, float]:
    """Whether it is tanh, and the slope below 0 otherwise."""
    return (True, 0.0) if phi is Phi.TANH else (False, phi.slope_below)


def _apply(
    job: _Job, traced: bool, v: Tensor, coefficients: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    function = cast(Any, _Derivative)
    return function.apply(job, traced, v, *coefficients)


class _Derivative(torch.autograd.Function):
    """dv/dt, and the trace where it is wanted (else nothing)."""

    @staticmethod
    def forward(
        ctx: Any, job: _Job, traced: bool, v: Tensor, *coefficients: Tensor
    ) -> tuple[Tensor, Tensor]:
        v = v.contiguous()
        total, diagonal = job.derivative(v, coefficients, traced)
        ctx.job, ctx.traced = job, traced
        ctx.save_for_backward(v, *coefficients)
        return total, diagonal.sum(dim=0) if traced else v.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, *grads: Tensor
    ) -> tuple[Any, ...]:
        v, *coefficients = ctx.saved_tensors
        g = grads[0].contiguous()
        g_trace = grads[1].contiguous() if ctx.traced else None
        wants_v, *wanted = ctx.needs_input_grad[2:]
        grad_v = ctx.job.pull_voltages(v, g, g_trace, coefficients) if wants_v else None
        of_coefficients = ctx.job.pull_coefficients(v, g, g_trace, coefficients, wanted)
        return None, None, grad_v, *of_coefficients
