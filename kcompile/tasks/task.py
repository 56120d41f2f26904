"""What a task is: its data, the network it takes, how that is trained, how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kcompile.errors import UsageError
from kcompile.frontend.topology import Topology
from kcompile.ir import Fill, FloatArray
from kcompile.tasks.metrics import Metric


@dataclass(frozen=True, eq=False)
class Split:
    """A task's data as the network takes and gives it (normalised).

    Args:
        train_inputs: ``float64[S, Nin]``.
        train_targets: ``float64[S, M]``.
        test_inputs: ``float64[R, Nin]``.
        test_targets: ``float64[R, M]``.
        normalisation: the maps from the data as published, as ``Model.normalisation`` has them.
    """

    train_inputs: FloatArray
    train_targets: FloatArray
    test_inputs: FloatArray
    test_targets: FloatArray
    normalisation: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LayerPlan:
    """One layer before it has parameters.

    Args:
        topology: which nodes are joined.
        nodes: N.
        duration: software time units.
        fill: what a node starts with that nothing is handed to.
    """

    topology: Topology
    nodes: int
    duration: float
    fill: Fill = Fill.ZERO


@dataclass(frozen=True)
class Plan:
    """A network before it has parameters.

    Args:
        law: a name in ``kcompile.ir.LAWS``.
        layers: in order.
        inputs: how many voltages are given.
        outputs: the nodes that are read.
    """

    law: str
    layers: tuple[LayerPlan, ...]
    inputs: int
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        epochs: passes over the training split.
        batch: samples a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        initialiser: a name in ``kcompile.nn.INITIALISERS``.
        method: of the ODE solver, as torchdiffeq calls it.
        steps: equal steps per layer of a fixed-step method, None for an adaptive one.
        rtol: of an adaptive method.
        atol: of an adaptive method.
        adjoint: gradients by the adjoint equation, not through the steps.
        options: further options of an adaptive method.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 1e-2
    initialiser: str = "kaiming_normal"
    method: str = "rk4"
    steps: int | None = 16
    rtol: float = 1e-6
    atol: float = 1e-6
    adjoint: bool = False
    options: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Task:
    """One of the paper's tasks.

    Args:
        name: as commands and checkpoints call it.
        title: what it is, in a line.
        plans: the network of each size.
        recipe: how it is trained.
        load: makes or reads the data.
        loss: what training minimises, a name in ``kcompile.tasks.training.LOSSES``.
        metric: how it is judged.
    """

    name: str
    title: str
    plans: Mapping[str, Plan]
    recipe: Recipe
    load: Callable[[], Split]
    loss: str
    metric: Metric

    def plan(self, size: str) -> Plan:
        """The network of one size.

        Raises:
            UsageError: the task has no such size.
        """
        if size not in self.plans:
            raise UsageError(
                f"{self.name} has no size {size!r}", hint=f"sizes: {', '.join(self.plans)}"
            )
        return self.plans[size]
