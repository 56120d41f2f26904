"""What the commands do, as functions for scripts and notebooks."""

from kcompile.api.circuits import Simulation, compile, pyspice_circuit, simulate, write_netlist
from kcompile.api.experiments import montecarlo, sweep
from kcompile.api.judging import evaluate, inspect, sample, verify
from kcompile.api.planning import plan

__all__ = [
    "Simulation",
    "compile",
    "evaluate",
    "inspect",
    "montecarlo",
    "plan",
    "pyspice_circuit",
    "sample",
    "simulate",
    "sweep",
    "verify",
    "write_netlist",
]
