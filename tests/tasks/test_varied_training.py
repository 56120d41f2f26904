"""Training that knows the variations: what it repeats, what it starts from, that it helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import published
import pytest
import recipes
import torch

from kcompile.errors import CheckpointError, UsageError
from kcompile.files import sha256
from kcompile.frontend import Checkpoint, load, load_checkpoint, save_checkpoint
from kcompile.nn import KirchhoffNet
from kcompile.reference import FixedSteps, solve
from kcompile.tasks import get_task
from kcompile.tasks.objectives import objective
from kcompile.tasks.summary import summary
from kcompile.tasks.training import train
from kcompile.tasks.varying import training_chance, varied_score
from kcompile.variations import Variations, draw

ROUGH = Variations.from_mapping(
    {
        "mismatch": {"gain": 0.1, "offset": 0.1},
        "programming": {"proportional": 0.1, "independent": 0.01},
        "stuck": {"open": 0.03},
    }
)
NOTHING = Variations.from_mapping({"mismatch": {"gain": 0.0}, "leakage": {"hold": 3.0}})
ALL = Variations.from_mapping(
    {
        "quantisation": {"bits": 6},
        "programming": {"proportional": 0.02, "independent": 0.01},
        "mismatch": {"gain": 0.02, "offset": 0.01},
        "temperature": {"celsius": 50.0},
        "stuck": {"open": 0.02, "on": 0.01},
        "output": {"conductance": 0.01},
        "leakage": {"conductance": 0.01, "current": 0.01, "spread": 0.1},
        "capacitors": {"mismatch": 0.02, "parasitic": 0.01},
        "input": {"noise": 0.01, "offset": 0.01, "bits": 6, "span": 2.0},
        "readout": {"noise": 0.01, "offset": 0.01, "bits": 6, "span": 2.0},
    }
)
TASK = recipes.regression()
PRESET = recipes.preset(recipes.SUPERVISED)


def content(folder: Path, checkpoint: Checkpoint) -> bytes:
    return recipes.content(folder, checkpoint)


def test_variations_that_do_nothing_change_no_bit(tmp_path: Path) -> None:
    plain = train(TASK, preset=PRESET)
    same = train(TASK, preset=PRESET, variations=NOTHING)
    assert content(tmp_path, same.checkpoint) == content(tmp_path, plain.checkpoint)
    assert same.varied is None
    assert not {"variations", "from", "varied"} & set(plain.checkpoint.training)


def test_it_repeats_itself_and_says_what_it_did(tmp_path: Path) -> None:
    one = train(TASK, preset=PRESET, variations=ALL)
    other = train(TASK, preset=PRESET, variations=ALL)
    assert content(tmp_path, one.checkpoint) == content(tmp_path, other.checkpoint)
    record = load_and_back(tmp_path, one.checkpoint).training
    assert Variations.from_mapping(record["variations"]) == ALL
    varied = one.varied
    assert varied is not None
    assert record["varied"] == {
        "mean": varied.mean, "sd": varied.sd, "draws": varied.draws, "steps": varied.steps,
    }  # fmt: skip
    assert varied.sd > 0
    (told,) = summary(TASK, "s", [one])["seeds"]
    assert told["varied"] == record["varied"]
    seeded = train(TASK, preset=PRESET, variations=ALL, seed=1)
    plain = train(TASK, preset=PRESET)
    curves = [run.checkpoint.training["curve"] for run in (one, seeded, plain)]
    assert all(a[1] != b[1] for a, b in zip(curves, [*curves[1:], curves[0]], strict=True))


def load_and_back(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    save_checkpoint(folder / "there", checkpoint)
    return load_checkpoint(folder / "there")


@pytest.mark.parametrize("stop", [1, 3])
def test_an_interrupted_run_ends_with_the_same_bits(stop: int, tmp_path: Path) -> None:
    """Catches circuits that depend on how many were drawn before, not on their step."""
    saved: list[Checkpoint] = []
    straight = train(TASK, preset=PRESET, variations=ALL, save=saved.append)
    half = load_and_back(tmp_path, saved[stop - 1])
    resumed = train(TASK, preset=PRESET, variations=ALL, resume=half)
    assert content(tmp_path, resumed.checkpoint) == content(tmp_path, straight.checkpoint)
    again = train(TASK, preset=PRESET, variations=ALL, resume=resumed.checkpoint)
    assert again.varied == straight.varied


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "variations is {.*, not {};"), ({"variations": ROUGH}, "variations.*is .*, not ")],
)
def test_a_run_with_other_variations_is_another_run(settings: dict[str, object], said: str) -> None:
    done = train(TASK, preset=PRESET, variations=ALL).checkpoint
    with pytest.raises(UsageError, match=f"of another run: {said}"):
        train(TASK, preset=PRESET, resume=done, **settings)


def test_every_step_of_every_run_sees_another_circuit() -> None:
    chances = {training_chance(seed, step) for seed in range(3) for step in range(1, 6)}
    assert len(chances) == 15
    assert all(chance.seed > 1000 for chance in chances)  # those of experiments are small


@pytest.mark.parametrize("task", ["twomoon", "potential1"])
def test_flows_train_with_variations(task: str) -> None:
    small = recipes.points() if task == "twomoon" else recipes.density()
    result = train(
        small, preset=recipes.preset(recipes.FLOW), variations=ALL.without(["input", "readout"])
    )
    assert result.varied is not None
    with pytest.raises(UsageError, match="a density knows no readout converter"):
        train(small, preset=recipes.preset(recipes.FLOW), variations=ALL.without(["input"]))


def test_shared_parameters_and_a_head_train_with_variations(tmp_path: Path) -> None:
    """Each device of a shared parameter is another one; what stands in software has none."""
    preset = recipes.preset(recipes.IMAGES)
    result = train(recipes.images(), preset=preset, variations=ROUGH)
    assert result.varied is not None
    assert 0 <= result.varied.mean <= 1


def test_the_score_with_variations_is_that_of_drawn_circuits() -> None:
    """Catches a score that is told of other circuits than those of an experiment of that seed."""
    result = train(TASK, preset=PRESET, variations=ALL, seed=3)
    model, varied = result.checkpoint.model(), result.varied
    assert varied is not None
    split = TASK.load(None)
    scores = []
    for index in range(10):
        real = draw(model, ALL, 3, index)
        outputs = FixedSteps().outputs(
            real.model.graph, real.initial_voltages(split.test_inputs), varied.steps
        )
        scores.append(TASK.metric.value(real.read_out(outputs), split.test_targets))
    assert varied.mean == pytest.approx(np.mean(scores), rel=1e-6)
    assert varied.sd == pytest.approx(np.std(scores, ddof=1), rel=1e-5)


def test_it_starts_from_another_networks_parameters(tmp_path: Path) -> None:
    first = train(TASK, preset=PRESET, seed=5)
    path = tmp_path / "first.safetensors"
    save_checkpoint(path, first.checkpoint)
    still = replace(PRESET, recipe=replace(PRESET.recipe, final_rate=0.0))
    tuned = train(TASK, preset=still, start=path, epochs=1, learning_rate=1e-12)
    assert tuned.test_metric_converged == pytest.approx(first.test_metric_converged, rel=1e-6)
    record = tuned.checkpoint.training
    assert record["from"] == {"name": "first.safetensors", "sha256": sha256(path)}
    assert record["recipe"]["learning_rate"] == 1e-12
    with pytest.raises(UsageError, match="of another run: from"):
        train(TASK, preset=still, epochs=1, learning_rate=1e-12, resume=tuned.checkpoint)


@pytest.mark.parametrize(
    ("law", "published_law"), [("tanh_affine", "ShiftTanh2"), ("tanh_diff", "ShiftTanh1")]
)
def test_it_starts_from_a_published_network(law: str, published_law: str, tmp_path: Path) -> None:
    """Also where the published file has the parameters' rows in another order."""
    layer = ("_fully_connect", {"num_node": 3, "repeat": [2, 2]})
    said = published.config([layer] * 2, published_law, "twomoon")
    path = published.write(tmp_path, said)
    preset = recipes.preset(
        recipes.FLOW.replace("tanh_affine", law), final_rate=0.0, weight_decay=0.0
    )
    tuned = train(recipes.points(), preset=preset, start=path, epochs=1, learning_rate=1e-12)
    v = np.random.default_rng(1).normal(size=(5, 2))
    was, now = (
        solve(model.graph, v, 1e-8).outputs for model in (load(path), tuned.checkpoint.model())
    )
    np.testing.assert_allclose(now, was, rtol=1e-6, atol=1e-7)
    assert np.ptp(was - v) > 0.01
    assert tuned.checkpoint.training["from"] == {"name": "model.pth", "sha256": sha256(path)}


def test_it_starts_from_no_other_network(tmp_path: Path) -> None:
    path = tmp_path / "wide.safetensors"
    wide = recipes.preset(recipes.SUPERVISED.replace("num_node = 6", "num_node = 7"))
    save_checkpoint(path, train(TASK, preset=wide, epochs=1).checkpoint)
    with pytest.raises(UsageError, match="another network than size s of preset tiny; give its"):
        train(TASK, preset=PRESET, start=path)
    bare = replace(load_checkpoint(path), training={"loss": "mse"})
    save_checkpoint(path, bare)
    with pytest.raises(UsageError, match="give a preset with its network: --preset takes a TOML"):
        train(TASK, preset=PRESET, start=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="wide"):
        train(TASK, preset=PRESET, start=path)


def test_fine_tuned_under_variations_it_is_better_on_circuits_that_it_has_not_seen(
    tmp_path: Path,
) -> None:
    """And better than one that was trained as long without: the variations are what helps."""
    long = recipes.preset(recipes.SUPERVISED, epochs=60, final_rate=None)
    path = tmp_path / "ideal.safetensors"
    save_checkpoint(path, train(TASK, preset=long).checkpoint)
    tuned = train(TASK, preset=long, start=path, variations=ROUGH).checkpoint
    longer = train(TASK, preset=long, start=path).checkpoint
    goal = objective(TASK, TASK.load(None), long.recipe)
    before, after, other = (
        varied_score(KirchhoffNet.from_checkpoint(each), goal, ROUGH, seed=99, draws=40).mean
        for each in (load_checkpoint(path), tuned, longer)
    )
    assert after < 0.8 * before
    assert after < 0.8 * other


def test_gradients_of_a_step_reach_every_parameter() -> None:
    """Catches a drawn circuit whose numbers are cut off from those that are stored."""
    result = train(TASK, preset=PRESET, variations=ALL, epochs=1)
    first = KirchhoffNet.from_checkpoint(train(TASK, preset=PRESET, epochs=1).checkpoint)
    moved = KirchhoffNet.from_checkpoint(result.checkpoint)
    for one, other in zip(first.parameters(), moved.parameters(), strict=True):
        assert torch.isfinite(other).all()
        assert (one != other).float().mean() > 0.9


def test_what_there_is_no_training_with_is_refused_before_data_are_loaded() -> None:
    def refuse(data: object) -> None:
        raise AssertionError

    task = replace(get_task("friedman"), load=refuse)
    with pytest.raises(UsageError, match="no network can be trained with noise"):
        train(task, variations=Variations.from_mapping({"noise": {"density": 1e-3}}))


def test_one_circuit_is_enough_where_all_are_the_same() -> None:
    same = Variations.from_mapping({"quantisation": {"bits": 5}, "output": {"conductance": 0.01}})
    one = train(TASK, preset=PRESET, variations=same).varied
    several = train(TASK, preset=PRESET, variations=same.with_number("stuck.open", 0.01)).varied
    assert one is not None
    assert several is not None
    assert (one.draws, several.draws) == (1, 10)
    assert one.sd == 0.0
    for number, draws in (("input.bits", 1), ("input.noise", 10), ("readout.offset", 10)):
        found = train(TASK, preset=PRESET, variations=same.with_number(number, 4)).varied
        assert found is not None
        assert found.draws == draws


def test_the_score_is_of_the_circuit_that_is_built() -> None:
    """Effects that are the same in every circuit count in it, the others in the varied one."""
    coarse = {"quantisation": {"bits": 3}}
    found = train(TASK, preset=PRESET, variations=Variations.from_mapping(coarse))
    assert found.varied is not None
    assert found.varied.draws == 1
    assert found.test_metric_converged == pytest.approx(found.varied.mean, rel=1e-3)
    assert found.test_metric == pytest.approx(found.varied.mean, rel=0.05)
    goal = objective(TASK, TASK.load(None), PRESET.recipe)
    ideal = goal.test(KirchhoffNet.from_checkpoint(found.checkpoint)).score
    assert abs(ideal - found.varied.mean) > 0.1 * ideal
    rough = Variations.from_mapping({**coarse, "mismatch": {"gain": 0.3}})
    other = train(TASK, preset=PRESET, variations=rough)
    net = KirchhoffNet.from_checkpoint(other.checkpoint)
    rounded = varied_score(net, goal, Variations.from_mapping(coarse), seed=0)
    assert other.varied is not None
    assert other.test_metric_converged == pytest.approx(rounded.mean, rel=1e-3)
    assert abs(other.varied.mean - rounded.mean) > 1e-3 * rounded.mean
