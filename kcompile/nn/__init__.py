"""The network in torch: edges, layers, hand-over, solvers; the only way to train one.

Importing it imports torch, which is an optional part of the installation.
"""

from kcompile.errors import MissingExtra

try:
    from kcompile.nn.drawn import Drawing
    from kcompile.nn.edges import Edges
    from kcompile.nn.flow import log_density, push, require_flow
    from kcompile.nn.form import Form
    from kcompile.nn.initialise import INITIALISERS, initialise
    from kcompile.nn.layer import Layer
    from kcompile.nn.network import KirchhoffNet
    from kcompile.nn.solution import (
        Converged,
        answers_at,
        converge,
        training_solution,
    )
    from kcompile.nn.solver import Solver, integrate
except ModuleNotFoundError as error:
    if error.name not in {"torch", "torchdiffeq"}:
        raise
    raise MissingExtra(
        f"{error.name} is not installed", hint="install it with: pip install 'kcompile[train]'"
    ) from error

__all__ = [
    "INITIALISERS",
    "Converged",
    "Drawing",
    "Edges",
    "Form",
    "KirchhoffNet",
    "Layer",
    "Solver",
    "answers_at",
    "converge",
    "initialise",
    "integrate",
    "log_density",
    "push",
    "require_flow",
    "training_solution",
]
