"""A layer's edges as the compiled kernel walks them, and what it computes of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.ir import COEFFICIENTS, EdgeBatch, Graph, IndexArray, Phi
from kcompile.kernels.library import (
    BatchArgument,
    LayerArgument,
    RangeArgument,
    Suite,
    suite,
)

Reals = NDArray[Any]
"""An array of float32 or float64."""

_PHI = {Phi.RELU: 0, Phi.TANH: 1, Phi.LEAKY_RELU: 2, Phi.IDENTITY: 3}
_VECTOR = 64
"""Bytes of the kernel's vectors (native/layer.h: ALIGNMENT)."""


class Wiring:
    """Which nodes the edges of one batch join, in the order that the kernel wants.

    Args:
        src, dst: ``int[E]``, 0 is ground.
        phi: the nonlinearity.
    """

    def __init__(self, src: NDArray[Any], dst: NDArray[Any], phi: Phi) -> None:
        self.phi = phi
        self.order = np.lexsort((dst, src))
        """``int64[E]``: the kernel's edge ``e`` is the caller's ``order[e]``."""
        self.src: IndexArray = np.ascontiguousarray(src[self.order], dtype=np.int32)
        self.dst: IndexArray = np.ascontiguousarray(dst[self.order], dtype=np.int32)
        self.last = int(max(self.src.max(initial=0), self.dst.max(initial=0)))
        if int(min(self.src.min(initial=0), self.dst.min(initial=0))) < 0:
            raise UsageError("an edge ends at a node below 0")
        self.addresses = (_address(self.src), _address(self.dst))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy or an unpickled one has arrays of its own, at other addresses."""
        vars(self).update(state)
        self.addresses = (_address(self.src), _address(self.dst))

    def __len__(self) -> int:
        return len(self.src)


@dataclass(frozen=True, eq=False)
class Coefficients:
    """``w, a, b, c`` of the edges of a ``Wiring``, in the kernel's order.

    Args:
        wiring: the edges.
        values: four arrays, each ``[E]`` or of one element for all edges.
        gradients: four arrays ``[E]`` that adjoints are added to; None: not wanted.
    """

    wiring: Wiring
    values: Sequence[Reals]
    gradients: Sequence[Reals | None] = (None, None, None, None)


class CompiledLayer:
    """dv/dt of a layer and its adjoint, by the compiled kernel.

    All arrays are of one real type; states are node-major and C-contiguous, ``[N, S]``. Results do
    not depend on what else is in a batch of samples but in the last bit. Every method that computes
    raises ``MemoryError`` where there is no room for a block of samples.

    Args:
        nodes: N.
        batches: the edges with their coefficients, which are looked at, not copied.
        conductance: ``[N]``, 1/C of every node; None: 1 each.
        dtype: float32 or float64.
        functions: the compiled suite; default: the one that ``library.chosen`` says.

    Raises:
        UsageError: an array does not fit, or nothing compiled is there.
    """

    def __init__(
        self,
        nodes: int,
        batches: Sequence[Coefficients],
        conductance: Reals | None,
        dtype: Any,
        functions: Suite | None = None,
    ) -> None:
        found = functions or suite(dtype)
        if found is None:
            raise UsageError("there is no compiled kernel", hint="see 'kcompile doctor'")
        self.nodes = nodes
        self.dtype = np.dtype(dtype)
        self._suite = found
        if conductance is not None:
            self._check(conductance, (nodes,))
        self._conductance = conductance
        self._batches = batches
        self._plain = [self._pointers(batch) for batch in batches]
        self._point([batch.gradients for batch in batches])

    def with_gradients(self, gradients: Sequence[Sequence[Reals | None]]) -> CompiledLayer:
        """The same layer, whose adjoints are added to other arrays.

        Args:
            gradients: for each batch as ``Coefficients`` has them.

        Raises:
            UsageError: an array does not fit.
        """
        other = object.__new__(CompiledLayer)  # copy.copy takes several times as long
        vars(other).update(vars(self))
        other._point(gradients)
        return other

    def _pointers(self, batch: Coefficients) -> tuple[Any, ...]:
        """The fields of ``BatchArgument`` but its gradients."""
        wiring = batch.wiring
        if wiring.last > self.nodes:
            raise UsageError(f"node {wiring.last} of {self.nodes}")
        each = (len(wiring),)
        shapes = [each if value.shape == each else (1,) for value in batch.values]
        values = [
            self._check(value, shape) for value, shape in zip(batch.values, shapes, strict=True)
        ]
        steps = [int(shape is each) for shape in shapes]
        return (
            len(wiring), _PHI[wiring.phi], (ctypes.c_int32 * 4)(*steps), *wiring.addresses,
            (ctypes.c_void_p * 4)(*values),
        )  # fmt: skip

    def _point(self, gradients: Sequence[Sequence[Reals | None]]) -> None:
        """Makes the kernel's argument; what it points at lives as long as this object."""
        arguments = (BatchArgument * len(self._batches))()
        for number, (batch, given) in enumerate(zip(self._batches, gradients, strict=True)):
            each = (len(batch.wiring),)
            addresses = [None if g is None else self._check(g, each) for g in given]
            arguments[number] = BatchArgument(
                *self._plain[number], (ctypes.c_void_p * 4)(*addresses)
            )
        conductance = None if self._conductance is None else _address(self._conductance)
        self._gradients = gradients
        self._layer = LayerArgument(self.nodes, len(arguments), arguments, conductance)
        self._argument = ctypes.byref(self._layer)

    def _check(self, array: Reals, shape: tuple[int, ...]) -> int:
        if array.shape != shape or array.dtype != self.dtype or not array.flags.c_contiguous:
            raise UsageError(
                f"an array {array.dtype} {list(array.shape)} for {self.dtype} {list(shape)}",
                hint="give C-contiguous arrays of one real type",
            )
        return _address(array)

    def _state(self, *arrays: Reals) -> tuple[int, ...]:
        shape = (self.nodes, arrays[0].shape[-1])
        return tuple(self._check(array, shape) for array in arrays)

    def _row(self, array: Reals | None, samples: int) -> int | None:
        return None if array is None else self._check(array, (samples,))

    def _done(self, status: int) -> None:
        if status:
            raise MemoryError(f"no room for a block of samples of {self.nodes} nodes")

    def derivative(
        self, v: Reals, out: Reals, trace: Reals | None = None, part: slice | None = None
    ) -> None:
        """Writes dv/dt of ``v`` ``[N, S]`` into ``out``, its Jacobian's trace into ``trace [S]``.

        Here and below ``part`` names the samples to work on, by default all.
        """
        samples = v.shape[-1]
        self._done(self._suite.derivative(
            self._argument, _range(samples, part), *self._state(v, out), self._row(trace, samples)
        ))  # fmt: skip

    def pullback(
        self,
        v: Reals,
        grad_out: Reals,
        grad_v: Reals,
        grad_trace: Reals | None = None,
        part: slice | None = None,
    ) -> None:
        """Writes the adjoint of ``v`` into ``grad_v``; those of coefficients are added to theirs.

        Args:
            v: ``[N, S]``.
            grad_out: ``[N, S]``, the adjoint of dv/dt.
            grad_v: ``[N, S]``, written.
            grad_trace: ``[S]``, the adjoint of the Jacobian's trace.
            part: the samples.
        """
        samples = v.shape[-1]
        state, given, result = self._state(v, grad_out, grad_v)
        row = self._row(grad_trace, samples)
        self._done(
            self._suite.pullback(self._argument, _range(samples, part), state, given, row, result)
        )

    def stages(self, samples: int, steps: int) -> Reals:
        """Room for what ``rk4`` keeps of so many samples for ``rk4_pullback``: four states a step.

        A block of samples is padded by less than two vectors, and begins at a vector's beginning.
        """
        return np.empty(self._room(samples, steps), dtype=np.uint8)

    def _room(self, samples: int, steps: int) -> int:
        padded = samples * self.dtype.itemsize + 2 * _VECTOR
        return 4 * steps * (self.nodes + 2) * padded + 8 * _VECTOR

    def _kept(
        self, stages: Reals | None, samples: int, part: slice | None, steps: int
    ) -> int | None:
        if stages is None:
            return None
        begin, end, _ = (part or slice(None)).indices(samples)
        needed = self._room(max(end - begin, 0), steps)
        if stages.nbytes < needed or not stages.flags.c_contiguous:
            raise UsageError(
                f"stages of {stages.nbytes} bytes for {needed}", hint="make them by 'stages'"
            )
        return _address(stages)

    def rk4(
        self,
        v: Reals,
        duration: float,
        steps: int,
        trace: Reals | None = None,
        stages: Reals | None = None,
        part: slice | None = None,
    ) -> None:
        """Moves ``v`` ``[N, S]`` on in place by Kutta's 3/8 rule.

        Args:
            v: the state.
            duration: software time; negative: backwards.
            steps: equal steps.
            trace: ``[S]``, the integral of the Jacobian's trace is added to it.
            stages: as ``stages`` makes it, filled for ``rk4_pullback``.
            part: the samples.
        """
        samples = v.shape[-1]
        kept = self._kept(stages, samples, part, steps)
        self._done(self._suite.rk4(
            self._argument, _range(samples, part), steps, duration / steps,
            *self._state(v), self._row(trace, samples), kept,
        ))  # fmt: skip

    def rk4_pullback(
        self,
        stages: Reals,
        duration: float,
        steps: int,
        grad_v: Reals,
        grad_trace: Reals | None = None,
        part: slice | None = None,
    ) -> None:
        """The adjoint of ``rk4``: ``grad_v`` ``[N, S]`` of the final state becomes the initial's.

        Args:
            stages: as ``rk4`` filled it for the same part, with a trace where there is
                ``grad_trace``.
            duration: as for ``rk4``.
            steps: as for ``rk4``.
            grad_v: in place.
            grad_trace: ``[S]``, the adjoint of the trace's integral.
            part: the samples.
        """
        samples = grad_v.shape[-1]
        kept = self._kept(stages, samples, part, steps)
        self._done(self._suite.rk4_pullback(
            self._argument, _range(samples, part), steps, duration / steps,
            kept, self._row(grad_trace, samples), *self._state(grad_v),
        ))  # fmt: skip


def _address(array: NDArray[Any]) -> int:
    # A third of the time of array.ctypes.data, which counts where networks are small.
    return array.__array_interface__["data"][0]


def _range(samples: int, part: slice | None) -> Any:
    begin, end, _ = (part or slice(None)).indices(samples)
    return ctypes.byref(RangeArgument(samples, begin, end))


def compiled_phase(
    graph: Graph,
    phase: int,
    functions: Suite | None = None,
    wiring: Callable[[EdgeBatch], Wiring] | None = None,
) -> CompiledLayer:
    """The kernel of one phase of a graph, in double precision; injected currents are not in it.

    Args:
        graph: a valid circuit.
        phase: index of the phase.
        functions: as for ``CompiledLayer``.
        wiring: gives how a batch is wired, where that is known already.

    Raises:
        UsageError: nothing compiled is there.
    """
    layer = graph.phases[phase]
    batches: list[Coefficients] = []
    for batch in layer.batches:
        if batch.tables is not None:
            raise UsageError(
                "the compiled kernel knows no tables", hint="use kcompile.ir.derivative"
            )
        wired = Wiring(batch.src, batch.dst, batch.phi) if wiring is None else wiring(batch)
        values = [
            np.ascontiguousarray(
                value.reshape(1) if value.ndim == 0 else value[wired.order], dtype=np.float64
            )
            for value in (getattr(batch, name) for name in COEFFICIENTS)
        ]
        batches.append(Coefficients(wired, values))
    capacitance = graph.capacitance[: layer.nodes]
    conductance = None if (capacitance == 1.0).all() else 1.0 / capacitance
    return CompiledLayer(layer.nodes, batches, conductance, np.float64, functions)
