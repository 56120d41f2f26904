"""Training: it learns, it repeats itself, it stops when it must."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from solutions import converged_solution

from kcompile.errors import SolverError, StorageError, TrainingDiverged, UsageError
from kcompile.frontend import Checkpoint, load, load_checkpoint, save_checkpoint
from kcompile.nn import KirchhoffNet, training_solution
from kcompile.tasks import Preset, Split, Task, get_task
from kcompile.tasks.objectives import Generation, Regression
from kcompile.tasks.summary import summary
from kcompile.tasks.training import Progress, Trained, train

SHIPPED = Path(__file__).parents[2] / "golden" / "friedman" / "model.safetensors"


@pytest.fixture(scope="module")
def task() -> Task:
    """Friedman on a tenth of its data."""
    whole = get_task("friedman")
    full = whole.load(None)
    rows = slice(0, 192)
    small = Split(
        full.train_inputs[rows],
        full.train_targets[rows],
        full.test_inputs[rows],
        full.test_targets[rows],
        full.normalisation,
    )
    return replace(whole, load=lambda data: small)


def changed(task: Task, **recipe: object) -> Preset:
    """The task's preset, some fields of its recipe replaced."""
    chosen = task.preset()
    return replace(chosen, recipe=replace(chosen.recipe, **recipe))


def finite(checkpoint: Checkpoint) -> bool:
    """Whether every number that was trained is one."""
    net = KirchhoffNet.from_checkpoint(checkpoint)
    return all(bool(torch.isfinite(parameter).all()) for parameter in net.parameters())


def test_it_learns_and_says_what_it_did(task: Task, tmp_path: Path) -> None:
    heard: list[Progress] = []
    saved: list[Checkpoint] = []
    threads = torch.get_num_threads()
    fast = changed(task, learning_rate=1e-2)
    result = train(task, preset=fast, seed=1, epochs=6, on_progress=heard.append, save=saved.append)
    assert torch.get_num_threads() == threads
    ends = [p for p in heard if not p.done]
    assert [p.epoch for p in ends] == [1, 2, 3, 4, 5, 6]
    assert ends[2].remaining == pytest.approx(ends[2].seconds)
    assert ends[-1].loss < 0.25 * ends[0].loss
    assert len(saved) == 7
    assert saved[2].training["epochs_done"] == 3
    assert "test_metric" not in saved[5].training
    # Only an unfinished run needs the optimiser's state: a network that is done is not thrice as
    # large as it must be.
    assert saved[5].optimiser
    assert not saved[6].optimiser

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, saved[-1])
    model = load(path)
    record = model.training
    assert record["curve"] == [pytest.approx(p.loss, rel=1e-5) for p in ends]
    assert record["seed"] == 1
    assert record["recipe"]["epochs"] == 6
    assert {"kcompile", "torch", "torchdiffeq", "scikit-learn"} <= record["versions"].keys()
    assert record["test_metric_converged"] == result.test_metric_converged
    split = task.load(None)
    assert model.samples is not None
    np.testing.assert_array_equal(model.samples.inputs, split.test_inputs[:64])
    np.testing.assert_array_equal(model.samples.targets, split.test_targets[:64])
    # Both numbers can be had again from the file alone.
    as_trained = training_solution(model, split.test_inputs)
    assert task.metric.value(as_trained, split.test_targets) == pytest.approx(
        result.test_metric, rel=1e-4
    )
    converged = converged_solution(
        KirchhoffNet.from_checkpoint(load_checkpoint(path)), split.test_inputs
    )
    assert task.metric.value(converged.outputs, split.test_targets) == pytest.approx(
        result.test_metric_converged, rel=1e-9
    )


def test_progress_counts_batches(tmp_path: Path) -> None:
    """A bar that only moves once an epoch looks dead where an epoch takes an hour."""
    heard: list[Progress] = []
    train(
        recipes.regression(), preset=recipes.preset(recipes.SUPERVISED), epochs=2,
        on_progress=heard.append,
    )  # fmt: skip
    assert [(p.epoch, p.done) for p in heard] == [
        (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0),
    ]  # fmt: skip
    shares = [p.share for p in heard]
    assert shares == sorted(shares)
    assert heard[-1].remaining == 0
    assert math.isinf(Progress(2, 4, 0, 4, 1.0, 3.0, begun=2).remaining)  # nothing to go by yet
    assert Progress(3, 4, 0, 4, 1.0, 3.0, begun=2).remaining == pytest.approx(3.0)


@pytest.mark.parametrize("kind", ["regression", "images", "points", "density"])
def test_the_same_arguments_give_the_same_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"regression": recipes.SUPERVISED, "images": recipes.IMAGES}.get(kind, recipes.FLOW)
    chosen = recipes.preset(text)
    files: list[bytes] = []
    for number, seed in enumerate([4, 4, 5]):
        torch.manual_seed(number)  # the global generators have no say
        np.random.seed(number)  # noqa: NPY002
        monkeypatch.setenv("KCOMPILE_THREADS", str(1 + number))
        task = getattr(recipes, kind)()
        result = train(task, preset=chosen, seed=seed, epochs=2)
        files.append(recipes.content(tmp_path, result.checkpoint))
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_how_many_processors_there_are_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that add gradients in the order in which they end would."""
    task = recipes.regression(samples=16 + 300)
    chosen = recipes.preset(recipes.SUPERVISED, batch=300)
    monkeypatch.setattr("kcompile.nn.compiled._WORTHWHILE", 1)
    files: set[bytes] = set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("KCOMPILE_THREADS", threads)
        monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
        result = train(task, preset=chosen, seed=1, epochs=2)
        files.add(recipes.content(tmp_path, result.checkpoint))
    assert len(files) == 1


def test_no_batch_is_left_out(task: Task) -> None:
    """One sample an epoch would be lost here if the last, smaller batch were dropped."""
    still = changed(task, batch=191, learning_rate=0.0, weight_decay=0.0)
    curve: list[float] = []
    result = train(
        task, preset=still, seed=0, epochs=1,
        on_progress=lambda p: curve.append(p.loss) if not p.done else None,
    )  # fmt: skip
    split = task.load(None)
    outputs = training_solution(result.checkpoint.model(), split.train_inputs)
    assert curve == [pytest.approx(task.metric.value(outputs, split.train_targets), rel=1e-4)]


def test_jitter_varies_the_steps_and_is_not_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []
    loss = Regression.loss

    def watched(self: Regression, net: KirchhoffNet, batch: tuple[torch.Tensor, ...]):
        seen.append(net.solver.steps)
        return loss(self, net, batch)

    monkeypatch.setattr(Regression, "loss", watched)
    chosen = recipes.preset(recipes.SUPERVISED, steps=3, jitter=2)
    result = train(recipes.regression(), preset=chosen, epochs=12)
    assert set(seen) == {3, 4, 5}
    assert result.checkpoint.solver is not None
    assert result.checkpoint.solver.steps == 3


def test_a_loss_that_is_not_finite_stops_with_advice(task: Task) -> None:
    wild = changed(task, learning_rate=10.0, batch=32)
    saved: list[Checkpoint] = []
    with pytest.raises(TrainingDiverged, match="in epoch [12];") as caught:
        train(task, preset=wild, epochs=2, save=saved.append)
    assert "lower learning rate" in str(caught.value)
    assert caught.value.exit_status == 3
    assert all(map(finite, saved))


def test_a_loss_that_runs_away_stops_with_what_was_saved(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kcompile.tasks.training._RUNAWAY", -0.5)
    still = changed(task, learning_rate=0.0)
    saved: list[Checkpoint] = []
    with pytest.raises(TrainingDiverged, match=r"ran away from \S+ to \S+ in epoch 1"):
        train(task, preset=still, epochs=3, save=saved.append)
    assert not saved


def test_a_negative_loss_that_falls_is_no_runaway(monkeypatch: pytest.MonkeyPatch) -> None:
    """A likelihood in nats may start near 0 and end at -1000."""
    losses = iter([0.5, -1000.0, -1040.0])
    monkeypatch.setattr(
        Regression, "loss",
        lambda self, net, batch: 0.0 * sum(p.sum() for p in net.parameters()) + next(losses),
    )  # fmt: skip
    chosen = recipes.preset(recipes.SUPERVISED, batch=64)
    result = train(recipes.regression(), preset=chosen, epochs=3)
    assert result.checkpoint.training["curve"] == [0.5, -1000.0, -1040.0]


def test_a_likelihood_that_begins_near_0_may_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a potential is annealed its loss rises, and the first is a matter of chance."""
    losses = iter([0.001, 1.5, 2.0])
    monkeypatch.setattr(
        Generation, "loss",
        lambda self, net, batch: 0.0 * sum(p.sum() for p in net.parameters()) + next(losses),
    )  # fmt: skip
    chosen = recipes.preset(recipes.FLOW, steps_per_epoch=1)
    result = train(recipes.points(), preset=chosen, epochs=3)
    assert result.checkpoint.training["curve"] == [0.001, 1.5, 2.0]


def test_the_last_step_of_an_epoch_may_not_ruin_what_is_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its loss is finite and no later one looks at the parameters before they are saved."""
    loss, calls = Regression.loss, 0

    def ruinous(self: Regression, net: KirchhoffNet, batch: tuple[torch.Tensor, ...]):
        nonlocal calls
        calls += 1
        value = loss(self, net, batch)
        if calls == 8:  # the last batch of epoch 2: finite, but with a gradient that is not
            value = value + torch.sqrt(0.0 * next(net.parameters()).sum().abs())
        return value

    monkeypatch.setattr(Regression, "loss", ruinous)
    saved: list[Checkpoint] = []
    with pytest.raises(TrainingDiverged, match="a parameter became infinite or NaN in epoch 2"):
        train(recipes.regression(), preset=recipes.preset(recipes.SUPERVISED), save=saved.append)
    assert [checkpoint.training["epochs_done"] for checkpoint in saved] == [1]
    assert finite(saved[0])


def test_a_solver_that_gives_up_is_a_run_that_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(self: Regression, net: KirchhoffNet, batch: tuple[torch.Tensor, ...]):
        raise SolverError("dopri5 gave up")

    monkeypatch.setattr(Regression, "loss", stuck)
    with pytest.raises(TrainingDiverged, match=r"cannot follow \(dopri5 gave up\) in epoch 1"):
        train(recipes.regression(), preset=recipes.preset(recipes.SUPERVISED))


def test_outputs_that_are_not_finite_are_no_result(task: Task) -> None:
    split = task.load(None)
    far = replace(split, test_inputs=np.full_like(split.test_inputs, 1e300))
    with pytest.raises(TrainingDiverged, match="test split"):
        train(task, epochs=1, split=far)


@pytest.mark.parametrize("kind", ["points", "density"])
def test_a_likelihood_that_is_not_finite_is_no_result(kind: str) -> None:
    """JSON has no infinity: the record of such a score could not be written."""
    task = getattr(recipes, kind)()
    split = task.load(None)
    far = replace(split, test_inputs=np.full_like(split.test_inputs, 1e200))
    with pytest.raises(TrainingDiverged, match="finite"):
        train(task, preset=recipes.preset(recipes.FLOW), epochs=1, split=far)


def test_a_place_that_fills_up_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.safetensors"
    kept: list[bytes] = []

    def save(checkpoint: Checkpoint) -> None:
        if checkpoint.training["epochs_done"] == 3:
            kept.append(path.read_bytes())
            monkeypatch.setattr("os.fdopen", full)
        save_checkpoint(path, checkpoint)

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, content: bytes) -> int:
            raise OSError(28, "No space left on device")

    def full(handle: int, mode: str) -> Full:
        import os

        os.close(handle)
        return Full()

    with pytest.raises(StorageError, match="no space left"):
        train(recipes.regression(), preset=recipes.preset(recipes.SUPERVISED), save=save)
    assert [path.read_bytes()] == kept
    assert load_checkpoint(path).training["epochs_done"] == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_refusals(task: Task) -> None:
    with pytest.raises(UsageError, match="0 epochs"):
        train(task, epochs=0)
    with pytest.raises(UsageError, match="sizes"):
        train(task, size="xl", epochs=1)
    with pytest.raises(UsageError, match="friedman has no preset 'best'; presets: paper"):
        train(task, preset="best", epochs=1)


@pytest.mark.parametrize("device", ["cuda:77", "meta", "gpu", "", "xla"])
def test_a_device_that_is_not_there_is_refused_at_once(device: str) -> None:
    def load(data: Path | None) -> Split:
        raise AssertionError("looked at the data first")

    absent = replace(get_task("friedman"), load=load)
    with pytest.raises(UsageError, match="torch has no device") as caught:
        train(absent, device=device)
    assert caught.value.where == "--device"
    assert len(str(caught.value)) < 300


def test_a_head_is_trained_with_the_circuit(tmp_path: Path) -> None:
    saved: list[Checkpoint] = []
    task = recipes.images()
    result = train(task, preset=recipes.preset(recipes.IMAGES), save=saved.append)
    edges = sum(len(batch.src) for batch in result.checkpoint.phases[0].batches)
    assert result.parameters == 2 * edges + (10 * 16 + 16) + (16 * 10 + 10)
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, result.checkpoint)
    net = KirchhoffNet.from_checkpoint(load_checkpoint(path))
    assert net.parameter_count == result.parameters
    assert net.head.record().describe() == "linear 10x16, relu, linear 16x10"
    first, last = (checkpoint.head(np.eye(10)) for checkpoint in (saved[0], saved[-1]))
    assert not np.array_equal(first, last)
    split = task.load(None)
    outputs = converged_solution(net, split.test_inputs, 1e-3).outputs
    assert outputs.shape == (10, 10)
    assert task.metric.value(outputs, split.test_targets) == result.test_metric_converged


@pytest.fixture
def runs() -> list[Trained]:
    return [
        Trained(Checkpoint((), 0, np.array([1])), 168, seed, 9.0, value, 0.0, 1.5)
        for seed, value in [(3, 1.0), (4, 2.0), (5, 6.0)]
    ]


def test_summary_is_over_converged_metrics(task: Task, runs: list[Trained]) -> None:
    found = summary(task, "s", runs)
    assert found["mean"] == 3.0
    assert found["sd"] == pytest.approx(7**0.5)
    assert found["parameters"] == 168
    assert found["metric"] == "mse"
    assert found["seeds"][1] == {
        "seed": 4,
        "test_metric": 9.0,
        "test_metric_converged": 2.0,
        "seconds": 1.5,
    }
    assert summary(task, "s", runs[:1])["sd"] == 0.0


def test_the_shipped_network_is_as_good_as_it_says() -> None:
    whole = get_task("friedman")
    split = whole.load(None)
    checkpoint = load_checkpoint(SHIPPED)
    net = KirchhoffNet.from_checkpoint(checkpoint)
    assert net.parameter_count == 168
    assert net.dtype is torch.float32
    loss = whole.metric.value(
        converged_solution(net, split.test_inputs, 1e-5).outputs, split.test_targets
    )
    assert loss < 2e-3
    assert loss == pytest.approx(checkpoint.training["test_metric_converged"], rel=1e-4)
    assert checkpoint.samples is not None
    np.testing.assert_allclose(checkpoint.samples.inputs, split.test_inputs[:64], rtol=1e-12)
