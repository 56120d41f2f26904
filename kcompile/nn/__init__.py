"""The network in torch: edges, layers, hand-over, solvers; the only way to train one.

Importing it imports torch, which is an optional part of the installation.
"""

from kcompile.errors import MissingExtra

try:
    from kcompile.nn.edges import Edges
    from kcompile.nn.flow import log_density, normal_log_density, push, require_flow
    from kcompile.nn.form import Field, Form
    from kcompile.nn.initialise import INITIALISERS, initialise
    from kcompile.nn.layer import Layer
    from kcompile.nn.network import KirchhoffNet
    from kcompile.nn.software import SoftwareModule
    from kcompile.nn.solution import (
        Converged,
        converge,
        converged_solution,
        training_solution,
    )
    from kcompile.nn.solver import ADAPTIVE, FIXED, Solver, integrate
except ModuleNotFoundError as error:
    if error.name not in {"torch", "torchdiffeq"}:
        raise
    raise MissingExtra(
        f"{error.name} is not installed", hint="install it with: pip install 'kcompile[train]'"
    ) from error

__all__ = [
    "ADAPTIVE",
    "FIXED",
    "INITIALISERS",
    "Converged",
    "Edges",
    "Field",
    "Form",
    "KirchhoffNet",
    "Layer",
    "SoftwareModule",
    "Solver",
    "converge",
    "converged_solution",
    "initialise",
    "integrate",
    "log_density",
    "normal_log_density",
    "push",
    "require_flow",
    "training_solution",
]
