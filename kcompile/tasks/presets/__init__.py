"""Networks and recipes of the tasks, as TOML files: one a task, a table a preset, default first.

A file's tables are ``[<preset>.network]`` with its ``layers``, ``[<preset>.sizes]`` (arguments of
the topology that differ from size to size) and ``[<preset>.training]`` (fields of ``Recipe``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from kcompile.errors import ConfigError, SolverError, UsageError
from kcompile.files import read_bytes
from kcompile.frontend.fields import Field
from kcompile.frontend.topology import TOPOLOGIES, Topology
from kcompile.ir import LAWS, Fill
from kcompile.tasks.task import Kind, LayerPlan, Plan, Preset, Recipe

_SIZE = "s"
_NETWORK = ("law", "inputs", "outputs", "head", "layers")
_LAYER = ("topology", "arguments", "duration", "copies", "fill", "residual")
_MOST_LAYERS = 1000
_MOST_WIDTH = 1 << 14
_OUTPUTS = re.compile(r"all|(first|last)[1-9]\d{0,8}", re.ASCII)


@cache
def presets(task: str) -> Mapping[str, Preset]:
    """The presets of a task, the default one first."""
    return read_presets(Path(__file__).with_name(f"{task}.toml"))


def read_presets(path: Path, kind: Kind | None = None) -> Mapping[str, Preset]:
    """The presets in a TOML file.

    Args:
        path: the file.
        kind: of the task that they are for; settings that change nothing for it are refused, too.

    Raises:
        ConfigError: it is no TOML, says what there is not, or has a setting without effect.
        UsageError, StorageError: it is not there or cannot be read.
    """
    try:
        root = Field(tomllib.loads(read_bytes(path).decode()), "", ConfigError)
        found = {name: _preset(name, root.key(name), kind) for name in root.names()}
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or numbers without end
        raise ConfigError(f"no TOML ({error})", where=path) from error
    except ConfigError as error:
        error.where = error.where or str(path)
        raise
    return {name: replace(preset, source=path) for name, preset in found.items()}


def _preset(name: str, table: Field, kind: Kind | None) -> Preset:
    _known(table, ("network", "sizes", "training"))
    sizes, network = table.get("sizes"), table.key("network")
    if sizes is None:
        plans = {_SIZE: _plan(network, None)}
    else:
        plans = {size: _plan(network, sizes.key(size)) for size in sizes.names()}
    if not plans:
        raise ConfigError(f"{name}.sizes names none", hint="add one, or leave it out")
    return Preset(name, plans, _recipe(table.key("training"), kind))


def _plan(network: Field, size: Field | None) -> Plan:
    _known(network, _NETWORK)
    layers: list[LayerPlan] = []
    for entry in network.key("layers").items(1, _MOST_LAYERS):
        copies = entry.get("copies")
        count = 1 if copies is None else copies.integer(1, _MOST_LAYERS)
        layers += [_layer(entry, size, len(layers))] * count
    outputs, head = network.get("outputs"), network.get("head")
    if outputs is not None and not _OUTPUTS.fullmatch(outputs.text()):
        raise outputs.bad("all, first<K> or last<K>")
    plan = Plan(
        network.key("law").choice(LAWS),
        tuple(layers),
        network.key("inputs").integer(1),
        "all" if outputs is None else outputs.text(),
        () if head is None else tuple(width.integer(1, _MOST_WIDTH) for width in head.items(2)),
    )
    if head is not None and plan.outputs != "all" and f"{plan.head[0]}" != _number(plan.outputs):
        raise ConfigError(f"{head.path} takes {plan.head[0]} values, {plan.outputs} are read")
    return plan


def _number(outputs: str) -> str:
    return outputs.removeprefix("first").removeprefix("last")


def _layer(entry: Field, size: Field | None, before: int) -> LayerPlan:
    _known(entry, _LAYER)
    kind = TOPOLOGIES[entry.key("topology").choice(TOPOLOGIES)]
    fill, residual = entry.get("fill"), entry.get("residual")
    if residual is not None:
        residual.integer(0, before - 1)
    return LayerPlan(
        _topology(kind, entry.key("arguments"), size),
        entry.key("duration").number(positive=True),
        Fill.ZERO if fill is None else Fill(fill.choice(Fill)),
        None if residual is None else residual.integer(0),
    )


def _topology(kind: Any, arguments: Field, size: Field | None) -> Topology:
    """A topology with its arguments, of which those of the size come last."""
    known = {entry.name: entry.type for entry in fields(kind) if entry.init}
    values: dict[str, Any] = {}
    for table in (arguments,) if size is None else (arguments, size):
        _known(table, known)
        values |= {name: _ARGUMENT[known[name]](table.key(name)) for name in table.names()}
    try:
        return kind(**values)
    except (TypeError, UsageError) as error:  # one that is missing, or out of range
        raise ConfigError(f"{arguments.path}: {str(error).split('() ')[-1]}") from error


_ARGUMENT: Mapping[Any, Callable[[Field], Any]] = {
    "int": Field.integer,
    "bool": Field.flag,
    "Sequence[int]": lambda entry: tuple(number.integer() for number in entry.items(2, 2)),
}
"""Reads an argument of a topology, by its type."""


def _recipe(table: Field, kind: Kind | None) -> Recipe:
    _known(table, _RECIPE)
    values = {name: _RECIPE[name](table.key(name)) for name in table.names()}
    if "steps" not in values and values.get("method", "rk4") != "rk4":
        values["steps"] = None
    for name in ("epochs", "batch", "learning_rate"):
        table.key(name)
    recipe = Recipe(**values)
    _check_names(recipe, table)
    _check_effects(recipe, table, kind)
    return recipe


def _check_names(recipe: Recipe, table: Field) -> None:
    """Sees that there is what a recipe names (torch)."""
    from kcompile.nn import INITIALISERS
    from kcompile.tasks.augmentation import AUGMENTATIONS
    from kcompile.tasks.building import solver

    if table.get("initialiser") is not None:
        table.key("initialiser").choice(INITIALISERS)
    for entry in () if not recipe.augment else table.key("augment").items():
        entry.choice(AUGMENTATIONS)
    try:
        solver(recipe)
    except SolverError as error:
        raise ConfigError(f"{table.path}: {error.message}", hint=error.hint) from error


def _check_effects(recipe: Recipe, table: Field, kind: Kind | None) -> None:
    """Sees that no setting changes nothing: its author expects something of it."""
    if recipe.steps is None and recipe.jitter:
        raise _idle(table, "jitter", f"with {recipe.method}", "take a method of fixed steps")
    for name in () if recipe.steps is None else ("rtol", "atol"):
        if table.get(name) is not None:
            raise _idle(table, name, f"with {recipe.method}", "take an adaptive method")
    if recipe.anneal and kind not in (None, Kind.DENSITY):
        raise _idle(table, "anneal", f"on a task of {kind}", "train on a potential")
    if recipe.augment and kind not in (None, Kind.CLASSIFICATION):
        raise _idle(table, "augment", f"on a task of {kind}", "train on images to be classified")


def _idle(table: Field, name: str, why: str, instead: str) -> ConfigError:
    return ConfigError(
        f"{table.path}.{name} has no effect {why}", hint=f"leave it out, or {instead}"
    )


def _whole(entry: Field) -> int:
    return entry.integer(1)


def _positive(entry: Field) -> float:
    return entry.number(positive=True)


def _not_negative(entry: Field) -> float:
    if (value := entry.number()) < 0:
        raise entry.bad("a number from 0")
    return value


def _share(entry: Field) -> float:
    if not 0 <= (value := entry.number()) <= 1:
        raise entry.bad("a share between 0 and 1")
    return value


_RECIPE: Mapping[str, Callable[[Field], Any]] = {
    "epochs": _whole,
    "batch": _whole,
    "learning_rate": _positive,
    "final_rate": _not_negative,
    "weight_decay": _not_negative,
    "anneal": _share,
    "clip": _positive,
    "steps_per_epoch": _whole,
    "augment": lambda entry: tuple(name.text() for name in entry.items()),
    "initialiser": Field.text,
    "method": Field.text,
    "steps": _whole,
    "jitter": Field.integer,
    "rtol": _positive,
    "atol": _positive,
    "adjoint": Field.flag,
    "options": lambda entry: {name: _positive(entry.key(name)) for name in entry.names()},
}
"""Reads a field of ``Recipe``."""


def _known(table: Field, names: Any) -> None:
    for name in table.names():
        if name not in names:
            raise ConfigError(
                f"{table.path}.{name:.40} is unknown", hint=f"known: {', '.join(sorted(names))}"
            )
