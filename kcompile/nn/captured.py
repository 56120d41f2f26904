"""Functions of tensors as CUDA graphs: captured once, then replayed on other numbers.

A Runge-Kutta solve of a small layer is hundreds of kernels of microseconds each, and to launch one
from Python takes tens of microseconds. A graph launches them all at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

T = TypeVar("T")

Function = Callable[[Sequence[Tensor]], Tensor]
"""A differentiable function of tensors, which does the same kernels whatever their numbers are."""

Capture = Callable[[Callable[[], Sequence[Tensor]]], tuple[Callable[[], None], Sequence[Tensor]]]
"""Captures some work: how to do it again, and the tensors that every replay writes anew."""

_KEPT = 32
"""Graphs that are kept, the last ones used: each holds its intermediate results."""

_REMEMBERED = 256
"""Solves that are remembered to have been asked for."""


class Captures:
    """The graphs of one layer.

    What is asked for once runs as it is; when it is asked for again it is captured, unless it
    cannot be. Copies of this (``copy``, ``pickle``) start empty: a graph is tied to the memory that
    it was captured on. Threads take turns; streams have graphs of their own.
    """

    def __init__(self) -> None:
        self._graphs: OrderedDict[Hashable, _Captured] = OrderedDict()
        self._asked: OrderedDict[Hashable, bool] = OrderedDict()
        self._turn = threading.RLock()

    def __reduce__(self) -> tuple[type[Captures], tuple[()]]:
        return Captures, ()

    def run(self, key: Hashable, function: Function, tensors: Sequence[Tensor]) -> Tensor:
        """``function(tensors)``, with gradients for those that require one, bit for bit the same.

        A graph of gradients computes them all, also where only some are asked for.

        Args:
            key: stands for the function; the tensors' shapes and types need not be in it.
            function: may read no other tensors than those given, and such as never change.
            tensors: all on one GPU, on which nothing is being captured already.
        """
        if _is_watched():
            return function(tensors)
        wanted = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)
        shapes = tuple((t.shape, t.dtype, t.device) for t in tensors)
        key = key, wanted, shapes, _stream_on(tensors[0].device)
        with self._turn:
            captured = self._graphs.get(key)
            if captured is None:
                captured = self._captured(key, function, tensors, wanted)
            else:
                self._graphs.move_to_end(key)
        if captured is None:
            return function(tensors)
        return cast(Any, _Replay).apply(captured, *tensors)

    def _captured(
        self, key: Hashable, function: Function, tensors: Sequence[Tensor], wanted: Sequence[bool]
    ) -> _Captured | None:
        """Graphs of what is asked for again; None the first time, and if there can be none."""
        again = self._asked.get(key)
        _keep(self._asked, key, again is not False, _REMEMBERED)
        if not again:
            return None
        try:
            with torch.inference_mode(False):  # what it keeps will be written to in any mode
                captured = _Captured(function, tensors, wanted, _capture_on(tensors[0].device))
        except RuntimeError:  # memory, for one: graphs keep what a solve alone gives back
            self._asked[key] = False
            return None
        _keep(self._graphs, key, captured, _KEPT)
        return captured


def _keep(known: OrderedDict[Hashable, T], key: Hashable, value: T, limit: int) -> None:
    """Puts it last, and drops what was used longest ago."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > limit:
        known.popitem(last=False)


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
        self._turn = threading.Lock()
        self._live: Tensor | None = None
        with _beside(like[0].device):  # compiles and loads kernels, which a capture must not do
            (output,) = self._compute()
            self._given = torch.zeros_like(output)
            if any(wanted):
                self._pull()
            self._live = None
        self._forward, (self._output,) = capture(self._compute)
        self._runs = 0
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
    def forward(self, tensors: Sequence[Tensor]) -> tuple[Tensor, int]:
        """The function of other tensors of the same shapes, and which run it was."""
        with self._turn:
            self._run(tensors)
            return self._output.clone(), self._runs

    @torch.no_grad()
    def backward(self, tensors: Sequence[Tensor], run: int, given: Tensor) -> list[Tensor | None]:
        """The adjoints of all tensors of a run, None for those not wanted.

        The graphs hold the intermediate results of the last run alone: after another one it is run
        again first.
        """
        with self._turn:
            if run != self._runs:
                self._run(tensors)
            _copy([given], [self._given])
            self._backward()
            found = iter(self._gradients)
            return [next(found).clone() if want else None for want in self._wanted]

    def _run(self, tensors: Sequence[Tensor]) -> None:
        _copy(tensors, self._inputs)
        self._forward()
        self._runs += 1


class _Replay(torch.autograd.Function):
    """A captured function of other numbers."""

    @staticmethod
    def forward(ctx: Any, captured: _Captured, *tensors: Tensor) -> Tensor:
        result, ctx.run = captured.forward(tensors)
        ctx.captured = captured
        ctx.save_for_backward(*tensors)
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, given: Tensor
    ) -> tuple[Any, ...]:
        return None, *ctx.captured.backward(ctx.saved_tensors, ctx.run, given)


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
    """Captures CUDA graphs, all on one stream and in memory that nothing else uses."""
    cuda = cast(Any, torch.cuda)
    how = {"pool": cuda.graph_pool_handle(), "stream": cuda.Stream(device)}

    def capture(
        work: Callable[[], Sequence[Tensor]],
    ) -> tuple[Callable[[], None], Sequence[Tensor]]:
        graph = cuda.CUDAGraph()
        with torch.cuda.device(device), cuda.graph(graph, **how):
            results = work()
        return graph.replay, results

    return capture


def _stream_on(device: torch.device) -> int:
    """The stream that work goes to, 0 on a CPU."""
    return cast(Any, torch.cuda).current_stream(device).cuda_stream if device.type == "cuda" else 0


def _is_watched() -> bool:
    """Whether somebody wants to see what each step keeps, such as ``torch.utils.checkpoint``."""
    autograd = cast(Any, torch)._C._autograd  # noqa: SLF001 -- nothing public tells of hooks
    hooks = getattr(autograd, "_top_saved_tensors_default_hooks", None)
    return torch.is_anomaly_enabled() or (hooks is not None and hooks(False) is not None)
