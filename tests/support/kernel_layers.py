"""Random layers for the compiled kernel, and what plain numpy says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from kcompile.ir import COEFFICIENTS, EdgeBatch, Graph, Phase, Phi, derivative
from kcompile.kernels import Coefficients, CompiledLayer, Suite, Wiring
from kcompile.kernels.library import suite

Array = NDArray[Any]
Gradients = list[list[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """A layer's edges, and a source of states for it."""

    nodes: int
    batches: tuple[EdgeBatch, ...]
    capacitance: Array | None
    random: np.random.Generator

    def graph(self) -> Graph:
        """The layer as a circuit of one phase."""
        return Graph((Phase(self.nodes, 1.0, self.batches),), self.nodes, [1], self.capacitance)

    def compiled(
        self, dtype: DTypeLike = np.float64, name: str | None = None, grads: Gradients | None = None
    ) -> CompiledLayer:
        """The layer in the kernel; adjoints are added to ``grads``, made by ``gradients``."""
        parts: list[Coefficients] = []
        for k, batch in enumerate(self.batches):
            wiring = Wiring(batch.src, batch.dst, batch.phi)
            values = [
                np.ascontiguousarray(
                    value.reshape(1) if value.ndim == 0 else value[wiring.order], dtype
                )
                for value in (getattr(batch, name) for name in COEFFICIENTS)
            ]
            parts.append(Coefficients(wiring, values, [None] * 4 if grads is None else grads[k]))
        conductance = None if self.capacitance is None else (1 / self.capacitance).astype(dtype)
        functions = None if name is None else suite(dtype, name)
        return CompiledLayer(self.nodes, parts, conductance, dtype, functions)

    def gradients(self, dtype: DTypeLike = np.float64) -> Gradients:
        """Zeros for the adjoints of every edge's coefficients."""
        return [[np.zeros(len(batch), dtype) for _ in range(4)] for batch in self.batches]

    def states(self, samples: int, dtype: DTypeLike = np.float64, size: float = 1.0) -> Array:
        """Random voltages ``[N, S]``."""
        return (self.random.normal(size=(self.nodes, samples)) * size).astype(dtype)

    def derivative(self, v: Array) -> Array:
        """dv/dt of ``[N, S]`` by the definition, in double precision."""
        return derivative(self.graph(), 0, v.T.astype(np.float64)).T

    def trace(self, v: Array, h: float = 1e-5) -> Array:
        """The trace of its Jacobian by central differences."""
        total = np.zeros(v.shape[1])
        for j in range(self.nodes):
            step = np.zeros_like(v)
            step[j] = h
            total += (self.derivative(v + step)[j] - self.derivative(v - step)[j]) / (2 * h)
        return total

    def magnitude(self, v: Array) -> float:
        """The largest sum of the sizes of what is added up at a node: what rounding refers to."""
        size = [
            EdgeBatch(
                Phi.IDENTITY, b.src, b.dst,
                *(np.broadcast_to(np.abs(getattr(b, n)), (len(b),)) for n in COEFFICIENTS),
            )
            for b in self.batches
        ]  # fmt: skip
        total = np.zeros((self.nodes + 1, v.shape[1]))
        grounded = np.vstack((np.zeros((1, v.shape[1])), np.abs(v)))
        for b in size:
            current = b.w[:, None] * (
                b.a[:, None] * grounded[b.src] + b.b[:, None] * grounded[b.dst] + b.c[:, None]
            )
            np.add.at(total, b.src, current)
            np.add.at(total, b.dst, current)
        if self.capacitance is not None:
            total[1:] /= self.capacitance[:, None]
        return 1e-300 + float(total.max(initial=0.0))

    def far_from_kinks(self, v: Array, distance: float) -> bool:
        """Whether no argument of a nonlinearity is nearer to 0, where slopes jump."""
        grounded = np.vstack((np.zeros((1, v.shape[1])), v))
        for b in self.batches:
            if b.phi in (Phi.RELU, Phi.LEAKY_RELU) and len(b):
                _, a, beta, c = (
                    np.broadcast_to(getattr(b, n), (len(b),))[:, None] for n in COEFFICIENTS
                )
                u = a * grounded[b.src] + beta * grounded[b.dst] + c
                if np.abs(u).min(initial=np.inf) < distance:
                    return False
        return True

    def nudged(self, batch: int, coefficient: int, edge: int, by: float) -> Case:
        """The same layer with one coefficient moved; its gradient's edge order is the kernel's."""
        given = self.batches[batch]
        columns = [np.broadcast_to(getattr(given, n), (len(given),)).copy() for n in COEFFICIENTS]
        at = Wiring(given.src, given.dst, given.phi).order[edge]
        columns[coefficient][at] += by
        changed = EdgeBatch(given.phi, given.src, given.dst, *columns)
        batches = (*self.batches[:batch], changed, *self.batches[batch + 1 :])
        return Case(self.nodes, batches, self.capacitance, self.random)


@st.composite
def cases(draw: st.DrawFn, phis: Sequence[Phi] = tuple(Phi)) -> Case:
    """Layers of mixed batches with ground, self-loops, repeated edges, shared coefficients."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes = draw(st.integers(1, 5))
    batches: list[EdgeBatch] = []
    for phi in draw(st.lists(st.sampled_from(phis), max_size=4)):
        edges = draw(st.integers(0, 20))
        ends = random.integers(0, nodes + 1, (2, edges))
        columns = random.normal(size=(4, edges))
        shared = draw(st.lists(st.booleans(), min_size=4, max_size=4))
        values = [
            random.normal() if one else column for one, column in zip(shared, columns, strict=True)
        ]
        batches.append(EdgeBatch(phi, *ends, *values))
    capacitance = random.uniform(0.5, 2.0, nodes) if draw(st.booleans()) else None
    return Case(nodes, tuple(batches), capacitance, random)


def some_case(seed: int = 0, nodes: int = 5, edges: int = 25) -> Case:
    """One layer with a batch of every nonlinearity."""
    random = np.random.default_rng(seed)
    batches = tuple(
        EdgeBatch(
            phi, *random.integers(0, nodes + 1, (2, edges)), *random.normal(size=(4, edges)) * 0.5
        )
        for phi in Phi
    )
    return Case(nodes, batches, random.uniform(0.5, 2.0, nodes), random)


def one_edge(phi: Phi, dtype: DTypeLike, functions: Suite | None) -> CompiledLayer:
    """phi of the only node's voltage, brought into that node from ground."""
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    wiring = Wiring(np.array([0]), np.array([1]), phi)
    edge = Coefficients(wiring, [one, zero, one, zero])
    return CompiledLayer(1, [edge], None, dtype, functions)
