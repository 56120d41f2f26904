"""How far voltages swing and what currents flow, over some samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, Graph
from kcompile.physics.currents import CurrentMeter, EdgeSums
from kcompile.physics.sample import SampleFigures, sample_figures
from kcompile.reference import Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class EdgeFigures:
    """The edges of one phase over all samples, batch after batch, software units.

    Args:
        peak: ``float64[E]``, largest ``|i|`` of any sample.
        rms: ``float64[E]``, over time and samples.
        charge: ``float64[E]``, the integral of ``|i|``, mean of the samples.
    """

    peak: FloatArray
    rms: FloatArray
    charge: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Some samples from input to output, software units.

    Args:
        samples: one or more.
        edges: one a phase.
        durations: of the phases.
    """

    samples: tuple[SampleFigures, ...]
    edges: tuple[EdgeFigures, ...]
    durations: tuple[float, ...]

    @property
    def duration(self) -> float:
        """Software time from input to output."""
        return sum(self.durations)

    @property
    def highest(self) -> float:
        """The largest voltage of any node at any time, ground counted."""
        return max(sample.highest for sample in self.samples)

    @property
    def lowest(self) -> float:
        """The smallest voltage, ground counted."""
        return min(sample.lowest for sample in self.samples)

    @property
    def voltage_peak(self) -> float:
        """The largest ``|v|``."""
        return max(sample.voltage_peak for sample in self.samples)

    @property
    def voltage_rms(self) -> float:
        """Over the nodes that are live, time and samples."""
        return self._mean(lambda sample: sum(p.voltage_square for p in sample.phases)) ** 0.5

    @property
    def slew(self) -> float:
        """The largest ``|dv/dt|``."""
        return max(phase.slew for sample in self.samples for phase in sample.phases)

    @property
    def current_peak(self) -> float:
        """The largest ``|i|`` of an edge."""
        return max(sample.current_peak for sample in self.samples)

    @property
    def current_rms(self) -> float:
        """Of an edge's current, over the edges that are there, time and samples."""
        squares = sum(
            duration * float((edges.rms**2).sum())
            for duration, edges in zip(self.durations, self.edges, strict=True)
        )
        sizes = sum(
            duration * len(edges.rms)
            for duration, edges in zip(self.durations, self.edges, strict=True)
        )
        return (squares / sizes) ** 0.5 if sizes else 0.0

    @property
    def total_peak(self) -> float:
        """The largest sum of ``|i|`` over all edges of a phase."""
        return max(phase.total_peak for sample in self.samples for phase in sample.phases)

    @property
    def total_mean(self) -> float:
        """That sum, mean over time and samples."""
        return self._mean(lambda sample: sample.charge)

    @property
    def total_rms(self) -> float:
        """That sum, rms over time and samples."""
        return self._mean(lambda sample: sum(p.total_square for p in sample.phases)) ** 0.5

    @property
    def error(self) -> float:
        """How far the figures are from being converged, relative."""
        return max(sample.error for sample in self.samples)

    def _mean(self, integral: Callable[[SampleFigures], float]) -> float:
        """The mean over time and samples of what each sample has the integral of."""
        return sum(map(integral, self.samples)) / (len(self.samples) * self.duration)


def statistics(
    graph: Graph,
    trajectories: Iterable[Trajectory],
    on_sample: Callable[[int], None] = lambda _done: None,
) -> Statistics:
    """What voltages and currents do along the solutions of some samples.

    The integrals are refined until they, the peaks and the balance of energy are good to 0.5 %.

    Args:
        graph: the circuit.
        trajectories: one a sample, one or more, with their interpolants; one at a time is held.
        on_sample: hears how many are done.

    Raises:
        UsageError: the interpolants of one were not kept.
    """
    meter = CurrentMeter(graph)
    found: list[SampleFigures] = []
    tally = [
        EdgeSums(*(np.zeros(phase.edges) for _ in range(3))) for phase in graph.phases
    ]  # fmt: skip
    for trajectory in trajectories:
        figures, sums = sample_figures(meter, trajectory)
        for total, more in zip(tally, sums, strict=True):
            np.maximum(total.peak, more.peak, out=total.peak)
            np.add(total.square, more.square, out=total.square)
            np.add(total.charge, more.charge, out=total.charge)
        found.append(figures)
        on_sample(len(found))
    durations = tuple(phase.duration for phase in graph.phases)
    edges = tuple(
        EdgeFigures(
            total.peak, np.sqrt(total.square / (len(found) * duration)), total.charge / len(found)
        )
        for total, duration in zip(tally, durations, strict=True)
    )
    return Statistics(tuple(found), edges, durations)
