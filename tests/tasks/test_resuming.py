"""A run that was interrupted goes on as if it had not been; another run's checkpoint does not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recipes

from kcompile.errors import CheckpointError, UsageError
from kcompile.frontend import Checkpoint, load_checkpoint, save_checkpoint
from kcompile.ir import Fill
from kcompile.tasks import Preset
from kcompile.tasks.resuming import same_network, same_samples
from kcompile.tasks.training import Progress, train

KINDS = {
    "regression": (recipes.regression, recipes.SUPERVISED),
    "images": (recipes.images, recipes.IMAGES),
    "points": (recipes.points, recipes.FLOW),
    "density": (recipes.density, f"{recipes.FLOW}anneal = 0.8\n"),
}


class Killed(Exception):
    """What happens at a random moment."""


def through_a_file(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """What is read back of a checkpoint that was written."""
    save_checkpoint(folder / "between", checkpoint)
    return load_checkpoint(folder / "between")


@pytest.mark.parametrize("kind", KINDS)
def test_from_every_epoch_the_same_file_is_reached(kind: str, tmp_path: Path) -> None:
    """Momentum, schedule, shuffling, noise, jitter or the curve forgotten would show."""
    make, text = KINDS[kind]
    task, preset = make(), recipes.preset(text)
    saved: list[Checkpoint] = []
    whole = train(task, preset=preset, seed=3, save=saved.append)
    expected = recipes.content(tmp_path, whole.checkpoint)
    assert len(saved) == preset.recipe.epochs + 1
    for checkpoint in saved:
        later: list[Checkpoint] = []
        resumed = train(
            task, preset=preset, seed=3, resume=through_a_file(tmp_path, checkpoint),
            save=later.append,
        )  # fmt: skip
        assert recipes.content(tmp_path, resumed.checkpoint) == expected
        assert resumed.test_metric_converged == whole.test_metric_converged
        assert resumed.parameters == whole.parameters
        done = checkpoint.training["epochs_done"]
        if "test_metric" not in checkpoint.training:
            assert [c.training["epochs_done"] for c in later[:-1]] == list(
                range(done + 1, preset.recipe.epochs + 1)
            )
        else:
            assert not later


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_any_batch_again_and_again(kind: str, tmp_path: Path) -> None:
    make, text = KINDS[kind]
    task, preset = make(), recipes.preset(text)
    expected = recipes.content(tmp_path, train(task, preset=preset).checkpoint)
    path = tmp_path / "net.safetensors"
    chance, stops = random.Random(1), 0

    def stop(progress: Progress) -> None:
        if chance.random() < 0.3:
            raise Killed

    while True:
        try:
            train(
                task, preset=preset, on_progress=stop,
                resume=load_checkpoint(path) if path.exists() else None,
                save=lambda checkpoint: save_checkpoint(path, checkpoint),
            )  # fmt: skip
            break
        except Killed:
            stops += 1
    assert stops > 2
    assert path.read_bytes() == expected


def test_progress_of_a_resumed_run_starts_where_it_was() -> None:
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    heard: list[Progress] = []
    train(task, preset=preset, resume=saved[1], on_progress=heard.append)
    assert [(p.epoch, p.done) for p in heard[:2]] == [(2, 1), (2, 2)]
    assert {p.begun for p in heard} == {2}
    assert heard[-1].epoch == 4


def changed(preset: Preset, **recipe: object) -> Preset:
    return replace(preset, recipe=replace(preset.recipe, **recipe))


def layer(preset: Preset, **fields: object) -> Preset:
    plan = preset.plan("s")
    first = replace(plan.layers[0], **fields)
    return replace(preset, plans={"s": replace(plan, layers=(first, *plan.layers[1:]))})


def plan(preset: Preset, **fields: object) -> Preset:
    return replace(preset, plans={"s": replace(preset.plan("s"), **fields)})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda p: changed(p, epochs=5), "recipe.epochs is 4, not 5"),
        (lambda p: changed(p, learning_rate=2e-2), "recipe.learning_rate is 0.01, not 0.02"),
        (lambda p: changed(p, jitter=0), "recipe.jitter is 2, not 0"),
        (lambda p: replace(p, name="other"), "preset is tiny, not other"),
        (lambda p: layer(p, duration=0.25), "its network or its test samples differ"),
        (lambda p: layer(p, fill=Fill.REPEAT), "its network or its test samples differ"),
        (
            lambda p: layer(p, topology=replace(p.plan("s").layers[0].topology, num_node=7)),
            "its network or its test samples differ",
        ),
        (lambda p: plan(p, law="shift_leaky_relu"), "its network or its test samples differ"),
        (lambda p: plan(p, outputs="first1"), "its network or its test samples differ"),
        (lambda p: plan(p, head=(1, 2, 1)), "its network or its test samples differ"),
        (lambda p: plan(p, layers=p.plan("s").layers * 2), "its network or its test samples"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_another_recipe_or_network_is_refused(
    change: Callable[[Preset], Preset], complaint: str, finished: bool, tmp_path: Path
) -> None:
    """Resumed with another duration, the file would say what nobody trained."""
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    resume = through_a_file(tmp_path, saved[-1 if finished else 0])
    with pytest.raises(UsageError, match=f"of another run: .*{complaint}") as caught:
        train(task, preset=change(preset), resume=resume)
    assert caught.value.where == "--resume"
    assert len(str(caught.value)) < 400


def test_other_arguments_or_data_are_refused() -> None:
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    resume = saved[1]
    with pytest.raises(UsageError, match="seed is 0, not 1"):
        train(task, preset=preset, seed=1, resume=resume)
    with pytest.raises(UsageError, match="recipe.epochs is 4, not 2"):
        train(task, preset=preset, epochs=2, resume=resume)
    with pytest.raises(UsageError, match="task is friedman, not housing"):
        train(replace(task, name="housing"), preset=preset, resume=resume)
    both = replace(preset, plans={"s": preset.plan("s"), "m": preset.plan("s")})
    with pytest.raises(UsageError, match="size is s, not m"):
        train(task, preset=both, size="m", resume=resume)
    split = task.load(None)
    other = replace(split, test_inputs=split.test_inputs[::-1], test_targets=split.test_targets)
    with pytest.raises(UsageError, match="test samples differ"):
        train(task, preset=preset, split=other, resume=resume)
    assert train(task, preset=preset, resume=resume).checkpoint.training["epochs_done"] == 4


def test_a_checkpoint_that_cannot_be_gone_on_from() -> None:
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    with pytest.raises(UsageError, match="no optimiser's state"):
        train(task, preset=preset, resume=replace(saved[1], optimiser={}))
    with pytest.raises(UsageError, match="task is None, not friedman"):
        train(task, preset=preset, resume=replace(saved[1], task=None, training={}))


@pytest.mark.parametrize(
    ("which", "record"),
    [
        (1, {"curve": None}),
        (1, {"curve": []}),
        (1, {"curve": [0.1, "x"]}),
        (1, {"curve": [0.1, float("nan")]}),
        (1, {"curve": [0.1] * 5}),
        (4, {"test_metric": None}),
        (4, {"test_metric_converged": "good"}),
        (4, {"convergence_error": [1]}),
    ],
)
def test_a_damaged_record_is_bad_content(which: int, record: dict[str, object]) -> None:
    """A stranger's checkpoint may say anything: it must not end in a traceback."""
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    bad = replace(saved[which], training={**saved[which].training, **record})
    with pytest.raises(CheckpointError):
        train(task, preset=preset, resume=bad)


def test_what_makes_two_networks_the_same() -> None:
    task, preset = recipes.regression(), recipes.preset(recipes.SUPERVISED)
    saved: list[Checkpoint] = []
    train(task, preset=preset, save=saved.append)
    one, other = saved[0], saved[-1]
    assert same_network(one, other)  # other parameters, the same network
    assert same_samples(one.samples, other.samples)
    assert same_samples(None, None)
    assert not same_samples(one.samples, None)
    assert one.samples is not None
    rounded = replace(one.samples, inputs=one.samples.inputs * (1 + 1e-15))
    assert same_samples(one.samples, rounded)  # another machine rounds otherwise
    (phase,) = one.phases
    (batch,) = phase.batches
    turned = replace(batch, src=batch.dst, dst=batch.src)
    shared = replace(batch, share=np.arange(len(batch.src))[::-1].copy())
    plain = replace(batch, share=np.arange(len(batch.src)))
    for edges, same in ((turned, False), (shared, False), (plain, True)):
        changed_ = replace(one, phases=(replace(phase, batches=(edges,)),))
        assert same_network(one, changed_) is same
    assert not same_network(one, replace(one, phases=(phase, phase)))
