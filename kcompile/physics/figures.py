"""Voltages, currents, times, charges and energy of a network in the units of a circuit."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcompile.ir import Graph
from kcompile.physics.energy import energy_estimate
from kcompile.physics.noise import electrons
from kcompile.physics.trajectories import Statistics
from kcompile.units import Scale


def circuit_figures(graph: Graph, found: Statistics, scale: Scale) -> dict[str, Any]:
    """What a network would be as a circuit of some scale; keys end in their unit.

    Charges in electrons: ``node_peak_electrons`` is ``C |v|/e`` of the largest voltage on the
    smallest capacitor, ``node_rms_electrons`` that of the rms voltage; ``edge_mean_electrons``
    and ``edge_largest_electrons`` are what an edge moves in an inference, mean of the samples.

    Args:
        graph: the circuit.
        found: its voltages and currents in software units.
        scale: the unit system.
    """
    tau, volts, amperes = scale.time_unit, scale.v0, scale.i0
    least = scale.c0 * float(graph.capacitance.min())
    charges = np.concatenate([edges.charge for edges in found.edges]) * (amperes * tau)
    return {
        "time_unit_s": tau,
        "inference_time_s": tau * found.duration,
        "layer_times_s": [tau * duration for duration in found.durations],
        "voltage_lowest_v": volts * found.lowest,
        "voltage_highest_v": volts * found.highest,
        "voltage_rms_v": volts * found.voltage_rms,
        "slew_peak_v_per_s": volts / tau * found.slew,
        "edge_current_peak_a": amperes * found.current_peak,
        "edge_current_rms_a": amperes * found.current_rms,
        "total_current_peak_a": amperes * found.total_peak,
        "total_current_mean_a": amperes * found.total_mean,
        "total_current_rms_a": amperes * found.total_rms,
        "smallest_capacitor_f": least,
        "total_capacitance_f": scale.c0 * float(graph.capacitance.sum()),
        "node_peak_electrons": electrons(least * volts * found.voltage_peak),
        "node_rms_electrons": electrons(least * volts * found.voltage_rms),
        "edge_mean_electrons": electrons(float(np.mean(charges))) if charges.size else 0.0,
        "edge_largest_electrons": electrons(float(charges.max(initial=0.0))),
        "energy": energy_estimate(found.samples, found.duration, scale),
    }
