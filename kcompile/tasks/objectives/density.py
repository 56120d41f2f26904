"""The density of a flow made that of a potential: the reverse Kullback-Leibler divergence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kcompile.errors import TrainingDiverged
from kcompile.ir import FloatArray
from kcompile.nn import KirchhoffNet, Solver, push, require_flow
from kcompile.tasks.data import get_potential, inside, log_normaliser, potential
from kcompile.tasks.objectives.objective import Batch, Objective

_WALL = 20.0
"""Steepness of the wall (per unit squared) around the disc of a potential that has one."""

_FAINTEST = 0.01
"""The weight of a potential that annealing begins with."""


class DensityMatching(Objective):
    """``E[log q(x) + U(x)]`` over draws x of the flow, which the normaliser makes a divergence.

    While the recipe anneals, U counts for less than it is.
    """

    loss_name = "reverse_kl"
    tolerance = 1e-4

    def require_fit(self, net: KirchhoffNet) -> None:
        """See ``Objective``."""
        super().require_fit(net)
        require_flow(net)

    def batches(self, epoch: int, like: Tensor) -> Iterator[Batch]:
        """Draws ``[S, 2]``, each with its opposite, and the weight of the potential."""
        generator = self.epoch_generator(epoch)
        half = -(-self.recipe.batch // 2)
        for step in range(self.steps):
            z = torch.randn(half, 2, generator=generator, dtype=torch.float64)
            passed = (epoch - 1 + step / self.steps) / self.recipe.epochs
            weight = torch.tensor(self._weight(passed), dtype=torch.float64)
            yield torch.cat((z, -z))[: self.recipe.batch].to(like), weight.to(like)

    def _weight(self, passed: float) -> float:
        """What the potential is multiplied by when a share of all epochs has passed."""
        until = self.recipe.anneal
        return min(1.0, _FAINTEST + (1 - _FAINTEST) * passed / until) if until else 1.0

    def loss(self, net: KirchhoffNet, batch: Batch) -> Tensor:
        """See ``Objective``."""
        z, weight = batch[0], batch[1] if len(batch) > 1 else 1.0
        x, log_q = push(net, z)
        target = get_potential(self.task.name)
        functions: Any = torch
        energy = target.energy(x[:, 0], x[:, 1], functions)
        if target.radius is not None:
            beyond = functions.relu(functions.linalg.vector_norm(x, dim=1) - target.radius)
            energy = energy + _WALL * beyond**2
        return (log_q + weight * energy).mean() + log_normaliser(self.task.name)

    def answers(self, net: KirchhoffNet, inputs: Tensor, solver: Solver | None = None) -> Tensor:
        """Where each draw ends, and the log density there, ``[S, 3]``."""
        x, log_q = push(net, inputs, solver)
        return torch.cat((x, log_q[:, None]), dim=1)

    def score(self, answers: FloatArray, targets: NDArray[Any]) -> float:
        """The effective share of the draws, 0..1."""
        return effective_share(self.task.name, answers[:, :2], answers[:, 2])


def effective_share(name: str, x: FloatArray, log_q: FloatArray) -> float:
    """The effective sample size of draws as samples of a potential's density, over their number.

    With importance weights ``w = exp(-U)/q``, 0 outside the disc of a potential that has one:
    ``(sum w)^2 / (S * sum w^2)`` (Kong, 1992). It is 1 where the two densities are equal.

    Args:
        name: of the potential.
        x: ``float64[S, 2]``.
        log_q: ``float64[S]``, the logarithm of the flow's density there.

    Raises:
        TrainingDiverged: a value is not finite.
    """
    finite = np.isfinite(x).all() and np.isfinite(log_q).all()
    with np.errstate(over="ignore"):
        log_w = -potential(name, x) - log_q if finite else log_q
    if not (finite and np.isfinite(log_w).all()):
        raise TrainingDiverged("the flow's density is not finite", hint="try another seed")
    counted = log_w[inside(name, x)]
    if not len(counted):
        return 0.0
    w = np.exp(counted - counted.max())
    return float(w.sum() ** 2 / (len(x) * (w**2).sum()))
