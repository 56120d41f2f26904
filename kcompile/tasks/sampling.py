"""Samples of a generative network, by the converged equations (torch)."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kcompile.errors import TrainingDiverged, UsageError
from kcompile.files import written
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, Solver, converge, integrate, log_density, push
from kcompile.pictures import Plots
from kcompile.tasks.objectives.objective import Heard

_TOLERANCE = 1e-5
"""How far the solver may be from the equations, in a voltage and in log density per node."""

_SEEN = 1e-2
"""The same for what is only looked at, relative to what it is measured with."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples of a generative network.

    Args:
        model: the network.
        start: ``float64[S, N]``, the standard normal draws that the nodes started from.
        samples: ``float64[S, N]``, the nodes' voltages at the end, software units.
        log_density: ``float64[S]``, the logarithm of the network's density there, in nats.
        error: how far the last doubling of the solver's steps moved a voltage, or the log density
            per node, at most.
        seed: of the draws.
        seconds: it took.
    """

    model: Model
    start: FloatArray
    samples: FloatArray
    log_density: FloatArray
    error: float
    seed: int
    seconds: float

    def write(self, path: Path | str) -> Path:
        """Writes ``samples``, ``log_density`` and ``start`` as .npz, whole or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        path = Path(path)
        with written(path) as stream:
            np.savez(
                stream, samples=self.samples, log_density=self.log_density, start=self.start
            )  # fmt: skip
        return path

    def plot(self, data: Path | str | None = None) -> Plots:
        """Pictures of the samples beside the task's data, and of how they came about.

        Args:
            data: a folder with the task's data; default: the cache, and no data where it has none.

        Raises:
            DataMissing: the folder that was named has no data of the task.
        """
        from kcompile.tasks.gallery import beside, draw

        return draw(self, beside(self.model, None if data is None else Path(data)))

    def to_dict(self) -> dict[str, Any]:
        """As ``kcompile sample --json`` writes it."""
        return {
            "task": self.model.task,
            "samples": len(self.samples),
            "nodes": self.samples.shape[1],
            "mean_log_density": float(self.log_density.mean()),
            "error": self.error,
            "seed": self.seed,
            "seconds": self.seconds,
        }


def sample(
    model: Model, count: int, seed: int = 0, on_progress: Heard | None = None
) -> Drawn:  # fmt: skip
    """Samples of a generative network, each the end of a run from a standard normal draw.

    The draws are those that ``kcompile verify`` simulates with the same seed; the first ones do
    not depend on how many there are.

    Args:
        model: a network of one of ``GENERATIVE_TASKS``; published ones too.
        count: how many.
        seed: of the draws.
        on_progress: hears how many samples are certain, of how many.

    Raises:
        UsageError: the network generates nothing, or less than one sample is asked for.
        SolverError: the equations do not converge.
        TrainingDiverged: a sample is not finite.
    """
    if count < 1:
        raise UsageError(f"{count} samples", where="-n", hint="ask for one or more")
    net = generator(model)
    began = time.perf_counter()
    start = np.random.default_rng(seed).standard_normal((count, model.input_width))
    nodes = start.shape[1]

    def pushed(net: KirchhoffNet, z: Tensor, solver: Solver) -> Tensor:
        x, log_q = push(net, z, solver)
        return torch.cat((x, log_q[:, None] / nodes), dim=1)

    found = converge(net, start, pushed, _TOLERANCE, on_progress)
    if not np.isfinite(found.outputs).all():
        raise TrainingDiverged("a sample is not finite", where=model.source)
    seconds = round(time.perf_counter() - began, 3)
    samples, log_q = found.outputs[:, :nodes], found.outputs[:, nodes] * nodes
    return Drawn(model, start, samples, log_q, found.error, seed, seconds)


def generator(model: Model) -> KirchhoffNet:
    """The network of a generative model.

    Raises:
        UsageError: the model was trained for something else.
    """
    if not model.generative:
        what = "for nothing that it says" if model.task is None else f"for {model.task}"
        raise UsageError(
            f"trained {what}, it generates no samples",
            where=model.source,
            hint="'kcompile evaluate' tells how good it is at its task",
        )
    return KirchhoffNet.from_model(model)


def states(model: Model, start: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Where the nodes are on their way, ``float64[len(shares), S, N]``, good enough to look at.

    Args:
        model: a generative network.
        start: ``float64[S, N]``, at t = 0.
        shares: of the run's whole duration, from 0 to 1, in order.

    Raises:
        UsageError: the network generates nothing.
        SolverError: the equations do not converge.
    """
    net = generator(model)
    times = np.asarray(shares) * sum(layer.duration for layer in net.phases)

    def stopped(net: KirchhoffNet, z: Tensor, solver: Solver) -> Tensor:
        return torch.cat(_stops(net, z.T, times, solver)).T

    found = converge(net, start, stopped, _SEEN)
    return found.outputs.reshape(len(start), len(times), -1).swapaxes(0, 1)


def _stops(net: KirchhoffNet, v: Tensor, times: FloatArray, solver: Solver) -> list[Tensor]:
    """The states ``[N, S]`` at some times of a run, in order."""
    begin, found = 0.0, list[Tensor]()
    for layer in net.phases:
        end = begin + layer.duration
        piece = copy.copy(layer)
        while len(found) < len(times) and times[len(found)] <= end:
            piece.duration = times[len(found)] - begin
            found.append(integrate(piece, v, solver, net.capacitance_of(layer, v)))
        v = integrate(layer, v, solver, net.capacitance_of(layer, v))
        begin = end
    # The sum of the durations may exceed the last one's end by a rounding error.
    return [*found, *[v] * (len(times) - len(found))]


def density(model: Model, points: FloatArray, peak: float) -> FloatArray:
    """The density that a generative network gives to points, ``float64[S]``.

    Args:
        model: the network.
        points: ``float64[S, N]``.
        peak: of a density that it will be looked at beside: what is far smaller is all the same.

    Raises:
        UsageError: the network generates nothing.
        SolverError: the equations do not converge.
    """

    def given(net: KirchhoffNet, x: Tensor, solver: Solver) -> Tensor:
        # Where the way back overflows there is no density.
        return torch.nan_to_num(log_density(net, x, solver).exp(), nan=0.0)[:, None]

    return converge(generator(model), points, given, _SEEN * peak).outputs[:, 0]
