"""From software units to joules, noise and speed: what a network would be as a physical circuit."""

from kcompile.physics.constants import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    ROOM,
    kelvin,
    thermal_voltage,
)
from kcompile.physics.currents import CurrentMeter, EdgeSums, PhaseFigures
from kcompile.physics.edge_noise import NodeNoise, NoiseModel
from kcompile.physics.energy import energy_estimate, energy_unit, supply_span
from kcompile.physics.ensemble import NoiseFigures, noise_figures
from kcompile.physics.figures import circuit_figures
from kcompile.physics.limits import Check, Limits, checks
from kcompile.physics.noise import (
    charge_rms,
    decibels,
    electrons,
    in_software_units,
    kt_over_c,
    shot_density,
    thermal_density,
)
from kcompile.physics.plan import CircuitPlan, make_plan
from kcompile.physics.quadrature import Instants, simpson, trapezoidal
from kcompile.physics.quality import Quality, quality
from kcompile.physics.sample import SampleFigures, figures_of_waves, sample_figures
from kcompile.physics.trajectories import EdgeFigures, Statistics, statistics

__all__ = [
    "BOLTZMANN",
    "ELEMENTARY_CHARGE",
    "ROOM",
    "Check",
    "CircuitPlan",
    "CurrentMeter",
    "EdgeFigures",
    "EdgeSums",
    "Instants",
    "Limits",
    "NodeNoise",
    "NoiseFigures",
    "NoiseModel",
    "PhaseFigures",
    "Quality",
    "SampleFigures",
    "Statistics",
    "charge_rms",
    "checks",
    "circuit_figures",
    "decibels",
    "electrons",
    "energy_estimate",
    "energy_unit",
    "figures_of_waves",
    "in_software_units",
    "kelvin",
    "kt_over_c",
    "make_plan",
    "noise_figures",
    "quality",
    "sample_figures",
    "shot_density",
    "simpson",
    "statistics",
    "supply_span",
    "thermal_density",
    "thermal_voltage",
    "trapezoidal",
]
