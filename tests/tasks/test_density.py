"""Densities that are given by a formula, matched by a flow."""

from __future__ import annotations

import numpy as np
import pytest
import recipes
import torch

from kcompile.nn import KirchhoffNet, push
from kcompile.tasks import get_task, task_metrics
from kcompile.tasks.building import build
from kcompile.tasks.data import POTENTIALS, potential
from kcompile.tasks.density import DRAWS
from kcompile.tasks.objectives import objective
from kcompile.tasks.training import train


@pytest.mark.parametrize("name", POTENTIALS)
def test_every_network_is_judged_on_the_same_normal_draws(name: str) -> None:
    split = get_task(name).load(None)
    assert split.test_inputs.shape == (DRAWS, 2)
    assert len(split.train_inputs) == 0
    np.testing.assert_allclose(split.test_inputs.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(split.test_inputs.std(axis=0), 1, atol=0.05)
    np.testing.assert_array_equal(get_task(name).load(None).test_inputs, split.test_inputs)


def test_samples_are_judged_where_there_is_a_density() -> None:
    """potential2's wave never ends: far away it is as low as anywhere and says nothing."""
    inside, far = np.array([[0.0, 0.4], [1.0, 1.0]]), np.array([[40.0, 0.0]])
    metric = get_task("potential2").metric
    nothing = np.empty((3, 0))
    mean = metric.value(np.concatenate((inside, far)), nothing)
    assert mean == pytest.approx(float(np.mean(potential("potential2", inside))))
    assert metric.value(far, nothing) == float("inf")
    assert metric.better == "lower"
    (scores,) = task_metrics("potential1", inside, inside + 0.1, None).values()
    assert scores["agreement"] == pytest.approx(abs(scores["software"] - scores["spice"]))


@pytest.mark.parametrize("batch", [1, 6, 7])
def test_draws_come_with_their_opposites(batch: int) -> None:
    recipe = recipes.preset(recipes.FLOW, batch=batch, steps_per_epoch=3).recipe
    goal = objective(recipes.density(), recipes.density().load(None), recipe)
    found = list(goal.batches(2, torch.zeros(1)))
    assert len(found) == 3
    for z, _ in found:
        assert z.shape == (batch, 2)
        assert z.dtype == torch.float32
        half = -(-batch // 2)
        assert torch.equal(z[half:], -z[: batch - half])
    assert not torch.equal(found[0][0], found[1][0])


def test_the_weight_of_the_potential_rises_to_1_and_stays() -> None:
    """A weight that ends below 1 would train for another density than it is judged by."""
    recipe = recipes.preset(recipes.FLOW, epochs=10, steps_per_epoch=4, anneal=0.5).recipe
    task = recipes.density()
    goal = objective(task, task.load(None), recipe)
    weights = [float(w) for epoch in range(1, 11) for _, w in goal.batches(epoch, torch.zeros(1))]
    assert len(weights) == 40
    assert 0 < weights[0] < 0.05
    np.testing.assert_allclose(np.diff(weights[:21]), weights[1] - weights[0], rtol=1e-3)
    assert weights[20:] == [1.0] * 20
    plain = recipes.preset(recipes.FLOW).recipe
    assert [
        float(w) for _, w in objective(task, task.load(None), plain).batches(1, torch.zeros(1))
    ] == [1.0] * 3
    # Half the weight is half the potential's part of the loss.
    preset = recipes.preset(recipes.FLOW)
    net = build(preset.plan("s"), preset.recipe, 0)
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        none, half, whole = (
            float(goal.loss(net, (z, torch.tensor(weight)))) for weight in (0.0, 0.5, 1.0)
        )
    assert half == pytest.approx((none + whole) / 2, rel=1e-5)
    assert whole > none


@pytest.mark.parametrize("name", POTENTIALS)
def test_a_flow_learns_a_density(name: str) -> None:
    """The divergence falls, the share of effective draws rises, and draws go where U is low."""
    task = recipes.density(name, draws=300)
    preset = recipes.preset(recipes.FLOW, epochs=25, steps_per_epoch=20, batch=128)
    split = task.load(None)
    goal = objective(task, split, preset.recipe)
    before = train(task, preset=preset, epochs=1)
    result = train(task, preset=preset)
    curve = result.checkpoint.training["curve"]
    assert curve[-1] < 0.5 * curve[0]
    assert result.test_metric_converged > before.test_metric_converged
    assert 0 < result.test_metric_converged <= 1
    assert result.test_metric_converged == pytest.approx(result.test_metric, abs=0.05)
    net = KirchhoffNet.from_checkpoint(result.checkpoint)
    assert goal.test(net).score == result.test_metric_converged
    with torch.no_grad():
        x = push(net, torch.tensor(split.test_inputs))[0].double().numpy()
    drawn = np.mean(potential(name, x))
    assert drawn < np.mean(potential(name, split.test_inputs))
    assert result.checkpoint.training["loss"] == "reverse_kl"
    assert result.checkpoint.training["metric"] == "ess"
