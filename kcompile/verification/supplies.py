"""The energy that a circuit draws from its supplies, from the currents that its decks save."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kcompile.netlist import Family
from kcompile.simulation import Waveforms


def supply_energy(family: Family, waves: Mapping[str, Waveforms]) -> float | None:
    """Joules that all supplies deliver in all waveforms together: the sum of -V * integral of i dt.

    SPICE counts a source's current into its positive end, hence the sign. Between time points the
    current is taken to be linear, as the simulator's trapezoidal rule does.

    Args:
        family: the device family, whose parameters are the supplies' voltages.
        waves: of one sample, by the name of the raw file.

    Returns:
        None where the family has no supplies, or a waveform lacks a supply's current.
    """
    if not family.supplies or not waves:
        return None
    total = 0.0
    for wave in waves.values():
        for name in family.supplies:
            current = wave.current(name)
            if current is None:
                return None
            area = 0.5 * float(((current[1:] + current[:-1]) * np.diff(wave.time)).sum())
            total -= family.parameters[name] * area
    return total
