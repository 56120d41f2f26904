"""AdamW with its schedule, and its state in a checkpoint."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import random_edges

from kcompile.errors import CheckpointError
from kcompile.frontend import Checkpoint
from kcompile.nn import KirchhoffNet, Layer
from kcompile.tasks.optimiser import Optimiser
from kcompile.tasks.task import Recipe

RECIPE = Recipe(epochs=3, batch=1, learning_rate=1e-1, final_rate=1e-3, weight_decay=0.02)
STEPS = 4


def network(seed: int = 0, edges: int = 7) -> KirchhoffNet:
    """A float32 layer of four nodes."""
    layer = Layer(random_edges("tanh_affine", 4, edges, np.random.default_rng(seed)), 4, 0.5)
    return KirchhoffNet([layer], 2, [3]).float()


def loss(net: KirchhoffNet, number: int) -> torch.Tensor:
    """Some smooth function of every parameter that differs from step to step."""
    return sum((torch.sin(number + 3 * p) ** 2).sum() for p in net.parameters())  # pyright: ignore[reportReturnType]


def by_hand(recipe: Recipe, steps: int) -> list[np.ndarray]:
    """AdamW in float64, from its paper (arXiv:1711.05101, Algorithm 2)."""
    net = network().double()
    values = [p.detach().numpy().copy() for p in net.parameters()]
    first, second = ([np.zeros_like(v) for v in values] for _ in range(2))
    for number in range(1, steps + 1):
        rate = recipe.learning_rate
        if recipe.final_rate is not None:
            turn = 0.5 * (1 + math.cos(math.pi * (number - 1) / (recipe.epochs * STEPS)))
            rate = recipe.final_rate + (rate - recipe.final_rate) * turn
        gradients = [3 * np.sin(2 * (number + 3 * v)) for v in values]
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        if recipe.clip is not None and norm > recipe.clip:
            gradients = [g * recipe.clip / norm for g in gradients]
        for k, g in enumerate(gradients):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g**2
            m, v = first[k] / (1 - 0.9**number), second[k] / (1 - 0.999**number)
            values[k] = (
                values[k] - rate * recipe.weight_decay * values[k] - rate * m / (np.sqrt(v) + 1e-8)
            )
    return values


@pytest.mark.parametrize(
    "changes", [{}, {"final_rate": None}, {"clip": 0.5}, {"clip": 1e9}, {"weight_decay": 0.0}]
)
def test_every_step_is_adamw_along_the_cosine(changes: dict[str, float | None]) -> None:
    """A learning rate that lags a step behind, or a decay that is not decoupled, shows here."""
    recipe = replace(RECIPE, **changes)
    net = network()
    optimiser = Optimiser(net, recipe, STEPS)
    for number in range(1, 3 * STEPS + 1):
        optimiser.step(loss(net, number), number)
    for parameter, expected in zip(net.parameters(), by_hand(recipe, 3 * STEPS), strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=0, atol=2e-4)


def test_a_restored_optimiser_goes_on_as_if_nothing_had_been() -> None:
    straight = network()
    optimiser = Optimiser(straight, RECIPE, STEPS)
    for number in range(1, 6):
        optimiser.step(loss(straight, number), number)
    checkpoint = straight.to_checkpoint(optimiser=optimiser.state())
    state = {name: values.copy() for name, values in checkpoint.optimiser.items()}
    again = network(seed=9)
    resumed = Optimiser(again, RECIPE, STEPS)
    resumed.restore(checkpoint)
    for number in range(6, 10):
        optimiser.step(loss(straight, number), number)
        resumed.step(loss(again, number), number)
    for one, other in zip(straight.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    for name, values in resumed.state().items():
        np.testing.assert_array_equal(values, optimiser.state()[name])
    # What was saved is a copy: it does not train on.
    for name, values in state.items():
        np.testing.assert_array_equal(values, checkpoint.optimiser[name])


def trained() -> Checkpoint:
    net = network()
    optimiser = Optimiser(net, RECIPE, STEPS)
    optimiser.step(loss(net, 1), 1)
    return net.to_checkpoint(optimiser=optimiser.state())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("0.exp_avg", None),
        ("0.exp_avg_sq", None),
        ("0.step", None),
        ("0.exp_avg", np.zeros(3, np.float32)),
        ("0.exp_avg", np.zeros((4, 7), np.int32)),
        ("0.exp_avg_sq", np.full((4, 7), np.nan, np.float32)),
        ("0.step", np.zeros(2, np.float32)),
        ("0.step", np.full(1, np.inf, np.float32)),
    ],
)
def test_a_damaged_state_is_named(name: str, values: np.ndarray | None) -> None:
    """A stranger's checkpoint: a shape that broadcasts would train on with wrong moments."""
    checkpoint = trained()
    state = {key: stored for key, stored in checkpoint.optimiser.items() if key != name}
    if values is not None:
        state[name] = values
    net = network()
    with pytest.raises(CheckpointError, match=f"the tensor optimiser.{name} "):
        Optimiser(net, RECIPE, STEPS).restore(replace(checkpoint, optimiser=state))


@pytest.mark.parametrize("other", ["edges", "layers"])
def test_another_network_is_refused(other: str) -> None:
    net = network(edges=8)
    if other == "layers":
        net = KirchhoffNet([*network().phases, *network(1).phases], 2, [3])
    with pytest.raises(CheckpointError, match="of another network"):
        Optimiser(net, RECIPE, STEPS).restore(trained())
