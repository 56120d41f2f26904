"""The golden ODE solution of a circuit graph, with its own error estimate."""

from kcompile.reference.convergence import solve
from kcompile.reference.integrator import IntegrationError, PhaseSolution, Settings, integrate
from kcompile.reference.pairs import Pair, eighth_order, fifth_order, pair_for
from kcompile.reference.rhs import RhsFactory, RightHandSide, numpy_rhs, phase_rhs
from kcompile.reference.solution import Reference, Trajectory

__all__ = [
    "IntegrationError",
    "Pair",
    "PhaseSolution",
    "Reference",
    "RhsFactory",
    "RightHandSide",
    "Settings",
    "Trajectory",
    "eighth_order",
    "fifth_order",
    "integrate",
    "numpy_rhs",
    "pair_for",
    "phase_rhs",
    "solve",
]
