"""The golden ODE solution of a circuit graph, with its own error estimate."""

from kcompile.reference.convergence import restored, solve
from kcompile.reference.fixed import FixedSteps, SampleCurrents, movement, settle
from kcompile.reference.rhs import RhsFactory, RightHandSide, phase_rhs
from kcompile.reference.schedule import ScheduledCircuit, solve_schedule
from kcompile.reference.solution import Reference, Trajectory

__all__ = [
    "FixedSteps",
    "Reference",
    "RhsFactory",
    "RightHandSide",
    "SampleCurrents",
    "ScheduledCircuit",
    "Trajectory",
    "movement",
    "phase_rhs",
    "restored",
    "settle",
    "solve",
    "solve_schedule",
]
