"""Inputs with known answers: regression and classification."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kcompile.errors import InputError, TrainingDiverged
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, converge
from kcompile.tasks.augmentation import augment
from kcompile.tasks.objectives.objective import Batch, Heard, Objective, Tested


class Supervised(Objective):
    """Targets beside inputs; a subclass says how outputs are compared with them."""

    tolerance: ClassVar[float]
    """How far the solver may be from the equations, in an output of the test split."""

    def batches(self, epoch: int, like: Tensor) -> Iterator[Batch]:
        """See ``Objective``."""
        generator = self.epoch_generator(epoch)
        split, names = self.split, self.recipe.augment
        inputs = torch.tensor(split.train_inputs).to(like.dtype)
        targets = self.targets(split.train_targets, like)
        for rows in self.rows(generator):
            x = inputs.index_select(0, rows)
            if names and split.shape is not None:
                x = augment(x, names, split.shape, generator)
            yield x.to(like.device), targets.index_select(0, rows).to(like.device)

    @abstractmethod
    def targets(self, targets: np.ndarray, like: Tensor) -> Tensor:
        """Targets as the loss takes them."""

    def test(
        self,
        net: KirchhoffNet,
        *,
        limit: int | None = None,
        as_trained: bool = False,
        on_progress: Heard | None = None,
    ) -> Tested:
        """See ``Objective``."""
        inputs, targets = self.split.test_inputs[:limit], self.split.test_targets[:limit]
        own = None
        if as_trained:
            with torch.no_grad():
                parts = torch.split(torch.tensor(inputs), max(self.recipe.batch, 64))
                outputs = torch.cat([net(part) for part in parts]).double().numpy()
            own = self._score(outputs, targets)
        found = converge(
            net, inputs, lambda net, x, solver: net(x, solver).flatten(1), self.tolerance,
            on_progress,
        )  # fmt: skip
        return Tested(self._score(found.outputs, targets), found.error, len(inputs), own)

    def _score(self, outputs: FloatArray, targets: np.ndarray) -> float:
        if not np.isfinite(outputs).all():
            raise TrainingDiverged(
                "outputs on the test split are not finite", hint="try another seed, or more steps"
            )
        return self.task.metric.value(outputs, targets)


class Regression(Supervised):
    """Mean squared error."""

    loss_name = "mse"
    small_loss = 1e-6
    tolerance = 1e-6

    def targets(self, targets: np.ndarray, like: Tensor) -> Tensor:
        """``[S, M]``, of the network's type."""
        return torch.tensor(targets).to(like.dtype)

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        inputs, targets = batch
        outputs = net(inputs)
        if outputs.shape != targets.shape:  # torch would stretch one of them
            raise _misfit(outputs, f"{targets.shape[1]} answers")
        return functional.mse_loss(outputs, targets)


class Classification(Supervised):
    """Cross entropy of the read-out voltages as logits."""

    loss_name = "cross_entropy"
    tolerance = 1e-3

    def targets(self, targets: np.ndarray, like: Tensor) -> Tensor:
        """Classes, ``int64[S]``."""
        return torch.tensor(targets)

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        inputs, targets = batch
        outputs = net(inputs)
        if outputs.ndim != 2 or outputs.shape[1] < self._classes:
            raise _misfit(outputs, f"{self._classes} classes")
        return functional.cross_entropy(outputs, targets)

    @cached_property
    def _classes(self) -> int:
        return int(self.split.train_targets.max(initial=0)) + 1


def _misfit(outputs: Tensor, wanted: str) -> InputError:
    return InputError(
        f"the network gives {list(outputs.shape[1:])} values a sample for {wanted}",
        hint="change the outputs or the head of the preset",
    )
