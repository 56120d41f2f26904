"""The right-hand side of one phase, prepared for being called many times on single states."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from kcompile import kernels
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phi

RightHandSide: TypeAlias = Callable[[FloatArray], FloatArray]
"""``dv/dt [N]`` of a state ``v [N]``, software units; returns a new array each time."""

RhsFactory: TypeAlias = Callable[[Graph, int], RightHandSide]
"""Prepares the right-hand side of a phase."""


def phase_rhs(graph: Graph, phase: int) -> RightHandSide:
    """dv/dt of one phase as a function of its state, equal to ``kcompile.ir.derivative``.

    The compiled kernel computes it where there is one, else numpy.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.

    Returns:
        A function of ``float64[N]`` that gives ``float64[N]``.

    Raises:
        UsageError: ``KCOMPILE_KERNEL`` names a kernel that there is not.
    """
    if kernels.chosen() is None:
        return numpy_rhs(graph, phase)
    layer = kernels.compiled_phase(graph, phase)

    def rhs(v: FloatArray) -> FloatArray:
        column = np.ascontiguousarray(v, dtype=np.float64)[:, None]
        slope = np.empty_like(column)
        layer.derivative(column, slope)
        return slope[:, 0]

    return rhs


def numpy_rhs(graph: Graph, phase: int) -> RightHandSide:
    """``phase_rhs`` in plain numpy.

    The function owns work arrays of the size of the edges: call it from one thread at a time.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.

    Returns:
        A function of ``float64[N]`` that gives ``float64[N]``.
    """
    layer = graph.phases[phase]
    nodes = layer.nodes
    currents = tuple(_Currents(batch, nodes) for batch in layer.batches if len(batch))
    capacitance = graph.capacitance[:nodes]
    grounded = np.zeros(nodes + 1)

    def rhs(v: FloatArray) -> FloatArray:
        grounded[1:] = v
        total = np.zeros(nodes + 1)
        for batch in currents:
            batch.add_to(total, grounded)
        return total[1:] / capacitance

    return rhs


class _Currents:
    """The edges of one batch with room for their voltages and currents.

    Indices are kept in the machine's own width, which spares a conversion on every call.
    """

    def __init__(self, batch: EdgeBatch, nodes: int) -> None:
        self._src = batch.src.astype(np.intp)
        self._dst = batch.dst.astype(np.intp)
        self._w, self._a, self._b, self._c = batch.w, batch.a, batch.b, batch.c
        self._phi = batch.phi
        self._rows = nodes + 1
        self._current = np.empty(len(batch))
        self._spare = np.empty(len(batch))

    def add_to(self, total: FloatArray, grounded: FloatArray) -> None:
        """Adds the net current into each node to ``total [N+1]`` (row 0 is ground)."""
        x, spare = self._current, self._spare
        # "clip" writes straight into the output; "raise" would go through a copy of it. The
        # indices are known to be in range: graphs are validated.
        np.take(grounded, self._src, out=x, mode="clip")
        np.multiply(x, self._a, out=x)
        np.take(grounded, self._dst, out=spare, mode="clip")
        np.multiply(spare, self._b, out=spare)
        np.add(x, spare, out=x)
        np.add(x, self._c, out=x)
        if self._phi is Phi.TANH:
            np.tanh(x, out=x)
        elif self._phi is not Phi.IDENTITY:
            np.multiply(x, self._phi.slope_below, out=spare)
            np.maximum(x, spare, out=x)
        np.multiply(x, self._w, out=x)
        total += np.bincount(self._dst, x, self._rows)
        total -= np.bincount(self._src, x, self._rows)
