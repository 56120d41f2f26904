"""Maximum likelihood of data under the density of a flow."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from kcompile.errors import TrainingDiverged
from kcompile.nn import KirchhoffNet, converge, log_density
from kcompile.tasks.objectives.objective import Batch, Heard, Objective, Tested

_TOLERANCE = 1e-4


class Generation(Objective):
    """Negative log-likelihood, in nats, solved from the data back to the normal draw.

    Training images of whole numbers 0..255 get noise anew at every step: each pixel is a draw
    from its 256th of 0..1.
    """

    loss_name = "nll"

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

    def test(
        self,
        net: KirchhoffNet,
        *,
        limit: int | None = None,
        as_trained: bool = False,
        on_progress: Heard | None = None,
    ) -> Tested:
        """See ``Objective``."""
        inputs = self.split.test_inputs[:limit]
        own = None
        if as_trained:
            with torch.no_grad():
                own = _finite(-float(log_density(net, torch.tensor(inputs)).double().mean()))
        found = converge(
            net, inputs, lambda net, x, solver: log_density(net, x, solver)[:, None],
            _TOLERANCE * inputs.shape[1], on_progress,
        )  # fmt: skip
        return Tested(_finite(-float(np.mean(found.outputs))), found.error, len(inputs), own)


def _finite(score: float) -> float:
    if not math.isfinite(score):
        raise TrainingDiverged(
            "the likelihood of the test split is not finite", hint="try another seed"
        )
    return score
