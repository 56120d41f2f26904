"""AdamW with a learning rate that follows a recipe, and a state that goes into a checkpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kcompile.errors import CheckpointError
from kcompile.frontend.records import Checkpoint
from kcompile.nn import KirchhoffNet
from kcompile.tasks.task import Recipe

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Optimiser:
    """AdamW over a network's parameters.

    Args:
        net: its parameters are moved in place.
        recipe: learning rates, decay, the largest gradient.
        steps: batches in an epoch.
    """

    def __init__(self, net: KirchhoffNet, recipe: Recipe, steps: int) -> None:
        self._net = net
        self._recipe = recipe
        self._total = recipe.epochs * steps
        self._parameters = list(net.parameters())
        self._adam = torch.optim.AdamW(
            self._parameters,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    def step(self, loss: Tensor, number: int) -> None:
        """Moves the parameters down a loss's gradient.

        Args:
            loss: a scalar.
            number: of this step, from 1 over all epochs; the learning rate goes by it.
        """
        recipe = self._recipe
        if recipe.final_rate is not None:
            turn = 0.5 * (1 + math.cos(math.pi * (number - 1) / self._total))
            rate = recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * turn
            for group in self._adam.param_groups:
                group["lr"] = rate
        for parameter in self._parameters:
            parameter.grad = None
        torch.autograd.backward(loss)
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, recipe.clip)
        self._adam.step()  # pyright: ignore[reportUnknownMemberType]

    def state(self) -> dict[str, NDArray[Any]]:
        """Its moments and step counts, ``<parameter>.<name>``, as a checkpoint stores them."""
        arrays: dict[str, NDArray[Any]] = {}
        for number, parameter in enumerate(self._net.parameters()):
            state: dict[str, Tensor] = self._adam.state[parameter]
            for name in (*_MOMENTS, "step"):
                values = state[name].detach().cpu().numpy().copy()
                arrays[f"{number}.{name}"] = np.atleast_1d(values)
        return arrays

    def restore(self, checkpoint: Checkpoint) -> None:
        """Puts parameters and moments back as a checkpoint of the same network has them.

        Raises:
            CheckpointError: it is of another network.
        """
        known = KirchhoffNet.from_checkpoint(checkpoint)
        ours, theirs = list(self._net.parameters()), list(known.parameters())
        if [p.shape for p in ours] != [p.shape for p in theirs]:
            raise CheckpointError("the checkpoint is of another network")
        with torch.no_grad():
            for number, (parameter, stored) in enumerate(zip(ours, theirs, strict=True)):
                state = {
                    name: self._stored(checkpoint, f"{number}.{name}", parameter.shape)
                    for name in _MOMENTS
                }
                step = self._stored(checkpoint, f"{number}.step", torch.Size([1]))[0]
                parameter.copy_(stored)
                self._adam.state[parameter] = {
                    **{name: moment.to(parameter) for name, moment in state.items()},
                    "step": step.to(parameter.device, torch.float32),
                }

    @staticmethod
    def _stored(checkpoint: Checkpoint, name: str, shape: torch.Size) -> Tensor:
        values = checkpoint.optimiser.get(name)
        if values is None or values.shape != tuple(shape) or values.dtype.kind != "f":
            raise CheckpointError(f"the tensor optimiser.{name} is missing or of another shape")
        if not np.isfinite(values).all():
            raise CheckpointError(f"the tensor optimiser.{name} has values that are not finite")
        return torch.as_tensor(values.copy())
