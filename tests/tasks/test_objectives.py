"""What training minimises and how its result is judged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import recipes
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import random_edges
from torch.nn import functional
from torchdiffeq import odeint

from kcompile.errors import SolverError, TrainingDiverged, UsageError
from kcompile.frontend.software import Linear, Software
from kcompile.nn import KirchhoffNet, Layer, Solver, converge, log_density, push
from kcompile.tasks import Recipe, Split, Task, get_task
from kcompile.tasks.building import build
from kcompile.tasks.data import log_normaliser
from kcompile.tasks.data.potentials import log_density as exact_log_density
from kcompile.tasks.metrics import METRICS
from kcompile.tasks.objectives import Classification, Generation, Regression, objective
from kcompile.tasks.objectives.density import DensityMatching, effective_share

RECIPE = Recipe(epochs=1, batch=4, learning_rate=1e-3, steps=8)


def flow(law: str = "tanh_affine", seed: int = 0, nodes: int = 2) -> KirchhoffNet:
    """Two float64 layers that take, keep and give every node."""
    random = np.random.default_rng(seed)
    layers = [Layer(random_edges(law, nodes, 9, random), nodes, t) for t in (0.4, 0.3)]
    net = KirchhoffNet(layers, nodes, range(1, nodes + 1), solver=Solver("rk4", steps=40))
    for parameters in net.parameters():
        parameters.data *= 0.5
    return net


def split_of(inputs: np.ndarray, targets: np.ndarray | None = None, **fields: object) -> Split:
    """The same samples to train and to test with."""
    targets = np.empty((len(inputs), 0)) if targets is None else targets
    return Split(inputs, targets, inputs.astype(np.float64), targets, **fields)


@pytest.mark.parametrize("law", ["tanh_affine", "tanh_diff"])
def test_a_flows_density_integrates_to_one(law: str) -> None:
    """The trace forgotten, doubled, or of the wrong sign would not."""
    for seed in range(2):
        net = flow(law, seed)
        axis = torch.linspace(-14, 14, 281, dtype=torch.float64)
        grid = torch.cartesian_prod(axis, axis)
        with torch.no_grad():
            density = log_density(net, grid).exp()
        assert float(density.sum()) * 0.1**2 == pytest.approx(1.0, abs=2e-5)


def test_pushing_and_solving_back_tell_the_same_density() -> None:
    net = flow(seed=4)
    z = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, log_q = push(net, z)
        np.testing.assert_allclose(log_density(net, x), log_q, atol=1e-6)
        np.testing.assert_allclose(net(z), x, atol=1e-12)
    # The density of draws is that of the normal over the determinant of the map.
    for k in (0, 7, 31):
        jacobian = torch.autograd.functional.jacobian(lambda v: push(net, v[None])[0][0], z[k])
        determinant = float(torch.linalg.det(torch.as_tensor(jacobian)))
        normal = -0.5 * float(z[k] @ z[k]) - math.log(2 * math.pi)
        assert float(log_q[k]) == pytest.approx(normal - math.log(abs(determinant)), abs=1e-6)


@pytest.mark.parametrize("damage", ["inputs", "outputs", "order", "nodes", "residual", "head"])
def test_what_has_no_density_is_refused(damage: str) -> None:
    random = np.random.default_rng(1)

    def layer(nodes: int, residual: int | None = None) -> Layer:
        return Layer(random_edges("tanh_diff", nodes, 5, random), nodes, 0.1, residual=residual)

    nets = {
        "inputs": lambda: KirchhoffNet([layer(2)], 1, [1, 2]),
        "outputs": lambda: KirchhoffNet([layer(2)], 2, [1]),
        "order": lambda: KirchhoffNet([layer(2)], 2, [2, 1]),
        "nodes": lambda: KirchhoffNet([layer(2), layer(3), layer(2)], 2, [1, 2]),
        "residual": lambda: KirchhoffNet([layer(2), layer(2, 0)], 2, [1, 2]),
        "head": lambda: KirchhoffNet(
            [layer(2)], 2, [1, 2], head=Software((Linear(np.eye(2), np.zeros(2)),))
        ),
    }
    net = nets[damage]()
    for use in (push, log_density):
        with pytest.raises(UsageError, match="has no density"):
            use(net, torch.zeros(1, net.inputs, dtype=torch.float64))


def test_converged_answers_are_those_of_a_tight_solver() -> None:
    random = np.random.default_rng(8)
    for law in ("shift_relu", "tanh_affine"):
        net = KirchhoffNet([Layer(random_edges(law, 5, 25, random), 5, 0.8)], 5, [5, 1, 3])
        inputs = random.normal(size=(5, 5))
        found = converge(net, inputs, lambda net, x, solver: net(x, solver), 1e-6)
        field = next(net.phases).form().derivative
        with torch.no_grad():
            waves = odeint(
                lambda t, v, field=field: field(v), torch.as_tensor(inputs).T,
                torch.tensor([0.0, 0.8], dtype=torch.float64), rtol=1e-9, atol=1e-9,
                method="dopri8",
            )  # fmt: skip
        tight = np.asarray(waves)[-1, [4, 0, 2]].T
        scale = max(1.0, np.abs(tight).max())
        np.testing.assert_allclose(found.outputs, tight, rtol=0, atol=5e-6 * scale)
        assert found.error <= 1e-6


def test_convergence_of_one_sample_does_not_depend_on_another() -> None:
    net = flow(seed=2)
    inputs = np.random.default_rng(0).normal(size=(9, 2)) * ([[0.1], [1], [30]] * 3)
    seen: list[tuple[int, int]] = []

    def evaluate(net: KirchhoffNet, x: torch.Tensor, solver: Solver) -> torch.Tensor:
        return log_density(net, x, solver)[:, None]

    together = converge(net, inputs, evaluate, 1e-6, lambda *at: seen.append(at))
    for k in range(9):
        alone = converge(net, inputs[k : k + 1], evaluate, 1e-6)
        assert alone.outputs[0, 0] == pytest.approx(together.outputs[k, 0], abs=1e-9)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {9}


def test_answers_that_are_no_numbers_do_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN compares false with everything: it must not pass for 'unchanged'."""
    monkeypatch.setattr("kcompile.nn.solution._MOST", 64)
    with pytest.raises(SolverError, match="still change by nan at 64 steps"):
        converge(flow(), np.zeros((2, 2)), lambda net, x, solver: net(x, solver) * np.nan)
    with pytest.raises(SolverError, match="still change by nan"):
        converge(flow(), np.zeros((2, 2)), lambda net, x, solver: net(x, solver) * 0 + np.inf)


def batches(goal: Regression | Classification | Generation | DensityMatching, epoch: int):
    return list(goal.batches(epoch, torch.zeros(1)))


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 5), st.integers(1, 40))
def test_an_epoch_takes_every_sample_once(count: int, batch: int, seed: int, epoch: int) -> None:
    x = np.arange(float(count))[:, None]
    recipe = replace(RECIPE, batch=batch)
    goal = objective(get_task("friedman"), split_of(x, 10 * x), recipe, seed)
    found = batches(goal, epoch)
    assert len(found) == goal.steps
    inputs, targets = (torch.cat([part[k] for part in found]) for k in (0, 1))
    assert sorted(inputs[:, 0].tolist()) == x[:, 0].tolist()
    assert torch.equal(targets, 10 * inputs)
    assert all(len(part[0]) == batch for part in found[:-1])
    again = batches(objective(get_task("friedman"), split_of(x, 10 * x), recipe, seed), epoch)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(found, again, strict=True))


def test_epochs_seeds_and_orders_differ() -> None:
    x = np.arange(64.0)[:, None]
    seen: set[tuple[float, ...]] = set()
    for seed in range(4):
        goal = objective(get_task("friedman"), split_of(x, x), replace(RECIPE, batch=64), seed)
        for epoch in (1, 2, 3):
            seen.add(tuple(batches(goal, epoch)[0][0][:, 0].tolist()))
    assert len(seen) == 12


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 20))
def test_an_epoch_of_a_given_number_of_batches(count: int, batch: int, steps: int) -> None:
    """Passes follow each other: no sample is seen twice more often than another."""
    recipe = replace(RECIPE, batch=batch, steps_per_epoch=steps)
    goal = objective(get_task("twomoon"), split_of(np.arange(2.0 * count).reshape(-1, 2)), recipe)
    found = batches(goal, 1)
    assert len(found) == steps == goal.steps
    seen = np.concatenate([part[0][:, 0].numpy() for part in found])
    _, often = np.unique(seen, return_counts=True)
    passes = math.ceil(steps / math.ceil(count / batch))
    assert often.max() <= passes
    if len(often) == count:
        assert often.max() - often.min() <= 1


def test_supervised_losses_are_their_formulas() -> None:
    random = np.random.default_rng(3)
    net = KirchhoffNet(
        [Layer(random_edges("shift_relu", 6, 30, random), 6, 0.5)], 3, [4, 5, 6],
        solver=Solver("rk4", steps=8),
    )  # fmt: skip
    x = torch.as_tensor(random.normal(size=(5, 3)))
    with torch.no_grad():
        outputs = net(x).numpy()
        y = torch.as_tensor(random.normal(size=(5, 3)))
        goal = Regression(get_task("friedman"), split_of(x.numpy(), y.numpy()), RECIPE, 0)
        assert float(goal.loss(net, (x, y))) == pytest.approx(np.mean((outputs - y.numpy()) ** 2))
        classes = torch.tensor([0, 2, 1, 1, 0])
        goal = Classification(get_task("mnist"), split_of(x.numpy()), RECIPE, 0)
        shifted = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
        expected = -np.mean(shifted[np.arange(5), classes.numpy()])
        assert float(goal.loss(net, (x, classes))) == pytest.approx(expected)


def test_augmentation_changes_pictures_and_not_their_classes() -> None:
    task = recipes.images()
    split = task.load(None)
    preset = recipes.preset(recipes.IMAGES, batch=7)
    plain = recipes.preset(recipes.IMAGES, batch=7, augment=())
    changed, same = (
        batches(objective(task, split, chosen.recipe, 1), 2) for chosen in (preset, plain)
    )
    # Both know the class by the brightest of the first ten, so order and classes can be told.
    for x, y in same:
        assert torch.equal(x[:, :10].argmax(dim=1), y)
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
    first, other = changed[0], same[0]
    assert first[0].shape == other[0].shape
    assert torch.equal(first[1], other[1])  # drawn before the first picture is changed
    assert not torch.equal(first[0], other[0])
    assert sum(len(x) for x, _ in changed) == len(split.train_inputs)


def test_read_only_data_is_trained_on_without_a_warning() -> None:
    """What the readers give is read-only, of which torch warns, and warnings reach the user."""
    task = recipes.images()
    split = task.load(None)
    for array in (split.train_inputs, split.train_targets, split.test_inputs, split.test_targets):
        array.flags.writeable = False
    preset = recipes.preset(recipes.IMAGES)
    goal = objective(task, split, preset.recipe)
    assert batches(goal, 1)
    net = build(preset.plan("s"), preset.recipe, 0)
    assert goal.test(net, as_trained=True).samples == 10
    points = recipes.points().load(None)
    for array in (points.train_inputs, points.test_inputs):
        array.flags.writeable = False
    flow_preset = recipes.preset(recipes.FLOW)
    generation = objective(recipes.points(), points, flow_preset.recipe)
    assert batches(generation, 1)
    small = build(flow_preset.plan("s"), flow_preset.recipe, 0)
    assert generation.test(small, as_trained=True).samples == 50


def test_generation_minimises_minus_the_log_density() -> None:
    net = flow(seed=1)
    x = np.random.default_rng(0).normal(size=(30, 2))
    goal = Generation(get_task("twomoon"), split_of(x), RECIPE, 0)
    with torch.no_grad():
        expected = -float(log_density(net, torch.as_tensor(x)).mean())
        assert float(goal.loss(net, (torch.as_tensor(x),))) == pytest.approx(expected, rel=1e-12)
    tested = goal.test(net, as_trained=True)
    assert tested.as_trained == pytest.approx(expected, rel=1e-6)
    assert tested.score == pytest.approx(expected, abs=1e-4)
    assert tested.samples == 30
    assert goal.test(net, limit=7).samples == 7
    assert goal.test(net).as_trained is None


def test_whole_numbers_get_noise_anew_in_every_epoch() -> None:
    """A density of whole numbers could rise without end; the same noise again would be learnt."""
    pixels = np.arange(256, dtype=np.uint8).reshape(64, 4)
    goal = Generation(get_task("genmnist"), split_of(pixels), replace(RECIPE, batch=64), 0)
    ((one,),), ((two,),) = batches(goal, 1), batches(goal, 2)
    for x in (one, two):
        back = (x * 256).floor()
        assert sorted(back.flatten().tolist()) == list(range(256))
        rest = x * 256 - back
        assert 0.4 < float(rest.mean()) < 0.6
        assert 0.0 <= float(x.min()) <= float(x.max()) < 1.0
    (again,) = batches(goal, 1)[0]
    assert torch.equal(one, again)
    assert not torch.equal(one.flatten().sort().values, two.flatten().sort().values)


@pytest.mark.parametrize("name", ["potential1", "potential2"])
def test_density_matching_minimises_the_divergence(name: str) -> None:
    net = flow(seed=3)
    z = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    goal = DensityMatching(get_task(name), recipes.density(name).load(None), RECIPE, 0)
    with torch.no_grad():
        x, log_q = push(net, z)
        inside = np.hypot(*x.numpy().T) <= (np.inf if name == "potential1" else 4.0)
        gap = log_q.numpy() - exact_log_density(name, x.numpy())
        loss = float(goal.loss(net, (z,)))
    assert inside.sum() > 100
    if inside.all():
        assert loss == pytest.approx(gap.mean(), rel=1e-9)
    else:
        # Outside the disc a wall stands on the potential.
        beyond = np.hypot(*x.numpy().T)[~inside] - 4.0
        walls = 20.0 * (beyond**2).sum()
        energy = np.where(inside, gap, 0.0).sum() + walls
        y = x.numpy()[~inside]
        energy += (
            log_q.numpy()[~inside] + 0.5 * ((y[:, 1] - np.sin(np.pi * y[:, 0] / 2)) / 0.4) ** 2
        ).sum() + (~inside).sum() * log_normaliser(name)
        assert loss == pytest.approx(energy / len(z), rel=1e-9)


def test_the_wall_is_passed_from_both_sides_without_a_jump() -> None:
    goal = DensityMatching(get_task("potential2"), recipes.density().load(None), RECIPE, 0)
    still = KirchhoffNet(
        [Layer(random_edges("tanh_diff", 2, 0, np.random.default_rng(0)), 2, 0.1)], 2, [1, 2],
        solver=Solver("rk4", steps=1),
    )  # fmt: skip
    radius = torch.tensor([[3.999999, 0.0], [4.000001, 0.0], [5.0, 0.0], [0.0, 0.0]])
    with torch.no_grad():
        inner, outer, far, _ = (float(goal.loss(still, (r[None].double(),))) for r in radius)
    assert inner == pytest.approx(outer, abs=1e-4)
    assert far > 10
    # At the origin the norm has no gradient: it must not be NaN.
    loss = goal.loss(still, (torch.zeros(1, 2, dtype=torch.float64, requires_grad=True),))
    loss.backward()


@given(st.integers(0, 2**32 - 1))
def test_the_effective_share_is_its_formula(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, log_q = random.normal(size=(30, 2)) * 2, random.normal(size=30)
    for name in ("potential1", "potential2"):
        w = np.exp(exact_log_density(name, x) - log_q)
        expected = w.sum() ** 2 / (30 * (w**2).sum())
        assert effective_share(name, x, log_q) == pytest.approx(expected, rel=1e-9)
        assert 0 < effective_share(name, x, log_q) <= 1 + 1e-12
        # It does not see a constant: the normaliser need not be known.
        assert effective_share(name, x, log_q + 700) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["potential1", "potential2"])
def test_the_exact_density_has_all_of_its_draws(name: str) -> None:
    angle, radius = np.random.default_rng(0).random((2, 500)) * [[2 * np.pi], [3.5]]
    x = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    assert effective_share(name, x, exact_log_density(name, x)) == pytest.approx(1.0)


def test_draws_outside_the_disc_count_for_nothing() -> None:
    """However likely the wave is there: that it cannot hide what is inside is not obvious."""
    inside, outside = np.array([[0.0, 0.0]] * 3), np.array([[40.0, 0.0]])
    x = np.concatenate((inside, outside))
    for rare in (0.0, -800.0, -1e6):  # weights that would push those inside below any float
        log_q = np.array([0.0, 0.0, 0.0, rare])
        assert effective_share("potential2", x, log_q) == pytest.approx(0.75)
    assert effective_share("potential2", outside, np.zeros(1)) == 0.0
    assert effective_share("potential1", x[:3], np.zeros(3)) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_density_that_is_no_number_is_no_score(bad: float) -> None:
    good = np.zeros((2, 2))
    with pytest.raises(TrainingDiverged, match="not finite"):
        effective_share("potential1", good, np.array([0.0, bad]))
    with pytest.raises(TrainingDiverged, match="not finite"):
        effective_share("potential1", np.array([[0.0, 0.0], [bad, 0.0]]), np.zeros(2))
    with pytest.raises(TrainingDiverged, match="not finite"):
        effective_share("potential1", np.array([[0.0, 0.0], [1e200, 0.0]]), np.zeros(2))


def test_scores_of_answers_are_the_metrics() -> None:
    task: Task = recipes.images()
    preset = recipes.preset(recipes.IMAGES)
    net = build(preset.plan("s"), preset.recipe, 0)
    split = task.load(None)
    goal = objective(task, split, preset.recipe)
    tested = goal.test(net, as_trained=True)
    with torch.no_grad():
        outputs = net.double()(torch.as_tensor(split.test_inputs), Solver("rk4", steps=400))
    expected = METRICS["accuracy"].value(outputs.numpy(), split.test_targets)
    assert tested.score == expected
    assert tested.as_trained is not None
    assert abs(tested.as_trained - expected) <= 0.2
    assert tested.error <= 1e-3
    assert functional.cross_entropy(outputs, torch.tensor(split.test_targets)) < 10
    few = goal.test(net, limit=3)
    assert few.samples == 3
    assert few.score == METRICS["accuracy"].value(outputs.numpy()[:3], split.test_targets[:3])
