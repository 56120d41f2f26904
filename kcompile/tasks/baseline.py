"""The baseline of Table I: a four-layer MLP of about as many parameters, by the same recipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from kcompile.errors import UsageError
from kcompile.nn.threads import one_thread
from kcompile.tasks.building import build, network_of
from kcompile.tasks.objectives import objective
from kcompile.tasks.optimiser import Optimiser
from kcompile.tasks.task import Kind, Preset, Split, Task

_MOST = 4096


@dataclass(frozen=True)
class Baseline:
    """A finished run.

    Args:
        parameters: how many numbers were trained.
        width: of the three hidden layers.
        seed: of initialisation and shuffling.
        test_metric: on the test split.
        seconds: it took.
    """

    parameters: int
    width: int
    seed: int
    test_metric: float
    seconds: float

    @property
    def test_metric_converged(self) -> float:
        """The same: no solver stands between an MLP and its answer."""
        return self.test_metric

    @property
    def varied(self) -> None:
        """An MLP is no circuit."""
        return


def train_baseline(
    task: Task,
    *,
    preset: Preset | None = None,
    size: str = "s",
    seed: int = 0,
    epochs: int | None = None,
    split: Split | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> Baseline:
    """Trains linear steps with a relu between each two on a regression task.

    Args:
        task: what to train for.
        preset: whose network's number of parameters is matched, and whose recipe is followed.
        size: of that network.
        seed: of initialisation and shuffling.
        epochs: instead of the recipe's.
        split: the task's data, where the caller has loaded it already.
        on_epoch: hears how many epochs are done, of how many.

    Raises:
        UsageError: the task is no regression, or there is no such size.
        ConfigError: the preset's network cannot be built.
    """
    if task.kind is not Kind.REGRESSION:
        raise UsageError(f"no MLP for {task.name}", hint="the baseline is for regression tasks")
    chosen = preset or task.preset()
    recipe = chosen.recipe if epochs is None else replace(chosen.recipe, epochs=epochs)
    began = time.perf_counter()
    data = task.load(None) if split is None else split
    goal = objective(task, data, recipe, seed)
    given, answers = data.train_inputs.shape[1], data.train_targets.shape[1]
    plan = chosen.plan(size)
    with network_of(chosen):
        wanted = build(plan, recipe, seed).parameter_count
    width = equal_width(given, answers, wanted)
    with one_thread():
        mlp = _mlp(given, width, answers)
        _initialise(mlp, torch.Generator().manual_seed(seed))
        optimiser = Optimiser(mlp, recipe, goal.steps)
        for epoch in range(1, recipe.epochs + 1):
            batches = goal.batches(epoch, next(mlp.parameters()))
            for number, (inputs, targets) in enumerate(batches, (epoch - 1) * goal.steps + 1):
                optimiser.step(functional.mse_loss(mlp(inputs), targets), number)
            if on_epoch is not None:
                on_epoch(epoch, recipe.epochs)
        with torch.no_grad():
            outputs: Tensor = mlp(torch.tensor(data.test_inputs).float())
    metric = task.metric.value(outputs.double().numpy(), data.test_targets)
    return Baseline(
        mlp_parameters(given, width, answers), width, seed, metric, time.perf_counter() - began
    )


def _initialise(mlp: nn.Module, generator: torch.Generator) -> None:
    """Uniform within one over the square root of the fan, weights and biases, as torch does it."""
    for step in mlp.children():
        if isinstance(step, nn.Linear):
            bound = step.in_features**-0.5
            for values in (step.weight, step.bias):
                nn.init.uniform_(values, -bound, bound, generator=generator)


def mlp_parameters(inputs: int, width: int, outputs: int) -> int:
    """How many weights and biases an MLP of four linear steps has."""
    return (inputs + 1) * width + 2 * (width + 1) * width + (width + 1) * outputs


def equal_width(inputs: int, outputs: int, parameters: int) -> int:
    """The hidden width whose number of parameters is nearest to ``parameters``."""
    return min(
        range(1, _MOST), key=lambda width: abs(mlp_parameters(inputs, width, outputs) - parameters)
    )


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    steps: list[nn.Module] = []
    for given, out in ((inputs, width), (width, width), (width, width), (width, outputs)):
        steps += [nn.Linear(given, out), nn.ReLU()]
    return nn.Sequential(*steps[:-1])
