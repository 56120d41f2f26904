"""What a network computes: with the solver that it was trained with, and converged."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kcompile.errors import SolverError
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.nn.network import KirchhoffNet
from kcompile.nn.solver import Solver
from kcompile.nn.threads import one_thread

_FEWEST = 32
_MOST = 1 << 16


@dataclass(frozen=True, eq=False)
class Converged:
    """Read-out voltages that do not depend on the solver, as far as that was wanted.

    Args:
        outputs: ``float64[S, M]``, software units.
        error: the largest difference to the solve with half as many steps.
        steps: Runge-Kutta steps per layer.
    """

    outputs: FloatArray
    error: float
    steps: int


def training_solution(model: Model, inputs: FloatArray) -> FloatArray:
    """What the solver that a model was trained with gives at the read-out nodes.

    As in training: torchdiffeq in float32, all samples in one batch (its tolerance is an RMS over
    the batch, so a sample's answer depends on the others).

    Args:
        model: any model; published ones too.
        inputs: ``[S, Nin]``, as ``Model.initial_voltages`` takes them.

    Returns:
        ``float64[S, M]``, before the head.

    Raises:
        SolverError: the model does not say how it was trained, or that solver gives up.
        InputError: the width is wrong or a value is not finite.
    """
    if model.solver is None:
        raise SolverError("the model does not say which solver it was trained with")
    solver = Solver.from_record(model.solver)
    net = KirchhoffNet.from_graph(model.graph, solver).float()
    start = torch.as_tensor(model.initial_voltages(inputs)).float()
    return _array(net.evolve, start.T, solver).T


def converged_solution(net: KirchhoffNet, inputs: FloatArray, tolerance: float = 1e-6) -> Converged:
    """The read-out voltages of the circuit equations themselves, in float64.

    Runge-Kutta steps, doubled until the answer stays: at the corners of a relu law that takes far
    fewer evaluations than an adaptive method, and no sample depends on the others.

    Args:
        net: the network; it is not changed.
        inputs: ``[S, Nin]``.
        tolerance: how far the last two solves may differ anywhere, software units.

    Raises:
        SolverError: they still differ after the last doubling.
        InputError: the width is wrong.
    """
    net = copy.deepcopy(net).double()
    start = torch.as_tensor(np.asarray(inputs, dtype=np.float64))
    steps, error = _FEWEST, math.inf
    before = _array(net, start, Solver("rk4", steps=steps))
    while steps < _MOST:
        steps *= 2
        outputs = _array(net, start, Solver("rk4", steps=steps))
        error = float(np.abs(outputs - before).max(initial=0.0))
        if error <= tolerance:  # never true of NaN
            return Converged(outputs, error, steps)
        before = outputs
    raise SolverError(
        f"the answer still changes by {error:.2g} at {steps} steps a layer",
        hint="ask for a looser tolerance",
    )


def _array(solve: Callable[[Tensor, Solver], Tensor], start: Tensor, solver: Solver) -> FloatArray:
    with one_thread(), torch.no_grad():
        return solve(start, solver).double().numpy()
