"""Networks and recipes of the tasks, as TOML files: one a task, a table a preset, ours first.

A file's tables are ``[<preset>.network]`` with its ``layers``, ``[<preset>.sizes]`` (arguments of
the topology that differ from size to size) and ``[<preset>.training]`` (fields of ``Recipe``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from kcompile.errors import ConfigError, UsageError
from kcompile.files import read_bytes
from kcompile.frontend.fields import Field
from kcompile.frontend.topology import TOPOLOGIES, Topology
from kcompile.ir import LAWS, Fill
from kcompile.tasks.task import LayerPlan, Plan, Preset, Recipe

_SIZE = "s"
_RECIPE = {entry.name for entry in fields(Recipe)}
_NETWORK = ("law", "inputs", "outputs", "head", "layers")
_LAYER = ("topology", "arguments", "duration", "copies", "fill", "residual")


@cache
def presets(task: str) -> Mapping[str, Preset]:
    """The presets of a task, the default one first."""
    return read_presets(Path(__file__).with_name(f"{task}.toml"))


def read_presets(path: Path) -> Mapping[str, Preset]:
    """The presets in a TOML file.

    Raises:
        ConfigError: it is no TOML, or says what there is not.
        UsageError, StorageError: it is not there or cannot be read.
    """
    try:
        root = Field(tomllib.loads(read_bytes(path).decode()), "", ConfigError)
        return {name: _preset(name, root.key(name)) for name in root.names()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"no TOML ({error})", where=path) from error
    except ConfigError as error:
        error.where = error.where or str(path)
        raise


def _preset(name: str, table: Field) -> Preset:
    _known(table, ("network", "sizes", "training"))
    sizes = table.get("sizes")
    network = table.key("network")
    plans = {
        size: _plan(network, {} if sizes is None else sizes.key(size).mapping())
        for size in ((_SIZE,) if sizes is None else sizes.names())
    }
    return Preset(name, plans, _recipe(table.key("training")))


def _plan(network: Field, size: Mapping[str, object]) -> Plan:
    _known(network, _NETWORK)
    layers: list[LayerPlan] = []
    for entry in network.key("layers").items(low=1):
        copies = entry.get("copies")
        layers += [_layer(entry, size)] * (1 if copies is None else copies.integer(1))
    outputs, head = network.get("outputs"), network.get("head")
    return Plan(
        network.key("law").choice(LAWS),
        tuple(layers),
        network.key("inputs").integer(1),
        "all" if outputs is None else outputs.text(),
        () if head is None else tuple(width.integer(1) for width in head.items(low=2)),
    )


def _layer(entry: Field, size: Mapping[str, object]) -> LayerPlan:
    _known(entry, _LAYER)
    kind = TOPOLOGIES[entry.key("topology").choice(TOPOLOGIES)]
    arguments: dict[str, Any] = {**entry.key("arguments").mapping(), **size}
    fill, residual = entry.get("fill"), entry.get("residual")
    return LayerPlan(
        _topology(entry, kind, arguments),
        entry.key("duration").number(positive=True),
        Fill.ZERO if fill is None else Fill(fill.choice(Fill)),
        None if residual is None else residual.integer(0),
    )


def _topology(entry: Field, kind: Any, arguments: dict[str, Any]) -> Topology:
    lists = {name: tuple(v) if isinstance(v, list) else v for name, v in arguments.items()}
    try:
        return kind(**lists)
    except (TypeError, UsageError) as error:
        raise ConfigError(f"{entry.path}.arguments: {error}") from error


def _recipe(table: Field) -> Recipe:
    _known(table, _RECIPE)
    values: dict[str, Any] = table.mapping()
    whole = ("epochs", "batch", "steps", "steps_per_epoch")
    real = ("learning_rate", "rtol", "atol", "final_rate", "clip")
    for name in values:
        if name in whole:
            values[name] = table.key(name).integer(1)
        elif name in real:
            values[name] = table.key(name).number(positive=True)
        elif name == "weight_decay":
            values[name] = table.key(name).number()
        elif name == "adjoint":
            values[name] = table.key(name).flag()
        elif name == "augment":
            values[name] = tuple(entry.text() for entry in table.key(name).items())
        elif name == "options":
            options = table.key(name)
            values[name] = {key: options.key(key).number() for key in options.names()}
        else:
            values[name] = table.key(name).text()
    if "steps" not in values and values.get("method", "rk4") != "rk4":
        values["steps"] = None
    for name in ("epochs", "batch", "learning_rate"):
        table.key(name)
    return Recipe(**values)


def _known(table: Field, names: Any) -> None:
    for name in table.names():
        if name not in names:
            raise ConfigError(
                f"{table.path}.{name:.40} is unknown", hint=f"known: {', '.join(sorted(names))}"
            )
