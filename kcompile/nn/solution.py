"""What a network computes: with the solver that it was trained with, and converged."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from kcompile import kernels
from kcompile.errors import SolverError
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.nn.network import KirchhoffNet
from kcompile.nn.solver import Solver
from kcompile.nn.threads import one_thread

_FEWEST = 16
_MOST = 1 << 16
_TOGETHER = 4096
_CACHED = 1 << 18
_LEAST = 16

Evaluate: TypeAlias = Callable[[KirchhoffNet, Tensor, Solver], Tensor]
"""What is computed of a network: float64 inputs ``[S, Nin]`` in, ``[S, K]`` out."""


@dataclass(frozen=True, eq=False)
class Converged:
    """Answers that do not depend on the solver, as far as that was wanted.

    Args:
        outputs: ``float64[S, M]``.
        error: how far one of the last two doublings of the steps moved an answer at most.
        steps: Runge-Kutta steps per layer of the sample that wanted most.
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


def converge(
    net: KirchhoffNet,
    inputs: FloatArray,
    evaluate: Evaluate,
    tolerance: float = 1e-6,
    on_progress: Callable[[int, int], None] | None = None,
) -> Converged:
    """What a network computes, in float64 and as far as wanted independent of the solver.

    Runge-Kutta steps, doubled for each sample until its answer stays twice (once may be chance,
    for at the corners of a relu law errors jump about). There that takes far fewer evaluations
    than an adaptive method, and no sample depends on others.

    Args:
        net: the network; it is not changed.
        inputs: ``[S, Nin]``.
        evaluate: what is wanted of it.
        tolerance: how far each of the last two doublings may move an answer.
        on_progress: hears how many samples are certain, of how many.

    Raises:
        SolverError: answers still move at the last doubling.
        InputError: the width is wrong.
    """
    net = copy.deepcopy(net).double()
    steps = _FEWEST
    outputs = answers_at(net, inputs, evaluate, steps)
    changes = np.full((2, len(outputs)), math.inf)
    while (moving := np.flatnonzero(~(changes <= tolerance).all(axis=0))).size:  # NaN moves, too
        if on_progress is not None:
            on_progress(len(outputs) - moving.size, len(outputs))
        if steps >= _MOST:
            raise SolverError(
                f"answers still change by {changes[1, moving].max():.2g} at {steps} steps a layer",
                hint="ask for a looser tolerance",
            )
        steps *= 2
        finer = answers_at(net, inputs[moving], evaluate, steps)
        changes[0, moving] = changes[1, moving]
        with np.errstate(invalid="ignore"):
            changes[1, moving] = np.abs(finer - outputs[moving]).max(axis=1, initial=0.0)
        outputs[moving] = finer
    return Converged(outputs, float(changes.max(initial=0.0)), steps)


def answers_at(net: KirchhoffNet, inputs: FloatArray, evaluate: Evaluate, steps: int) -> FloatArray:
    """What a network in double precision computes at so many Runge-Kutta steps a layer.

    As many samples at a time as memory or cache carries.

    Args:
        net: its parameters are float64.
        inputs: ``[S, Nin]``.
        evaluate: what is wanted of it.
        steps: equal ones.

    Returns:
        ``float64[S, K]``.
    """
    start = torch.as_tensor(np.array(inputs, dtype=np.float64))
    together = _TOGETHER
    if kernels.chosen() is None:
        edges = max((len(batch) for layer in net.phases for batch in layer.batches), default=0)
        together = max(_LEAST, _CACHED // max(edges, 1))
    solver = Solver("rk4", steps=steps)

    def solve(part: Tensor, solver: Solver) -> Tensor:
        return evaluate(net, part, solver)

    return np.concatenate([_array(solve, part, solver) for part in torch.split(start, together)])


def _array(solve: Callable[[Tensor, Solver], Tensor], start: Tensor, solver: Solver) -> FloatArray:
    with one_thread(), torch.no_grad():
        return solve(start, solver).double().numpy()
