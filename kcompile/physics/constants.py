"""Constants of the SI (their values are exact since 2019) and temperatures."""

from __future__ import annotations

import math

from kcompile.errors import UsageError

BOLTZMANN = 1.380649e-23
"""k, joules per kelvin."""

ELEMENTARY_CHARGE = 1.602176634e-19
"""e, coulombs."""

ROOM = 27.0
"""The temperature where nobody says, degrees Celsius (SPICE's nominal one)."""

_ZERO_CELSIUS = 273.15


def kelvin(celsius: float) -> float:
    """The absolute temperature.

    Raises:
        UsageError: it is not a finite number above absolute zero.
    """
    found = celsius + _ZERO_CELSIUS
    if not (math.isfinite(found) and found > 0):
        raise UsageError(
            f"{celsius!r} degrees Celsius", where="temperature", hint="it is above -273.15"
        )
    return found


def thermal_voltage(kelvin: float) -> float:
    """``kT/e`` in volts: 25.9 mV at 27 degrees Celsius."""
    return BOLTZMANN * kelvin / ELEMENTARY_CHARGE
