"""Many circuits: Monte Carlo over variations, and sweeps over a number."""

from kcompile.experiments.judging import Specification, Spread, Yield
from kcompile.experiments.montecarlo import run_montecarlo
from kcompile.experiments.plan import Plan
from kcompile.experiments.result import Check, Circuit, Experiment, Sensitivity
from kcompile.experiments.sweep import Point, Sweep, parse_values, run_sweep
from kcompile.experiments.verified import drawn_circuit, verify_drawn

__all__ = [
    "Check",
    "Circuit",
    "Experiment",
    "Plan",
    "Point",
    "Sensitivity",
    "Specification",
    "Spread",
    "Sweep",
    "Yield",
    "drawn_circuit",
    "parse_values",
    "run_montecarlo",
    "run_sweep",
    "verify_drawn",
]
