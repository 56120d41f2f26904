"""One sample from input to output: what its voltages and currents do, refined until certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, Graph, OffsetArray
from kcompile.physics.currents import CurrentMeter, EdgeSums, PhaseFigures
from kcompile.physics.quadrature import Instants, simpson
from kcompile.reference import Trajectory

ACCURACY = 5e-3
"""What doubling the panels may still change, relative, and how far energy may be unconserved."""

FIRST_PANELS, MOST_PANELS = 12, 1536


@dataclass(frozen=True, slots=True)
class SampleFigures:
    """One sample from input to output, software units; energies in units of ``c0 v0^2``.

    Args:
        phases: in order.
        written_charge: sum of ``C |v|`` over all nodes each time that a voltage is put onto them.
        error: what the last refinement of the integrals and peaks changed at most, relative, or
            the energy that was not conserved where that is more.
    """

    phases: tuple[PhaseFigures, ...]
    written_charge: float
    error: float

    @property
    def charge(self) -> float:
        """What all edges move, the integral of the sum of ``|i|``."""
        return sum(phase.charge for phase in self.phases)

    @property
    def drawn(self) -> float:
        """What all edges draw with the tails of tanh pairs."""
        return sum(phase.drawn for phase in self.phases)

    @property
    def dissipated(self) -> float:
        """Energy that edges turn into heat."""
        return sum(phase.dissipated for phase in self.phases)

    @property
    def supplied(self) -> float:
        """Energy that edges bring in which drive a current against its voltage."""
        return sum(phase.supplied for phase in self.phases)

    @property
    def stored_change(self) -> float:
        """Energy that the capacitors gain while the phases run."""
        return sum(phase.stored_change for phase in self.phases)

    @property
    def highest(self) -> float:
        """The largest voltage, ground counted."""
        return max(0.0, *(phase.highest for phase in self.phases))

    @property
    def lowest(self) -> float:
        """The smallest voltage, ground counted."""
        return min(0.0, *(phase.lowest for phase in self.phases))

    @property
    def voltage_peak(self) -> float:
        """The largest ``|v|``."""
        return max(self.highest, -self.lowest)

    @property
    def current_peak(self) -> float:
        """The largest ``|i|`` of an edge."""
        return max(phase.current_peak for phase in self.phases)


def sample_figures(
    meter: CurrentMeter, trajectory: Trajectory
) -> tuple[SampleFigures, tuple[EdgeSums, ...]]:
    """The figures of one sample, refined until they are good to ``ACCURACY``, and of its edges.

    Args:
        meter: of the graph that was solved.
        trajectory: with its interpolants.

    Raises:
        UsageError: these were not kept.
    """
    found = [
        _converged(meter, phase, lambda panels, phase=phase: simpson(trajectory, phase, panels))
        for phase in range(len(meter.graph.phases))
    ]
    starts = [trajectory.at(phase, np.zeros(1))[0] for phase in range(len(found))]
    figures = SampleFigures(
        tuple(figures for figures, _, _ in found),
        written_charge(meter.graph, starts),
        max(error for _, _, error in found),
    )
    return figures, tuple(sums for _, sums, _ in found)


def figures_of_waves(meter: CurrentMeter, phases: Sequence[Instants]) -> SampleFigures:
    """The figures of one sample whose voltages are known at given instants only.

    Args:
        meter: of the graph whose laws the edges follow.
        phases: all of them, in order.
    """
    measured = [meter.measure(phase, instants) for phase, instants in enumerate(phases)]
    starts = [instants.states[0] for instants in phases]
    figures = tuple(figures for figures, _ in measured)
    error = max(phase.imbalance for phase in figures)
    return SampleFigures(figures, written_charge(meter.graph, starts), error)


def written_charge(graph: Graph, starts: Sequence[FloatArray]) -> float:
    """Sum of ``C |v|`` over all nodes each time that a voltage is put onto them.

    Args:
        graph: the circuit.
        starts: the voltages that each phase begins with, ``float64[N]``, software units.
    """
    total = 0.0
    for phase, start in enumerate(starts):
        nodes = written_nodes(graph, phase)
        total += float((graph.capacitance[nodes] * np.abs(start[nodes])).sum())
    return total


def written_nodes(graph: Graph, phase: int) -> OffsetArray:
    """Positions (from 0) of the nodes that are given a voltage as a phase begins, ``int64[K]``.

    All of the first phase; later those that were not live in the phase before, or all where a
    residual was added to its output. The others keep what is on their capacitors.
    """
    count = graph.phases[phase].nodes
    if phase == 0 or graph.phases[phase - 1].residual is not None:
        return np.arange(count)
    return np.arange(min(graph.phases[phase - 1].nodes, count), count)


def _converged(
    meter: CurrentMeter, phase: int, instants: Callable[[int], Instants]
) -> tuple[PhaseFigures, EdgeSums, float]:
    """One phase's figures, and how far they are from being converged."""
    panels = FIRST_PANELS
    coarse, _ = meter.measure(phase, instants(panels))
    while True:
        panels *= 2
        fine, sums = meter.measure(phase, instants(panels))
        error = max(_change(coarse, fine), fine.imbalance)
        if error < ACCURACY or panels >= MOST_PANELS:
            return fine, sums, error
        coarse = fine


def _change(one: PhaseFigures, other: PhaseFigures) -> float:
    """The largest change of what is integrated or looked for, each relative to its own kind."""
    flows = other.dissipated + other.supplied
    sizes = {
        "dissipated": flows,
        "supplied": flows,
        "lowest": other.highest - other.lowest,
        "highest": other.highest - other.lowest,
        "charge": other.charge,
        "current_peak": other.current_peak,
        "total_peak": other.total_peak,
        "slew": other.slew,
    }
    return max(
        abs(getattr(one, name) - getattr(other, name)) / size if size else 0.0
        for name, size in sizes.items()
    )
