"""The right-hand side of one phase, prepared for being called many times."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from kcompile import kernels
from kcompile.errors import UsageError
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phi, derivative

RightHandSide: TypeAlias = Callable[[FloatArray], FloatArray]
"""dv/dt of states ``[S, N]``, or of one ``[N]``, software units; a new array each time."""

RhsFactory: TypeAlias = Callable[[Graph, int], RightHandSide]
"""Prepares the right-hand side of a phase."""

LANES = 8
"""States are handed to the compiled kernel in multiples of so many, in all of which it works alike:
what a state gives does not depend on its neighbours by a bit."""


def phase_rhs(graph: Graph, phase: int) -> RightHandSide:
    """dv/dt of one phase as a function of its state, equal to ``kcompile.ir.derivative``.

    The compiled kernel computes it where there is one, else numpy; groups with tables are slow.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.

    Returns:
        A function of ``float64[S, N]`` or ``float64[N]`` that gives an array of the same shape.

    Raises:
        UsageError: ``KCOMPILE_KERNEL`` names a kernel that there is not, or the phase has injected
            currents, which depend on the time.
    """
    if graph.phases[phase].injected is not None:
        raise UsageError(
            "injected currents depend on the time", where=f"phase {phase}",
            hint="solve the circuit with fixed steps",
        )  # fmt: skip
    if any(batch.tables is not None for batch in graph.phases[phase].batches):
        return partial(derivative, graph, phase)
    if kernels.chosen() is None:
        return numpy_rhs(graph, phase)
    layer = kernels.compiled_phase(graph, phase)

    def rhs(v: FloatArray) -> FloatArray:
        rows = np.atleast_2d(v)
        states = np.zeros((layer.nodes, -(-len(rows) // LANES) * LANES))
        states[:, : len(rows)] = rows.T
        slopes = np.empty_like(states)
        for at in range(0, states.shape[1], LANES):
            layer.derivative(states, slopes, part=slice(at, at + LANES))
        return np.ascontiguousarray(slopes[:, : len(rows)].T).reshape(v.shape)

    return rhs


def numpy_rhs(graph: Graph, phase: int) -> RightHandSide:
    """``phase_rhs`` in plain numpy.

    The function owns work arrays of the size of the edges: call it from one thread at a time.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.

    Returns:
        A function of ``float64[S, N]`` or ``float64[N]`` that gives an array of the same shape.
    """
    layer = graph.phases[phase]
    nodes = layer.nodes
    currents = tuple(_Currents(batch, nodes) for batch in layer.batches if len(batch))
    capacitance = graph.capacitance[:nodes]
    grounded = np.zeros(nodes + 1)

    def rhs(v: FloatArray) -> FloatArray:
        totals = np.zeros((v.size // nodes, nodes + 1))
        for state, total in zip(v.reshape(-1, nodes), totals, strict=True):
            grounded[1:] = state
            for batch in currents:
                batch.add_to(total, grounded)
        return (totals[:, 1:] / capacitance).reshape(v.shape)

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
