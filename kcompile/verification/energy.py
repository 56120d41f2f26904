"""The report's energy section: an estimate from the solutions, and the same from the waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcompile.ir import Graph
from kcompile.physics import (
    CurrentMeter,
    SampleFigures,
    energy_estimate,
    figures_of_waves,
    sample_figures,
    supply_span,
    trapezoidal,
)
from kcompile.reference import Reference
from kcompile.units import Scale
from kcompile.verification.metrics import PhaseWaves

MOST_SAMPLES = 8
"""Most samples whose energy is told."""

_EDGES = 4_000_000
"""Edges of all samples together that are looked at: some ten seconds."""


class EnergyMeter:
    """Tells the energy of the first few samples, of their solutions and of their waveforms.

    Args:
        graph: the circuit, whose laws the edges follow. Where other sources drive nodes, too,
            nothing is told.
        scale: the unit system.
        timed: whether gates of imperfect timing switch edges; then nothing is told either.
    """

    def __init__(self, graph: Graph, scale: Scale, *, timed: bool = False) -> None:
        driven = timed or any(phase.injected is not None for phase in graph.phases)
        self._meter = None if driven else CurrentMeter(graph)
        self._most = max(1, min(MOST_SAMPLES, _EDGES // max(graph.edges, 1)))
        self._duration, self._scale = graph.duration, scale
        self._simulated: dict[int, SampleFigures] = {}

    def look(self, sample: int, phases: Sequence[PhaseWaves]) -> None:
        """A sample's waveforms, while they are in memory; nothing is told of too short ones."""
        whole = all(len(wave.times) > 1 for wave in phases)
        if self._meter is not None and sample < self._most and whole:
            instants = [trapezoidal(wave.times, wave.spice) for wave in phases]
            self._simulated[sample] = figures_of_waves(self._meter, instants)

    def section(self, reference: Reference) -> dict[str, Any]:
        """Energy as the report has it, a flat mapping whose keys end in their unit.

        It holds ``kcompile.physics.energy_estimate`` of the samples' solutions with their largest
        node voltage and edge current. Under ``spice_...`` stands the same of the simulated
        voltages, at which the edges' laws are taken, and ``spice_difference``, by how much figures
        of a sample differ at most from those of its own solution, relative.
        """
        if self._meter is None:
            return {}
        count = min(self._most, reference.samples)
        solved = {k: sample_figures(self._meter, reference.trajectory(k))[0] for k in range(count)}
        expected = [*solved.values()]
        span = supply_span(expected)
        section = energy_estimate(expected, self._duration, self._scale) | self._peaks(expected)
        simulated = [self._simulated[k] for k in solved if k in self._simulated]
        if not simulated:
            return section
        estimate = energy_estimate(simulated, self._duration, self._scale, span)
        kept = ("samples", "dissipated_j", "supplied_j", "supply_estimate_j")
        found = {name: estimate[name] for name in kept} | self._peaks(simulated)
        section |= {f"spice_{name}": value for name, value in found.items()}
        section["spice_difference"] = max(
            _difference(sample, solved[k]) for k, sample in self._simulated.items() if k in solved
        )
        return section

    def _peaks(self, figures: Sequence[SampleFigures]) -> dict[str, float]:
        return {
            "voltage_peak_v": self._scale.v0 * max(sample.voltage_peak for sample in figures),
            "current_peak_a": self._scale.i0 * max(sample.current_peak for sample in figures),
        }


def _difference(one: SampleFigures, other: SampleFigures) -> float:
    """The largest relative difference of what a circuit's builder would ask for."""
    flows = other.dissipated + other.supplied
    pairs = (
        (one.voltage_peak, other.voltage_peak, other.voltage_peak),
        (one.current_peak, other.current_peak, other.current_peak),
        (one.charge, other.charge, other.charge),
        (one.dissipated, other.dissipated, flows),
        (one.supplied, other.supplied, flows),
    )
    return max(abs(a - b) / size if size else 0.0 for a, b, size in pairs)
