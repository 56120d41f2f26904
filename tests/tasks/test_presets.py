"""Networks and recipes: those that are shipped, and files of a user's that are wrong."""

from __future__ import annotations

import contextlib
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from recipes import FLOW, IMAGES, SUPERVISED

import kcompile.tasks.presets
from kcompile.errors import ConfigError, ContentError, UsageError
from kcompile.frontend.topology import TOPOLOGIES
from kcompile.ir import LAWS
from kcompile.nn import Solver, push
from kcompile.tasks import TASKS, Preset, Recipe, get_task
from kcompile.tasks.augmentation import AUGMENTATIONS
from kcompile.tasks.building import build, solver
from kcompile.tasks.presets import _ARGUMENT, _RECIPE, presets, read_presets
from kcompile.tasks.task import Kind, Plan

EVERY = [
    (task, preset, size)
    for task in TASKS
    for preset, chosen in presets(task).items()
    for size in chosen.plans
]
PRESETS = Path(kcompile.tasks.presets.__file__).parent
IMAGE_WIDTHS = {"mnist": 784, "fashion-mnist": 784, "cifar10": 3072, "svhn": 3072}


@pytest.mark.parametrize(("task", "preset", "size"), EVERY)
def test_every_shipped_preset_makes_a_network(task: str, preset: str, size: str) -> None:
    chosen = get_task(task).preset(preset)
    plan, recipe = chosen.plan(size), chosen.recipe
    assert chosen.name == preset
    assert isinstance(solver(recipe), Solver)
    assert set(recipe.augment) <= AUGMENTATIONS.keys()
    if recipe.final_rate is not None:
        assert recipe.final_rate < recipe.learning_rate
    if plan.layers[0].topology.count > 500_000:
        return  # its network is made where it is trained
    net = build(plan, recipe, seed=0)
    kind = TASKS[task].kind
    if kind in (Kind.GENERATION, Kind.DENSITY):
        assert net.inputs in (2, 784)
        with np.errstate(all="raise"):
            push(net, torch.zeros(1, net.inputs), Solver("rk4", steps=1))
    elif kind is Kind.CLASSIFICATION:
        assert net.inputs == IMAGE_WIDTHS[task]
        assert len(net.outputs) == 10
    rows = LAWS[plan.law].rows
    assert net.parameter_count == rows * sum(layer.topology.count for layer in plan.layers)
    assert all(bool(p.isfinite().all()) for p in net.parameters())


@pytest.mark.parametrize(
    ("task", "preset", "layers", "nodes", "edges"),
    [
        ("mnist", "kcompile", 2, 834, 230_068),
        ("fashion-mnist", "kcompile", 2, 834, 230_068),
        ("genmnist", "kcompile", 2, 784, 50_240),
        ("genmnist", "published", 2, 784, 50_240),
        ("twomoon", "kcompile", 2, 2, 300),
        ("potential1", "kcompile", 8, 2, 120),
    ],
)
def test_networks_are_of_the_published_size(
    task: str, preset: str, layers: int, nodes: int, edges: int
) -> None:
    plan = get_task(task).preset(preset).plan("s")
    assert [layer.topology.count for layer in plan.layers] == [edges] * layers
    src, dst = plan.layers[0].topology.edges()
    assert max(src.max(), dst.max()) == nodes


@pytest.mark.parametrize("task", ["cifar10", "svhn"])
@pytest.mark.parametrize(
    ("preset", "depth", "duration"),
    [("paper", 4, 0.5), ("published", 3, 0.6), ("kcompile", 4, 0.5)],
)
def test_colour_networks_are_the_papers(
    task: str, preset: str, depth: int, duration: float
) -> None:
    """Three channels that see each other, 50 further nodes, the paper's D and T."""
    plan = get_task(task).preset(preset).plan("s")
    assert [layer.duration for layer in plan.layers] == [duration] * depth
    src, dst = plan.layers[0].topology.edges()
    assert max(src.max(), dst.max()) == 3 * 32 * 32 + 50 == 3122
    assert len(src) == plan.layers[0].topology.count
    assert ((src == 1) & (dst == 1 + 1024)).any()  # red and green of a corner
    assert plan.inputs == 3072
    assert plan.outputs == "last10"


def test_the_first_preset_is_the_default() -> None:
    for task in TASKS.values():
        first = next(iter(presets(task.name)))
        assert task.preset() is presets(task.name)[first]
        with pytest.raises(UsageError, match=f"has no preset 'none'; presets: {first}"):
            task.preset("none")


def test_every_field_can_be_written() -> None:
    """A field that is added to a recipe or a topology, and forgotten here, is 'unknown'."""
    assert {entry.name for entry in fields(Recipe)} == _RECIPE.keys()
    for kind in TOPOLOGIES.values():
        for entry in fields(kind):
            assert not entry.init or entry.type in _ARGUMENT


def read(folder: Path, text: str, kind: Kind | None = None) -> Preset:
    path = folder / "mine.toml"
    path.write_text(text)
    return next(iter(read_presets(path, kind).values()))


def test_what_a_file_says_is_what_is_read(tmp_path: Path) -> None:
    text = """\
    [other.network]
    law = "tanh_diff"
    inputs = 2
    outputs = "first1"
    head = [1, 3]

    [[other.network.layers]]
    topology = "fully_connected"
    arguments = { include_gnd = false, repeat = [2, 1] }
    duration = 2
    fill = "repeat"
    copies = 2

    [[other.network.layers]]
    topology = "chain"
    arguments = { repeat = [3, 3] }
    duration = 0.25
    residual = 0

    [other.sizes]
    s = { num_node = 4 }
    huge = { num_node = 40, include_gnd = true }

    [other.training]
    epochs = 7
    batch = 8
    learning_rate = 1
    final_rate = 0
    method = "dopri5"
    rtol = 1e-3
    adjoint = true
    augment = ["flip"]
    initialiser = "kaiming_uniform"
    options = { min_step = 1e-4 }
    """
    found = read(tmp_path, text)
    assert found.recipe == Recipe(
        7, 8, 1.0, 0.0, method="dopri5", steps=None, rtol=1e-3, adjoint=True, augment=("flip",),
        initialiser="kaiming_uniform", options={"min_step": 1e-4},
    )  # fmt: skip
    assert list(found.plans) == ["s", "huge"]
    small, huge = found.plan("s"), found.plan("huge")
    assert [layer.topology.count for layer in small.layers] == [36, 36, 12]
    assert [layer.topology.count for layer in huge.layers] == [4680, 4680, 120]
    assert [layer.duration for layer in small.layers] == [2.0, 2.0, 0.25]
    assert [layer.fill.value for layer in small.layers] == ["repeat", "repeat", "zero"]
    assert [layer.residual for layer in small.layers] == [None, None, 0]
    assert small.head == (1, 3)


def swapped(old: str, new: str, text: str = SUPERVISED) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a = [", "no TOML"),
        ("a = " + "9" * 5000, "no TOML"),
        (swapped('"shift_relu"', '"shift_relu'), "no TOML"),
        ("tiny = 3", "tiny is 3, not a mapping"),
        ("[tiny]", "tiny.network is missing"),
        (swapped("[tiny.training]", "[tiny.trainin]"), "tiny.trainin is unknown"),
        (swapped("[tiny.training]", "[tiny.sizes]\n[tiny.training]"), "tiny.sizes names none"),
        (swapped('"shift_relu"', '"relu"'), "tiny.network.law is 'relu', not known"),
        (swapped('law = "shift_relu"\n', ""), "tiny.network.law is missing"),
        (swapped("inputs = 3", "inputs = 0"), "tiny.network.inputs is 0"),
        (swapped("inputs = 3", "inputs = 3.5"), "tiny.network.inputs is 3.5"),
        (swapped("inputs = 3", "width = 3"), "tiny.network.width is unknown"),
        (swapped('"last1"', '"last"'), "tiny.network.outputs is 'last', not all, first"),
        (swapped('"last1"', '"last0"'), "tiny.network.outputs is 'last0'"),
        (swapped('"last1"', '"middle1"'), "tiny.network.outputs is 'middle1'"),
        (swapped('"last1"', "1"), "tiny.network.outputs is 1, not a text"),
        (swapped('"last1"', '"last1"\nhead = [2, 3]'), "tiny.network.head takes 2 values, last1"),
        (swapped('"last1"', '"last1"\nhead = [1]'), "tiny.network.head has 1 entries"),
        (swapped('"last1"', '"last1"\nhead = [1, 99999]'), "tiny.network.head[1] is 99999"),
        (swapped('"fully_connected"', '"ring"'), "tiny.network.layers[0].topology is 'ring'"),
        (swapped("num_node = 6", ""), "layers[0].arguments: missing 1 required positional"),
        (swapped("num_node = 6", "num_node = 6.5"), "layers[0].arguments.num_node is 6.5"),
        (swapped("num_node = 6", "num_node = -1"), "layers[0].arguments.num_node is -1"),
        (swapped("num_node = 6", "num_nodes = 6"), "layers[0].arguments.num_nodes is unknown"),
        (swapped("num_node = 6", "num_node = 6, repeat = [1]"), "arguments.repeat has 1 entries"),
        (swapped("num_node = 6", 'num_node = 6, include_gnd = "no"'), "include_gnd is 'no'"),
        (swapped("duration = 0.5", "duration = 0"), "layers[0].duration is 0"),
        (swapped("duration = 0.5", "duration = inf"), "layers[0].duration is inf"),
        (swapped("duration = 0.5", "duration = 1\ncopies = 2147483647"), "layers[0].copies is"),
        (swapped("duration = 0.5", "duration = 1\nresidual = 0"), "layers[0].residual is 0"),
        (swapped("duration = 0.5", 'duration = 1\nfill = "one"'), "layers[0].fill is 'one'"),
        (swapped("batch = 16\n", ""), "tiny.training.batch is missing"),
        (swapped("epochs = 4", "epochs = 0"), "tiny.training.epochs is 0"),
        (swapped("clip = 1.0", "clip = -1.0"), "tiny.training.clip is -1.0"),
        (swapped("clip = 1.0", "weight_decay = -1.0"), "tiny.training.weight_decay is -1.0"),
        (swapped("clip = 1.0", "anneal = 1.5"), "tiny.training.anneal is 1.5, not a share"),
        (swapped("clip = 1.0", "learning_rat = 1.0"), "tiny.training.learning_rat is unknown"),
        (swapped("clip = 1.0", 'augment = ["swirl"]'), "tiny.training.augment[0] is 'swirl'"),
        (swapped("clip = 1.0", 'augment = "flip"'), "tiny.training.augment is 'flip', not a list"),
        (swapped("clip = 1.0", 'initialiser = "ones"'), "tiny.training.initialiser is 'ones'"),
        (swapped("clip = 1.0", 'method = "dopri6"'), "tiny.training: unknown method 'dopri6'"),
        (swapped("clip = 1.0", 'method = "dopri5"'), "tiny.training: dopri5 chooses its own steps"),
        (swapped("steps = 3", 'method = "euler"'), "tiny.training: euler with None steps"),
        (
            swapped("steps = 3", 'method = "dopri5"\noptions = { min_stp = 1 }'),
            "tiny.training: unknown option 'min_stp'",
        ),
        (swapped("steps = 3", 'method = "dopri5"\nrtol = 2.0'), "tiny.training: tolerances 2.0"),
        (swapped("jitter = 2", "jitter = 1979-05-27"), "tiny.training.jitter is datetime.date("),
        (
            swapped("steps = 3", 'method = "dopri5"'),
            "tiny.training.jitter has no effect with dopri5; leave it out, or take a method of",
        ),
        (
            swapped("clip = 1.0", "rtol = 1e-3"),
            "tiny.training.rtol has no effect with rk4; leave it out, or take an adaptive method",
        ),
        (swapped("clip = 1.0", "atol = 1e-3"), "tiny.training.atol has no effect with rk4"),
        (
            swapped("clip = 1.0", "options = { min_step = 1e-3 }"),
            "tiny.training: rk4 takes no min_step; leave it out, or take one of: dopri5",
        ),
        (
            swapped("clip = 1.0", "anneal = 0.5"),
            "tiny.training.anneal has no effect on a task of regression; leave it out",
        ),
        (
            swapped("clip = 1.0", 'augment = ["flip"]'),
            "tiny.training.augment has no effect on a task of regression; leave it out",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        read(tmp_path, text, Kind.REGRESSION)
    assert caught.value.where == str(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 3


@pytest.mark.parametrize("task", TASKS)
def test_no_shipped_preset_has_a_setting_without_effect(task: str) -> None:
    assert read_presets(PRESETS / f"{task}.toml", TASKS[task].kind) == presets(task)


def test_settings_have_their_effect_on_some_task(tmp_path: Path) -> None:
    """What is refused elsewhere, and what is as good as left out."""
    annealed = swapped("steps_per_epoch", "anneal = 0.5\nsteps_per_epoch", FLOW)
    assert read(tmp_path, annealed, Kind.DENSITY).recipe.anneal == 0.5
    with pytest.raises(ConfigError, match="anneal has no effect on a task of generation"):
        read(tmp_path, annealed, Kind.GENERATION)
    assert read(tmp_path, IMAGES, Kind.CLASSIFICATION).recipe.augment == ("shift", "flip")
    nothing = "anneal = 0\naugment = []\noptions = {}\njitter = 0"
    read(tmp_path, swapped("jitter = 2", nothing), Kind.REGRESSION)


def test_files_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_presets(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="is a folder"):
        read_presets(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe[a]")
    with pytest.raises(ConfigError, match="no TOML"):
        read_presets(tmp_path / "bytes.toml")
    (tmp_path / "empty.toml").write_text("")
    assert not read_presets(tmp_path / "empty.toml")


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([2**31, -(2**63), 10**30]),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from(
        ["all", "last99", "first²", "dopri5", "rk4", "chain", "mixed", "neighbourhood"]
    ),
    st.lists(st.integers(-2, 3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(0, 3), max_size=2),
    st.dates(),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [p for name in value for p in places(value[name], (*path, name))]
    elif isinstance(value, list):
        found += [p for k, entry in enumerate(value) for p in places(entry, (*path, k))]
    return found


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else str(value)
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(name)} = {toml(v)}" for name, v in value.items()) + "}"
    return str(value)


@given(st.data())
def test_no_mutation_of_a_file_ends_in_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = tomllib.loads(data.draw(st.sampled_from([SUPERVISED, FLOW, IMAGES])))
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(document)))
        at: Any = document
        for step in way:
            at = at[step]
        act = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if act == "remove":
            del at[last]
        elif act == "add" and isinstance(at, dict):
            names = (*_RECIPE, "head", "residual", "fill", "copies", "sizes", "padding", "x\ny")
            at[data.draw(st.sampled_from(names))] = data.draw(VALUES)
        else:
            at[last] = data.draw(VALUES)
        if not document:
            break
    path = tmp_path_factory.mktemp("mutations") / "mine.toml"
    path.write_text("\n".join(f"{toml(name)} = {toml(v)}" for name, v in document.items()))
    found, said = {}, f"{path}: "
    try:
        found = read_presets(path)
    except ConfigError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    for preset in found.values():
        for plan in preset.plans.values():
            if sum(layer.topology.count for layer in plan.layers) < 20_000:
                with contextlib.suppress(ContentError, UsageError):
                    build(plan, preset.recipe, 0)


@given(st.text(max_size=12), st.integers(0, 30))
@example("last", 5)
@example("first²", 5)
@example("", 1)
@example("99", 1)
def test_outputs_of_a_plan(text: str, nodes: int) -> None:
    plan = Plan("shift_relu", (), 1, text)
    try:
        found = plan.read_nodes(nodes)
    except UsageError:
        return
    assert re.fullmatch("all|(first|last)[0-9]+", text)
    assert found.tolist() == list(range(1, nodes + 1)) if text == "all" else len(found)


def test_the_nodes_that_are_read() -> None:
    def nodes(text: str) -> list[int]:
        return Plan("shift_relu", (), 1, text).read_nodes(12).tolist()

    assert nodes("all") == list(range(1, 13))
    assert nodes("first2") == [1, 2]
    assert nodes("last10") == list(range(3, 13))
    assert nodes("last12") == nodes("first12") == nodes("all")
    with pytest.raises(UsageError, match="outputs 'last13' of 12 nodes"):
        nodes("last13")
