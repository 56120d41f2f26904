"""The currents of all edges along a phase: peaks, charges, and the energy that they carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kcompile.ir import EdgeBatch, FloatArray, Graph, Phi, edge_currents
from kcompile.ir.trace import Trace
from kcompile.physics.quadrature import Instants
from kcompile.reference import phase_rhs

_EDGES, _TIMES = 1024, 64
"""Edges and instants that are looked at together: their currents fit into a processor's cache."""


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """One phase of one sample, software units. Energies are in units of ``c0 v0^2``.

    Args:
        lowest, highest: voltage of any node at any instant.
        voltage_square: integral of the mean square of all nodes' voltages.
        slew: largest ``|dv/dt|``.
        current_peak: largest ``|i|`` of any edge.
        total_peak: largest sum of ``|i|`` over the edges.
        total_square: integral of the square of that sum.
        charge: what all edges move, the integral of that sum.
        drawn: what they draw where a tanh edge is a differential pair, whose tail ``|w|`` flows all
            the time: the integral of these and of the other edges' ``|i|``.
        dissipated: what edges take out of the nodes they join and turn into heat.
        supplied: what edges that drive a current against its voltage bring into the nodes.
        stored_change: how much more energy the capacitors hold at the end.
    """

    lowest: float
    highest: float
    voltage_square: float
    slew: float
    current_peak: float
    total_peak: float
    total_square: float
    charge: float
    drawn: float
    dissipated: float
    supplied: float
    stored_change: float

    @property
    def imbalance(self) -> float:
        """How far energy is from being conserved, relative to all that flows.

        ``supplied - dissipated`` is what the capacitors gain (Tellegen's theorem), for exact
        trajectories and integrals.
        """
        flows = self.supplied + self.dissipated
        return abs(self.supplied - self.dissipated - self.stored_change) / flows if flows else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class EdgeSums:
    """The edges of one phase of one sample, batch after batch, software units.

    Args:
        peak: ``float64[E]``, largest ``|i|``.
        square: ``float64[E]``, integral of ``i^2``.
        charge: ``float64[E]``, integral of ``|i|``.
    """

    peak: FloatArray
    square: FloatArray
    charge: FloatArray


class CurrentMeter:
    """Looks at the currents of a graph's edges, a few at a time.

    Args:
        graph: the circuit.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._parts = [
            [part for batch in phase.batches for part in _parts(batch)] for phase in graph.phases
        ]
        self._slopes = [phase_rhs(graph, index) for index in range(len(graph.phases))]

    def measure(self, phase: int, instants: Instants) -> tuple[PhaseFigures, EdgeSums]:
        """The figures of one phase, together and edge by edge.

        Args:
            phase: its index.
            instants: its voltages.
        """
        layer, capacitance = self.graph.phases[phase], self.graph.capacitance
        weights, states = instants.weights, instants.states
        grounded = np.concatenate((np.zeros((len(states), 1)), states), axis=1)
        peaks, squares, charges = np.zeros((3, layer.edges))
        totals = np.zeros(len(states))
        energy = np.zeros(2)
        at, drawn = 0, 0.0
        for part in self._parts[phase]:
            own = slice(at, at := at + len(part))
            for begin in range(0, len(states), _TIMES):
                when = slice(begin, begin + _TIMES)
                v, w = grounded[when], weights[when]
                leaving, entering = edge_currents(part, v)
                size = np.maximum(np.abs(leaving), np.abs(entering))
                np.maximum(peaks[own], size.max(axis=0), out=peaks[own])
                charges[own] += w @ size
                squares[own] += w @ (size * size)
                totals[when] += size.sum(axis=1)
                power = v[:, part.src] * leaving - v[:, part.dst] * entering
                taken = w @ np.maximum(power, 0.0)
                energy += taken.sum(), (taken - w @ power).sum()
            tail = weights.sum() * np.abs(part.column("w")).sum()
            drawn += float(tail if part.phi is Phi.TANH else charges[own].sum())
        stored = (capacitance[: layer.nodes] * (states[-1] ** 2 - states[0] ** 2)).sum() / 2
        figures = PhaseFigures(
            lowest=float(states.min()),
            highest=float(states.max()),
            voltage_square=float(weights @ np.mean(states**2, axis=1)),
            slew=float(np.abs(self._slopes[phase](states)).max()),
            current_peak=float(peaks.max(initial=0.0)),
            total_peak=float(totals.max()),
            total_square=float(weights @ totals**2),
            charge=float(charges.sum()),
            drawn=drawn,
            dissipated=float(energy[0]),
            supplied=float(energy[1]),
            stored_change=float(stored),
        )
        return figures, EdgeSums(peaks, squares, charges)


def _parts(batch: EdgeBatch) -> Iterator[EdgeBatch]:
    """A batch cut into pieces; one with tables, whose groups must stay whole, is left as it is."""
    if batch.tables is not None:
        yield batch
        return
    columns = {name: getattr(batch, name) for name in ("w", "a", "b", "c")}
    for begin in range(0, len(batch), _EDGES):
        cut = slice(begin, begin + _EDGES)
        src = batch.src[cut]
        pieces = {name: v if v.ndim == 0 else v[cut] for name, v in columns.items()}
        yield EdgeBatch(
            batch.phi, src, batch.dst[cut], **pieces, trace=Trace.identity(len(src))
        )  # fmt: skip
