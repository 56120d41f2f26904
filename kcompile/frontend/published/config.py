"""A published network's ``config.yaml`` as typed values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from kcompile.errors import ConfigError
from kcompile.frontend.fields import Field
from kcompile.frontend.model import GENERATIVE_TASKS, TrainingSolver
from kcompile.frontend.published.generators import published_topology
from kcompile.frontend.published.laws import PublishedLaw, published_law
from kcompile.frontend.published.yaml_file import read_yaml
from kcompile.frontend.topology import Topology
from kcompile.ir import Fill

_FILLS = {"zeros": Fill.ZERO, "zero": Fill.ZERO, "repeat": Fill.REPEAT}

_FIXED_STEP = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams")
_ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")


@dataclass(frozen=True)
class Config:
    """What a config says about a network. Keys that do not shape it are not read.

    Args:
        task: the test bench, or None.
        law: the law of every edge.
        layers: the topology of each layer.
        durations: how long each layer lasts, software time units.
        fill: what nodes start with that nothing is handed to.
        projector: read-out steps in order, such as ``last10``.
        projector_keys: what their parameters' names begin with, one for each step.
        encoder: widths of the MLP in front, or none.
        residual: after layer j, what came out of layer i is added: (i, j), or None.
        solver: what it was trained with, where that is known.
        notes: what a reader should know about how it was read.
    """

    task: str | None
    law: PublishedLaw
    layers: tuple[Topology, ...]
    durations: tuple[float, ...]
    fill: Fill
    projector: tuple[str, ...]
    projector_keys: tuple[str, ...]
    encoder: tuple[int, ...]
    residual: tuple[int, int] | None
    solver: TrainingSolver | None
    notes: tuple[str, ...]

    @property
    def generative(self) -> bool:
        """Whether the test bench is one of generation or density matching."""
        return self.task in GENERATIVE_TASKS


def read_config(path: Path) -> Config:
    """Reads a published network's config.

    Raises:
        ConfigError: it is no YAML, lacks what is needed, or asks for what does not exist.
        UsageError, StorageError: it is not there or cannot be read.
    """
    try:
        return _config(read_yaml(path))
    except ConfigError as error:
        error.where = error.where or str(path)
        raise


def _config(root: Field) -> Config:
    network, simulation = root.key("network"), root.key("simulation")
    bench = root.get("test_bench")
    task = None if bench is None else bench.text()
    layers = tuple(published_topology(layer) for layer in network.key("net_struct").items(low=1))
    law = published_law(network.key("model"))
    durations = _durations(simulation.key("t_end"), len(layers))
    solver, notes = _solver(simulation)
    if task in GENERATIVE_TASKS:
        # The published program builds these without encoder, projector, residual and fill, so
        # what the config says there means nothing and is not even read.
        ignored = [
            f"{name} {value}"
            for name in ("encoder", "projector", "residual")
            if (value := _said(network, name))
        ]
        if ignored:
            said = ", ".join(ignored)
            notes.append(f"test bench {task} is generative: {said} ignored, all nodes are read out")
        return Config(
            task, law, layers, durations, Fill.REPEAT, (), (), (), None, solver, tuple(notes)
        )
    if task is None:
        notes.append("the config names no test_bench: read as a network that is not generative")
    fill = network.get("fill")
    projector, keys = _projector(network.get("projector"))
    return Config(
        task,
        law,
        layers,
        durations,
        Fill.ZERO if fill is None else _FILLS[fill.choice(_FILLS)],
        projector,
        keys,
        _encoder(network.get("encoder")),
        _residual(network.get("residual"), layers),
        solver,
        tuple(notes),
    )


def _durations(t_end: Field, layers: int) -> tuple[float, ...]:
    anchors = [anchor.number() for anchor in t_end.items(layers + 1, layers + 1)]
    # Differences of the decimal numbers as written: 0.6 - 0.4 lasts 0.2, not 0.19999999999999996.
    exact = [Decimal(repr(anchor)) for anchor in anchors]
    durations = tuple(float(b - a) for a, b in pairwise(exact))
    for k, duration in enumerate(durations):
        if not (duration > 0.0 and math.isfinite(duration)):
            raise ConfigError(
                f"{t_end.path}[{k + 1}] is {anchors[k + 1]!r}, not after the one before it",
                hint="anchors of time must increase",
            )
    return durations


def _solver(simulation: Field) -> tuple[TrainingSolver | None, list[str]]:
    """The solver that trained it, and notes."""
    method, tol = simulation.get("method"), simulation.get("tol")
    if method is None or tol is None:
        return None, []
    name = method.text()
    tolerance = tol.number(positive=True)
    if name not in (*_FIXED_STEP, *_ADAPTIVE):
        return None, [f"it was trained with a solver that is not known here, {name:.40}"]
    steps = ("step_size",) if name in _FIXED_STEP else ("first_step", "min_step")
    options = {
        step: value.number() for step in steps if (value := simulation.get(step)) is not None
    }
    return TrainingSolver(name, tolerance, tolerance, None, options), []


def _projector(projector: Field | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The read-out steps, and what the names of their parameters begin with."""
    if projector is None:
        return (), ()
    if isinstance(projector.value, list):
        entries = projector.items()
        named = [(entry, f"projector.{i}") for i, entry in enumerate(entries)]
    else:
        named = [(projector, "projector")]
    steps = [(f.text(), key) for f, key in named if f.value is not None and f.value != "none"]
    return tuple(step for step, _ in steps), tuple(key for _, key in steps)


def _encoder(encoder: Field | None) -> tuple[int, ...]:
    if encoder is None or encoder.value == "none":
        return ()
    return tuple(width.integer(1) for width in encoder.items(low=2))


def _residual(residual: Field | None, layers: tuple[Topology, ...]) -> tuple[int, int] | None:
    if residual is None:
        return None
    source, target = (layer.integer() for layer in residual.items(2, 2))
    if not source < target < len(layers):
        raise ConfigError(
            f"{residual.path} is [{source}, {target}], not an earlier and a later one of "
            f"{len(layers)} layers",
            hint="layers count from 0",
        )
    return source, target


def _said(network: Field, name: str) -> str:
    """What the config says about something that is ignored, in a word or two."""
    value = network.get(name)
    if value is None or value.value == "none":
        return ""
    return value.value[:40] if isinstance(value.value, str) else "of some kind"
