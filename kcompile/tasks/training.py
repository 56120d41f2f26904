"""Training a task's network: AdamW on shuffled batches, a checkpoint after every epoch."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kcompile import __version__
from kcompile.errors import SolverError, TrainingDiverged, UsageError
from kcompile.frontend.model import Samples
from kcompile.frontend.records import Checkpoint
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, converged_solution
from kcompile.nn.threads import one_thread
from kcompile.tasks.building import build
from kcompile.tasks.task import Recipe, Split, Task

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": functional.mse_loss}
"""What training can minimise: maps outputs and targets, ``[S, M]``, to a scalar."""

CARRIED_SAMPLES = 64
"""How many test samples a checkpoint carries, so that verify needs no data set."""

_RUNAWAY = 100.0
_PACKAGES = ("torch", "torchdiffeq", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Progress:
    """How far a training run is.

    Args:
        epoch: epochs done.
        epochs: epochs wanted.
        loss: mean training loss of the last epoch.
        seconds: since it began.
    """

    epoch: int
    epochs: int
    loss: float
    seconds: float

    @property
    def remaining(self) -> float:
        """Seconds still to go at the pace so far."""
        return self.seconds / self.epoch * (self.epochs - self.epoch)


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training run.

    Args:
        checkpoint: the network with everything about it.
        parameters: how many numbers were trained.
        seed: of initialisation and shuffling.
        test_metric: on the whole test split, with the solver it was trained with.
        test_metric_converged: the same of the circuit equations themselves.
        convergence_error: how far the converged outputs may be off, software units.
        seconds: it took.
    """

    checkpoint: Checkpoint
    parameters: int
    seed: int
    test_metric: float
    test_metric_converged: float
    convergence_error: float
    seconds: float


def train(
    task: Task,
    *,
    size: str = "s",
    seed: int = 0,
    epochs: int | None = None,
    split: Split | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
    save: Callable[[Checkpoint], None] | None = None,
) -> Trained:
    """Trains one network on one core; the same arguments give the same checkpoint.

    Args:
        task: what to train for.
        size: a size of the task.
        seed: of initialisation and shuffling.
        epochs: instead of the recipe's.
        split: the task's data, where the caller has loaded it already.
        on_epoch: called after every epoch, once its checkpoint is saved.
        save: given a checkpoint after every epoch and a last one with the test metrics.

    Raises:
        TrainingDiverged: the loss became NaN or ran away; what was saved last is still finite.
        SolverError: the trained network's equations do not converge.
        UsageError: no such size, or no epochs.
        MissingExtra: the data wants a package that is not installed.
    """
    recipe = task.recipe if epochs is None else replace(task.recipe, epochs=epochs)
    if recipe.epochs < 1:
        raise UsageError(f"{recipe.epochs} epochs", hint="train for one or more")
    began = time.perf_counter()
    data = task.load() if split is None else split
    with one_thread():
        net = build(task.plan(size), recipe, seed)
        run = _Run(task, size, seed, recipe, data, net)
        curve: list[float] = []
        for loss in _epochs(net, recipe, LOSSES[task.loss], data, seed):
            curve.append(loss)
            if save is not None:
                save(run.checkpoint(curve, {}))
            if on_epoch is not None:
                seconds = time.perf_counter() - began
                on_epoch(Progress(len(curve), recipe.epochs, loss, seconds))
        metrics = _test(task, net, data)
    checkpoint = run.checkpoint(curve, metrics)
    if save is not None:
        save(checkpoint)
    return Trained(
        checkpoint, net.parameter_count, seed, **metrics, seconds=time.perf_counter() - began
    )


def _versions() -> dict[str, str]:
    found = {"kcompile": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, eq=False)
class _Run:
    """What a training run is, and so what its checkpoints say."""

    task: Task
    size: str
    seed: int
    recipe: Recipe
    data: Split
    net: KirchhoffNet
    versions: dict[str, str] = field(default_factory=_versions)

    def checkpoint(self, curve: list[float], metrics: dict[str, float]) -> Checkpoint:
        data = self.data
        record: dict[str, Any] = {
            "size": self.size,
            "seed": self.seed,
            "recipe": asdict(self.recipe),
            "loss": self.task.loss,
            "metric": self.task.metric.name,
            "optimiser": "AdamW",
            "epochs_done": len(curve),
            "curve": [float(f"{loss:.6g}") for loss in curve],
            "versions": self.versions,
            **metrics,
        }
        samples = Samples(data.test_inputs[:CARRIED_SAMPLES], data.test_targets[:CARRIED_SAMPLES])
        return self.net.to_checkpoint(
            task=self.task.name,
            normalisation=data.normalisation,
            training=record,
            samples=samples,
        )


def _epochs(
    net: KirchhoffNet,
    recipe: Recipe,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    data: Split,
    seed: int,
) -> Iterator[float]:
    """Trains a network in place; yields the mean loss of every epoch after it."""
    inputs, targets = _tensor(data.train_inputs, net), _tensor(data.train_targets, net)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    generator = torch.Generator().manual_seed(seed)
    first = math.inf
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(inputs), generator=generator)
        total = 0.0
        for start in range(0, len(order), recipe.batch):
            rows = order[start : start + recipe.batch]
            try:
                loss = loss_of(net(inputs[rows]), targets[rows])
            except SolverError as error:
                raise _diverged(f"the solver cannot follow ({error})", epoch) from error
            value = loss.item()
            if not math.isfinite(value):
                raise _diverged(f"the loss became {value}", epoch)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]
            total += value * len(rows)
        mean = total / len(order)
        if mean > _RUNAWAY * first:
            raise _diverged(f"the loss ran away from {first:.2g} to {mean:.2g}", epoch)
        if epoch == 1:
            first = mean
        yield mean


def _diverged(what: str, epoch: int) -> TrainingDiverged:
    return TrainingDiverged(
        f"{what} in epoch {epoch}", hint="try another seed, or a lower learning rate"
    )


def _test(task: Task, net: KirchhoffNet, data: Split) -> dict[str, float]:
    """The metric on the test split, as trained and converged."""
    with torch.no_grad():
        trained = net(_tensor(data.test_inputs, net)).double().numpy()
    if not np.isfinite(trained).all():
        raise TrainingDiverged(
            "outputs on the test split are not finite", hint="try another seed, or more steps"
        )
    converged = converged_solution(net, data.test_inputs)
    return {
        "test_metric": task.metric.value(trained, data.test_targets),
        "test_metric_converged": task.metric.value(converged.outputs, data.test_targets),
        "convergence_error": converged.error,
    }


def _tensor(values: FloatArray, net: KirchhoffNet) -> Tensor:
    return torch.as_tensor(values).to(net.dtype)


def summary(task: Task, size: str, results: Sequence[Trained]) -> dict[str, Any]:
    """What ``kcompile train --json`` writes about one or more runs.

    Returns:
        ``{"task", "size", "parameters", "seeds": [{"seed", "test_metric",
        "test_metric_converged", "seconds"}], "mean", "sd"}``; mean and standard deviation (of the
        sample; 0 for one run) are those of the converged metric.
    """
    converged = [result.test_metric_converged for result in results]
    return {
        "task": task.name,
        "size": size,
        "parameters": results[0].parameters,
        "seeds": [
            {
                "seed": result.seed,
                "test_metric": result.test_metric,
                "test_metric_converged": result.test_metric_converged,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
        "mean": statistics.fmean(converged),
        "sd": statistics.stdev(converged) if len(converged) > 1 else 0.0,
    }
