"""What a task is: its data, the networks it takes, how they are trained, how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.frontend.topology import Topology
from kcompile.ir import Fill, FloatArray
from kcompile.tasks.metrics import Metric


class Kind(StrEnum):
    """What a task's network does, and so how it is trained and judged."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    GENERATION = "generation"
    DENSITY = "density"


@dataclass(frozen=True, eq=False)
class Split:
    """A task's data as the network takes and gives it (normalised).

    Args:
        train_inputs: ``[S, Nin]``, of any real type.
        train_targets: ``float64[S, M]`` values or ``int64[S]`` classes; of generation and density
            matching, nothing: ``[S, 0]``.
        test_inputs: ``float64[R, Nin]``.
        test_targets: likewise.
        normalisation: the maps from the data as published, as ``Model.normalisation`` has them.
        shape: of a sample that is an image: channels, height, width.
    """

    train_inputs: NDArray[Any]
    train_targets: NDArray[Any]
    test_inputs: FloatArray
    test_targets: NDArray[Any]
    normalisation: Mapping[str, Any] | None = None
    shape: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class LayerPlan:
    """One layer before it has parameters.

    Args:
        topology: which nodes are joined; the last of them is the layer's last.
        duration: software time units.
        fill: what a node starts with that nothing is handed to.
        residual: index of an earlier layer whose output is added to this one's.
    """

    topology: Topology
    duration: float
    fill: Fill = Fill.ZERO
    residual: int | None = None


@dataclass(frozen=True)
class Plan:
    """A network before it has parameters.

    Args:
        law: a name in ``kcompile.ir.LAWS``.
        layers: in order.
        inputs: how many voltages are given.
        outputs: the nodes that are read: ``all``, ``firstK`` or ``lastK``.
        head: widths of the MLP behind them, the first one K; empty: none.
    """

    law: str
    layers: tuple[LayerPlan, ...]
    inputs: int
    outputs: str = "all"
    head: tuple[int, ...] = ()

    def read_nodes(self, nodes: int) -> NDArray[np.int32]:
        """The nodes that are read of a last layer of ``nodes`` nodes, in order.

        Raises:
            UsageError: ``outputs`` names none, or more than there are.
        """
        every = np.arange(1, nodes + 1, dtype=np.int32)
        if self.outputs == "all":
            return every
        kind = self.outputs.rstrip("0123456789")
        count = int(self.outputs.removeprefix(kind) or 0)
        if kind not in {"first", "last"} or not 0 < count <= nodes:
            raise UsageError(
                f"outputs {self.outputs!r} of {nodes} nodes", hint="all, first<K> or last<K>"
            )
        return every[-count:] if kind == "last" else every[:count]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        epochs: passes over the training split, or portions of ``steps_per_epoch`` batches.
        batch: samples a step.
        learning_rate: of AdamW.
        final_rate: where the learning rate ends, along a cosine over all steps; None: it stays.
        weight_decay: of AdamW.
        anneal: the share of all epochs in which the weight of a potential rises evenly to 1, so
            that modes are found while they are still joined; 0: it is 1 from the start.
        clip: the largest norm of a gradient; None: any.
        steps_per_epoch: batches an epoch, drawn with new noise each; None: a pass over the split.
        augment: what happens to training images, names in ``kcompile.tasks.augmentation``.
        initialiser: a name in ``kcompile.nn.INITIALISERS``.
        method: of the ODE solver, as torchdiffeq calls it.
        steps: equal steps per layer of a fixed-step method, None for an adaptive one.
        jitter: every batch takes 0 to so many steps more, at random, so that what is learnt is the
            equations' answer and not that of so many steps.
        rtol: of an adaptive method.
        atol: of an adaptive method.
        adjoint: gradients by the adjoint equation, not through the steps.
        options: further options of an adaptive method.
    """

    epochs: int
    batch: int
    learning_rate: float
    final_rate: float | None = None
    weight_decay: float = 1e-2
    anneal: float = 0.0
    clip: float | None = None
    steps_per_epoch: int | None = None
    augment: tuple[str, ...] = ()
    initialiser: str = "kaiming_normal"
    method: str = "rk4"
    steps: int | None = 16
    jitter: int = 0
    rtol: float = 1e-6
    atol: float = 1e-6
    adjoint: bool = False
    options: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Preset:
    """Networks of one task and how they are trained.

    Args:
        name: as ``--preset`` calls it.
        plans: the network of each size.
        recipe: how they are trained.
        source: the file that says so, for messages.
    """

    name: str
    plans: Mapping[str, Plan]
    recipe: Recipe
    source: Path | None = None

    def plan(self, size: str) -> Plan:
        """The network of one size.

        Raises:
            UsageError: there is no such size.
        """
        if size not in self.plans:
            raise UsageError(
                f"preset {self.name} has no size {size!r}", hint=f"sizes: {', '.join(self.plans)}"
            )
        return self.plans[size]


@dataclass(frozen=True)
class Task:
    """One of the paper's tasks.

    Args:
        name: as commands and checkpoints call it.
        title: what it is, in a line.
        kind: what its network does.
        load: makes or reads the data; from a folder of the user's where one is given.
        metric: judges outputs, the circuit's among them.
        score: what training reports of the test split: the metric, or what only a density has.
        better: whether a ``lower`` or a ``higher`` score is better.
    """

    name: str
    title: str
    kind: Kind
    load: Callable[[Path | None], Split]
    metric: Metric
    score: str
    better: str

    def preset(self, name: str | None = None) -> Preset:
        """The preset called ``name``; by default the task's first.

        Raises:
            UsageError: the task has no such preset.
        """
        from kcompile.tasks.presets import presets

        known = presets(self.name)
        chosen = next(iter(known)) if name is None else name
        if chosen not in known:
            raise UsageError(
                f"{self.name} has no preset {chosen!r}", hint=f"presets: {', '.join(known)}"
            )
        return known[chosen]
