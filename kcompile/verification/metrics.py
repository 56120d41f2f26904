"""How far a circuit's answers are from the reference, in software units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kcompile.compiler import LayerPlan
from kcompile.ir import FloatArray, OffsetArray
from kcompile.reference import Trajectory
from kcompile.simulation import Waveforms


@dataclass(frozen=True, slots=True, eq=False)
class OutputErrors:
    """Differences at the read-out nodes at the end of the last phase.

    Args:
        max_abs: ``float64[S]``, the largest of each sample; NaN for a sample without a result.
        rms: ``float64[S]``, likewise.
        worst: ``(sample, read-out)`` of the largest of all, or None without any result.
    """

    max_abs: FloatArray
    rms: FloatArray
    worst: tuple[int, int] | None

    @property
    def overall_max(self) -> float | None:
        """The largest of all samples that have a result."""
        known = self.max_abs[np.isfinite(self.max_abs)]
        return float(known.max()) if known.size else None

    @property
    def overall_rms(self) -> float | None:
        """Root mean square over all read-outs of all samples that have a result."""
        known = self.rms[np.isfinite(self.rms)]
        return float(np.sqrt(np.mean(known**2))) if known.size else None


def output_errors(spice: FloatArray, reference: FloatArray) -> OutputErrors:
    """The errors of the circuit's read-outs.

    Args:
        spice: ``float64[S, M]``; a row of NaN for a sample without a result.
        reference: ``float64[S, M]``.
    """
    difference = np.abs(spice - reference)
    known = np.isfinite(difference).all(axis=1)
    max_abs = np.where(known, difference.max(axis=1), np.nan)
    rms = np.where(known, np.sqrt(np.mean(difference**2, axis=1)), np.nan)
    if not known.any():
        return OutputErrors(max_abs, rms, None)
    sample = int(np.nanargmax(max_abs))
    return OutputErrors(max_abs, rms, (sample, int(np.argmax(difference[sample]))))


@dataclass(frozen=True, slots=True, eq=False)
class PhaseWaves:
    """One phase of one sample: the circuit's waveforms beside the reference at the same instants.

    Args:
        phase: its index.
        seconds: ``float64[P]``, circuit time since the network began.
        times: ``float64[P]``, software time since the phase began.
        spice, reference: ``float64[P, N]``, software units, nodes ``1..N``.
    """

    phase: int
    seconds: FloatArray
    times: FloatArray
    spice: FloatArray
    reference: FloatArray

    @property
    def error(self) -> FloatArray:
        """The largest difference of all nodes at each instant, ``float64[P]``."""
        return np.abs(self.spice - self.reference).max(axis=1)


def phase_waves(
    waves: Mapping[str, Waveforms],
    layers: tuple[LayerPlan, ...],
    nodes: tuple[int, ...],
    v0: float,
    trajectory: Trajectory,
) -> tuple[PhaseWaves, ...]:
    """The waveforms of one sample beside the reference, phase by phase.

    Args:
        waves: the circuit's waveforms by raw-file name, in volts and seconds.
        layers: where each phase is found in them.
        nodes: N of each phase.
        v0: volts per software unit.
        trajectory: the reference of the same sample.

    Raises:
        SimulationFailed: a node's voltage is missing.
    """
    found: list[PhaseWaves] = []
    offset = 0.0
    for plan, count in zip(layers, nodes, strict=True):
        wave = waves[plan.waveform]
        inside = phase_window(wave, plan)
        seconds = wave.time[inside]
        times = plan.software_time(seconds)
        spice = wave.voltages(node_labels(count))[inside] / v0
        reference = trajectory.at(plan.phase, times)
        found.append(PhaseWaves(plan.phase, seconds + offset, times, spice, reference))
        # Layers that share a raw file share its time axis; others begin at 0 again.
        offset += 0.0 if _shared(layers) else plan.end
    return tuple(found)


def phase_window(wave: Waveforms, plan: LayerPlan) -> OffsetArray:
    """Which points of a waveform belong to a layer, ``int64[P]``."""
    # There is room for the rounding of the simulator's last time point.
    end = plan.end + 1e-9 * (plan.end - plan.start)
    return np.flatnonzero((wave.time >= plan.start) & (wave.time <= end))


def _shared(layers: tuple[LayerPlan, ...]) -> bool:
    return len({plan.waveform for plan in layers}) < len(layers)


def node_labels(count: int) -> list[str]:
    """What decks call the nodes 1..count."""
    return [f"n{node}" for node in range(1, count + 1)]
