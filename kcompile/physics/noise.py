"""What thermal motion and the grain of charge add to voltages and currents.

Spectral densities are one-sided, as data sheets state them: the mean square of a current within a
bandwidth B is ``S*B``. Over a time t a white current of density S moves a charge whose mean square
is ``S*t/2``: that is all a capacitor sees of it. docs/physics.md derives every formula.
"""

from __future__ import annotations

import math
from typing import TypeVar

from kcompile.ir import FloatArray
from kcompile.physics.constants import BOLTZMANN, ELEMENTARY_CHARGE
from kcompile.units import Scale

# Powers and abs() of an array are typed as those of a number by numpy's stubs, hence the ignores.
Real = TypeVar("Real", float, FloatArray)


def kt_over_c(capacitance_f: Real, kelvin: float) -> Real:
    """The rms noise of a voltage that was sampled onto a capacitor, ``sqrt(kT/C)``, volts.

    It does not depend on the resistance of the switch (Nyquist 1928; equipartition).

    Args:
        capacitance_f: farads.
        kelvin: absolute temperature.
    """
    return (BOLTZMANN * kelvin / capacitance_f) ** 0.5  # pyright: ignore[reportReturnType]


def shot_density(current_a: Real) -> Real:
    """The density of shot noise, ``2 e |I|``, A^2/Hz (Schottky 1918).

    It is that of carriers which cross a barrier one by one: diodes, bipolar transistors, and field
    effect transistors below threshold.

    Args:
        current_a: amperes, of either sign.
    """
    return 2.0 * ELEMENTARY_CHARGE * abs(current_a)  # pyright: ignore[reportReturnType]


def thermal_density(conductance_s: Real, kelvin: float, gamma: float = 1.0) -> Real:
    """The density of thermal noise, ``4 k T gamma g``, A^2/Hz (Nyquist 1928).

    Args:
        conductance_s: siemens: of a resistor, or the transconductance of a transistor.
        kelvin: absolute temperature.
        gamma: 1 for a resistor, 2/3 for a long transistor in strong inversion and saturation.
    """
    return 4.0 * BOLTZMANN * kelvin * gamma * conductance_s


def charge_rms(density_a2_per_hz: Real, seconds: float) -> Real:
    """The rms charge that a white current moves within a time, ``sqrt(S t / 2)``, coulombs.

    Args:
        density_a2_per_hz: one-sided.
        seconds: how long it flows.
    """
    return (density_a2_per_hz * seconds / 2.0) ** 0.5  # pyright: ignore[reportReturnType]


def in_software_units(density_a2_per_hz: Real, scale: Scale) -> Real:
    """Mean square charge per time that a white current moves, ``S / (2 i0 c0 v0)``.

    Charge in units of ``c0 v0``, time in software time units. On a node of (software) capacitance c
    the variance of the voltage grows by ``1/c^2`` of it per time.

    Args:
        density_a2_per_hz: one-sided.
        scale: the unit system.
    """
    return density_a2_per_hz / (2.0 * scale.i0 * scale.c0 * scale.v0)


def electrons(charge_c: Real) -> Real:
    """How many electrons a charge is, ``Q/e``.

    Args:
        charge_c: coulombs.
    """
    return charge_c / ELEMENTARY_CHARGE


def decibels(signal_rms: float, noise_rms: float) -> float | None:
    """The ratio of a signal to its noise, ``20 log10(signal/noise)``.

    None without noise, minus infinity where there is noise and no signal.

    Args:
        signal_rms: in any unit.
        noise_rms: in the same.
    """
    if not noise_rms > 0.0:
        return None
    ratio = signal_rms / noise_rms
    return 20.0 * math.log10(ratio) if ratio > 0.0 else -math.inf
