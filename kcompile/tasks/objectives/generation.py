"""Maximum likelihood of data under the density of a flow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kcompile.errors import TrainingDiverged
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, Solver, log_density, require_flow
from kcompile.tasks.objectives.objective import Batch, Objective
from kcompile.tasks.task import Recipe, Split, Task

_TOLERANCE = 1e-4
"""The same as ``Objective.tolerance``, per value of a sample."""


class Generation(Objective):
    """Negative log-likelihood, in nats, solved from the data back to the normal draw.

    Training images of whole numbers 0..255 get noise anew at every step: each pixel is a draw
    from its 256th of 0..1.
    """

    loss_name = "nll"

    def __init__(self, task: Task, split: Split, recipe: Recipe, seed: int) -> None:
        super().__init__(task, split, recipe, seed)
        self.tolerance = _TOLERANCE * split.test_inputs.shape[1]

    def require_fit(self, net: KirchhoffNet) -> None:
        """See ``Objective``."""
        super().require_fit(net)
        require_flow(net)

    def batches(self, epoch: int, like: Tensor) -> Iterator[Batch]:
        """See ``Objective``."""
        generator = self.epoch_generator(epoch)
        data = torch.tensor(self.split.train_inputs)
        for rows in self.rows(generator):
            x = data.index_select(0, rows).to(like.dtype)
            if not data.dtype.is_floating_point:
                x = (x + torch.rand(x.shape, generator=generator, dtype=x.dtype)) / 256.0
            yield (x.to(like.device),)

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        return -log_density(net, batch[0]).mean()

    def answers(self, net: KirchhoffNet, inputs: Tensor, solver: Solver | None = None) -> Tensor:
        """The log density of each sample, ``[S, 1]``."""
        return log_density(net, inputs, solver)[:, None]

    def score(self, answers: FloatArray, targets: NDArray[Any]) -> float:
        """The mean negative log-likelihood."""
        mean = -float(np.mean(answers))
        if not math.isfinite(mean):
            raise TrainingDiverged(
                "the likelihood of the test split is not finite", hint="try another seed"
            )
        return mean
