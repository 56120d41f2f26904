"""From software units to joules, noise and speed: what a network would be as a physical circuit."""

from kcompile.physics.constants import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    ROOM,
    kelvin,
    thermal_voltage,
)
from kcompile.physics.noise import (
    charge_rms,
    decibels,
    electrons,
    in_software_units,
    kt_over_c,
    shot_density,
    thermal_density,
)

__all__ = [
    "BOLTZMANN",
    "ELEMENTARY_CHARGE",
    "ROOM",
    "charge_rms",
    "decibels",
    "electrons",
    "in_software_units",
    "kelvin",
    "kt_over_c",
    "shot_density",
    "thermal_density",
    "thermal_voltage",
]
