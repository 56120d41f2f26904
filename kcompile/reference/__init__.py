"""The golden ODE solution of a circuit graph, with its own error estimate."""

from kcompile.reference.convergence import solve
from kcompile.reference.integrator import IntegrationError, PhaseSolution, Settings, integrate
from kcompile.reference.rhs import RhsFactory, RightHandSide, numpy_rhs, phase_rhs
from kcompile.reference.solution import Reference, Trajectory

__all__ = [
    "IntegrationError",
    "PhaseSolution",
    "Reference",
    "RhsFactory",
    "RightHandSide",
    "Settings",
    "Trajectory",
    "integrate",
    "numpy_rhs",
    "phase_rhs",
    "solve",
]
