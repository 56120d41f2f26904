"""AdamW with a learning rate that follows a recipe, and a state that goes into a checkpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adamw import adamw

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

    def __init__(self, net: nn.Module, recipe: Recipe, steps: int) -> None:
        self._recipe = recipe
        self._total = recipe.epochs * steps
        self._parameters = list(net.parameters())
        self._state = [
            {
                **{name: torch.zeros_like(parameter) for name in _MOMENTS},
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            }
            for parameter in self._parameters
        ]

    def step(self, loss: Tensor, number: int) -> None:
        """Moves the parameters down a loss's gradient.

        Args:
            loss: a scalar.
            number: of this step, from 1 over all epochs; the learning rate goes by it.
        """
        recipe = self._recipe
        rate = recipe.learning_rate
        if recipe.final_rate is not None:
            turn = 0.5 * (1 + math.cos(math.pi * (number - 1) / self._total))
            rate = recipe.final_rate + (rate - recipe.final_rate) * turn
        for parameter in self._parameters:
            parameter.grad = None
        torch.autograd.backward(loss)
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, recipe.clip)
        self._move(rate)

    @torch.no_grad()
    def _move(self, rate: float) -> None:
        # The function behind torch.optim.AdamW: the class around it takes longer than the update
        # of a small network.
        used = [
            (parameter, parameter.grad, state)
            for parameter, state in zip(self._parameters, self._state, strict=True)
            if parameter.grad is not None
        ]
        if not used:
            return
        adamw(
            [parameter for parameter, _, _ in used],
            [gradient for _, gradient, _ in used],
            [state["exp_avg"] for _, _, state in used],
            [state["exp_avg_sq"] for _, _, state in used],
            [],
            [state["step"] for _, _, state in used],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self._recipe.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Its moments and step counts, ``<parameter>.<name>``, as a checkpoint stores them."""
        arrays: dict[str, NDArray[Any]] = {}
        for number, state in enumerate(self._state):
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
        ours, theirs = self._parameters, list(known.parameters())
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
                self._state[number] = {
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
