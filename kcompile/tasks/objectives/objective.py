"""What every objective offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kcompile.errors import InputError
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, Solver, converge
from kcompile.tasks.task import Recipe, Split, Task

Batch = tuple[Tensor, ...]

_LEAST = 64
"""So many test samples are worked on together, where a batch is smaller."""

Heard = Callable[[int, int], None]
"""Hears how many samples are done, of how many."""


@dataclass(frozen=True)
class Tested:
    """How good a network is on the test split.

    Args:
        score: the task's, by the converged equations.
        error: how far the last doubling of the solver's steps moved an answer at most.
        samples: how many it was judged on.
        as_trained: the score by the solver it was trained with; None where that was not asked for.
    """

    score: float
    error: float
    samples: int
    as_trained: float | None = None


class Objective(ABC):
    """A task's loss on batches of its training data, and its score on the test split.

    Every epoch's shuffling and noise depend on seed and epoch alone, so that an interrupted run
    goes on as if it had not been.

    Args:
        task: what is trained for.
        split: its data.
        recipe: batch size and the like.
        seed: of shuffling, noise and draws.
    """

    loss_name: ClassVar[str]
    small_loss: ClassVar[float] = 1.0
    """A first loss below this says nothing of how far a loss may rise (nats may begin near 0)."""
    tolerance: float
    """How far the solver may be from the equations, in an answer."""

    def __init__(self, task: Task, split: Split, recipe: Recipe, seed: int) -> None:
        self.task = task
        self.split = split
        self.recipe = recipe
        self.seed = seed

    def epoch_generator(self, epoch: int) -> torch.Generator:
        """The source of all that is random in an epoch."""
        state = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        every = -(-len(self.split.train_inputs) // self.recipe.batch)
        return self.recipe.steps_per_epoch or max(every, 1)

    def rows(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Which training samples each batch of an epoch takes: a pass in random order.

        Where the recipe says how many batches an epoch has, passes follow each other until there
        are so many.
        """
        count, batch, given = len(self.split.train_inputs), self.recipe.batch, 0
        while given < self.steps:
            order = torch.randperm(count, generator=generator)
            for start in range(0, count, batch):
                if given == self.steps:
                    return
                yield order[start : start + batch]
                given += 1

    def require_fit(self, net: KirchhoffNet) -> None:
        """Sees that a network takes the data and gives what is judged, before it is trained.

        Raises:
            InputError, UsageError: it does not.
        """
        width = self.split.test_inputs.shape[1]
        if net.input_width != width:
            raise InputError(
                f"inputs is {net.input_width}, a sample of {self.task.name} has {width} values",
                hint=f"write: inputs = {width}",
            )

    @abstractmethod
    def batches(self, epoch: int, like: Tensor) -> Iterator[Batch]:
        """The batches of an epoch (counted from 1), of the type and on the device of ``like``."""

    @abstractmethod
    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """The mean loss of a batch, a scalar."""

    @abstractmethod
    def answers(self, net: KirchhoffNet, inputs: Tensor, solver: Solver | None = None) -> Tensor:
        """What the score is told from, ``[S, K]``, by the network's own solver or another."""

    @abstractmethod
    def score(self, answers: FloatArray, targets: NDArray[Any]) -> float:
        """The task's score of answers.

        Raises:
            TrainingDiverged: one is not finite.
        """

    def test(
        self,
        net: KirchhoffNet,
        *,
        limit: int | None = None,
        as_trained: bool = False,
        on_progress: Heard | None = None,
    ) -> Tested:
        """The network's score on the test split.

        Args:
            net: on the CPU; it is not changed.
            limit: look at so many samples only.
            as_trained: tell the score by the network's own solver, too.
            on_progress: hears how far it is.

        Raises:
            SolverError: the equations do not converge, or the network's own solver gives up.
            TrainingDiverged: an answer is not finite.
        """
        inputs, targets = self.split.test_inputs[:limit], self.split.test_targets[:limit]
        own = None
        if as_trained:
            parts = torch.split(torch.tensor(inputs), max(self.recipe.batch, _LEAST))
            with torch.no_grad():
                found = torch.cat([self.answers(net, part) for part in parts])
            own = self.score(found.double().numpy(), targets)
        converged = converge(net, inputs, self.answers, self.tolerance, on_progress)
        score = self.score(converged.outputs, targets)
        return Tested(score, converged.error, len(inputs), own)
