"""Inputs with known answers: regression and classification."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kcompile.errors import InputError, TrainingDiverged
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, Solver
from kcompile.tasks.augmentation import augment
from kcompile.tasks.objectives.objective import Batch, Objective


class Supervised(Objective):
    """Targets beside inputs; a subclass says how outputs are compared with them."""

    def require_fit(self, net: KirchhoffNet) -> None:
        """See ``Objective``."""
        super().require_fit(net)
        with torch.no_grad():
            self.require_outputs(net.head(torch.zeros(1, len(net.outputs), dtype=net.dtype)))

    @abstractmethod
    def require_outputs(self, outputs: Tensor) -> None:
        """Sees that outputs ``[S, M]`` can be compared with targets.

        Raises:
            InputError: there are too few or too many of a sample.
        """

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

    def answers(self, net: KirchhoffNet, inputs: Tensor, solver: Solver | None = None) -> Tensor:
        """What the network gives."""
        return net(inputs, solver).flatten(1)

    def score(self, answers: FloatArray, targets: NDArray[Any]) -> float:
        """See ``Objective``."""
        if not np.isfinite(answers).all():
            raise TrainingDiverged(
                "outputs on the test split are not finite", hint="try another seed, or more steps"
            )
        return self.task.metric.value(answers, targets)


class Regression(Supervised):
    """Mean squared error."""

    loss_name = "mse"
    small_loss = 1e-6
    tolerance = 1e-6

    def targets(self, targets: np.ndarray, like: Tensor) -> Tensor:
        """``[S, M]``, of the network's type."""
        return torch.tensor(targets).to(like.dtype)

    def require_outputs(self, outputs: Tensor) -> None:
        """See ``Supervised``."""
        answers = self.split.train_targets.shape[1]
        if outputs.ndim != 2 or outputs.shape[1] != answers:  # torch would stretch one of them
            raise _misfit(outputs, f"{answers} answers")

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        inputs, targets = batch
        outputs = net(inputs)
        self.require_outputs(outputs)
        return functional.mse_loss(outputs, targets)


class Classification(Supervised):
    """Cross entropy of the read-out voltages as logits."""

    loss_name = "cross_entropy"
    tolerance = 1e-3

    def targets(self, targets: np.ndarray, like: Tensor) -> Tensor:
        """Classes, ``int64[S]``."""
        return torch.tensor(targets)

    def require_outputs(self, outputs: Tensor) -> None:
        """See ``Supervised``."""
        if outputs.ndim != 2 or outputs.shape[1] < self._classes:
            raise _misfit(outputs, f"{self._classes} classes")

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        inputs, targets = batch
        outputs = net(inputs)
        self.require_outputs(outputs)
        return functional.cross_entropy(outputs, targets)

    @cached_property
    def _classes(self) -> int:
        return int(self.split.train_targets.max(initial=0)) + 1


def _misfit(outputs: Tensor, wanted: str) -> InputError:
    return InputError(
        f"the network gives {list(outputs.shape[1:])} values a sample for {wanted}",
        hint="change the outputs or the head of the preset",
    )
