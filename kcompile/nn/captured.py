"""Functions of tensors as CUDA graphs: captured once, then replayed on other numbers.

A Runge-Kutta solve of a small layer is hundreds of kernels of microseconds each, and to launch one
from Python takes tens of microseconds. A graph launches them all at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Function = Callable[[Sequence[Tensor]], Tensor]
"""A differentiable function of tensors, which does the same kernels whatever their numbers are."""

Capture = Callable[[Callable[[], Sequence[Tensor]]], tuple[Callable[[], None], Sequence[Tensor]]]
"""Captures some work: how to do it again, and the tensors that every replay writes anew."""

_KEPT = 8
"""Graphs that are kept, the last ones used: each holds its intermediate results."""


class Captures:
    """The graphs of one layer.

    What is asked for once runs as it is; when it is asked for again it is captured. Copies of this
    (``copy``, ``pickle``) start empty: a graph is tied to the memory that it was captured on.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, _Captured | None] = OrderedDict()

    def __reduce__(self) -> tuple[type[Captures], tuple[()]]:
        return Captures, ()

    def run(self, key: Hashable, function: Function, tensors: Sequence[Tensor]) -> Tensor:
        """``function(tensors)``, with gradients for those that require one, bit for bit the same.

        Args:
            key: stands for the function; the tensors' shapes and types need not be in it.
            function: may read no other tensors than those given, and such as never change.
            tensors: all on one GPU, on which nothing is being captured already.
        """
        wanted = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)
        key = key, wanted, tuple((t.shape, t.dtype, t.device) for t in tensors)
        if key not in self._known:
            self._keep(key, None)
            return function(tensors)
        captured = self._known[key]
        if captured is None:
            with torch.inference_mode(False):  # what it keeps will be written to in any mode
                captured = _Captured(function, tensors, wanted, _capture_on(tensors[0].device))
        self._keep(key, captured)
        return cast(Any, _Replay).apply(captured, *tensors)

    def _keep(self, key: Hashable, captured: _Captured | None) -> None:
        self._known[key] = captured
        self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


class _Captured:
    """A function and its gradients as two graphs.

    Args:
        function: what is captured.
        like: tensors of the shapes it is for.
        wanted: those that gradients are wanted for.
        capture: how to.
    """

    def __init__(
        self, function: Function, like: Sequence[Tensor], wanted: Sequence[bool], capture: Capture
    ) -> None:
        self._function = function
        self._inputs = [
            tensor.detach().clone().requires_grad_(want)
            for tensor, want in zip(like, wanted, strict=True)
        ]
        self._wanted = tuple(wanted)
        self._live: Tensor | None = None
        with _beside(like[0].device):  # compiles and loads kernels, which a capture must not do
            (output,) = self._compute()
            self._given = torch.zeros_like(output)
            if any(wanted):
                self._pull()
            self._live = None
        self._forward, (self._output,) = capture(self._compute)
        self.runs = 0
        """How often it ran: the gradients are those of the last time."""
        if any(wanted):
            self._backward, self._gradients = capture(self._pull)
        self._live = None  # autograd's record; what it needs of memory stays with the graphs

    def _compute(self) -> Sequence[Tensor]:
        with torch.set_grad_enabled(any(self._wanted)):
            self._live = self._function(self._inputs)
        return (self._live.detach(),)

    def _pull(self) -> Sequence[Tensor]:
        inputs = [tensor for tensor in self._inputs if tensor.requires_grad]
        live = cast(Tensor, self._live)
        return torch.autograd.grad(live, inputs, self._given, retain_graph=True)

    @torch.no_grad()
    def forward(self, tensors: Sequence[Tensor]) -> Tensor:
        """The function of other tensors of the same shapes."""
        _copy(tensors, self._inputs)
        self._forward()
        self.runs += 1
        return self._output.clone()

    @torch.no_grad()
    def backward(self, given: Tensor) -> list[Tensor | None]:
        """The adjoints of all tensors of the last ``forward``, None for those not wanted."""
        _copy([given], [self._given])
        self._backward()
        found = iter(self._gradients)
        return [next(found).clone() if want else None for want in self._wanted]


class _Replay(torch.autograd.Function):
    """A captured function of other numbers."""

    @staticmethod
    def forward(ctx: Any, captured: _Captured, *tensors: Tensor) -> Tensor:
        result = captured.forward(tensors)
        ctx.captured, ctx.run = captured, captured.runs
        ctx.save_for_backward(*tensors)
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, given: Tensor
    ) -> tuple[Any, ...]:
        captured = cast(_Captured, ctx.captured)
        if captured.runs != ctx.run:  # its intermediate results are those of a later run
            captured.forward(ctx.saved_tensors)
            ctx.run = captured.runs
        return None, *captured.backward(given)


def _copy(given: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    """Copies all tensors in one launch."""
    cast(Any, torch)._foreach_copy_(kept, given)


@contextmanager
def _beside(device: torch.device) -> Generator[None]:
    """Work on a stream of its own, as it is in a capture."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device):
        here, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            yield
        here.wait_stream(side)


def _capture_on(device: torch.device) -> Capture:
    """Captures CUDA graphs, all in memory that nothing else uses."""
    cuda = cast(Any, torch.cuda)
    pool = cuda.graph_pool_handle()

    def capture(
        work: Callable[[], Sequence[Tensor]],
    ) -> tuple[Callable[[], None], Sequence[Tensor]]:
        graph = cuda.CUDAGraph()
        with torch.cuda.device(device), cuda.graph(graph, pool=pool):
            results = work()
        return graph.replay, results

    return capture
