"""From the plan of a network to the network."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from kcompile.errors import (
    CheckpointError,
    ConfigError,
    GraphError,
    InputError,
    SolverError,
    UsageError,
)
from kcompile.frontend.software import Linear, Relu, Software, Step
from kcompile.frontend.topology import describe, share_of
from kcompile.nn import Edges, KirchhoffNet, Layer, Solver, initialise
from kcompile.tasks.task import LayerPlan, Plan, Preset, Recipe


def build(plan: Plan, recipe: Recipe, seed: int) -> KirchhoffNet:
    """The network that a plan describes, its parameters drawn as the recipe says.

    Raises:
        CheckpointError, GraphError, SolverError, UsageError: plan or recipe ask for what there is
            not, such as an unknown law.
    """
    layers = [_layer(plan.law, layer) for layer in plan.layers]
    outputs = plan.read_nodes(layers[-1].nodes)
    net = KirchhoffNet(layers, plan.inputs, outputs, solver=solver(recipe), head=_head(plan.head))
    initialise(net, seed, recipe.initialiser)
    return net


@contextmanager
def network_of(preset: Preset) -> Generator[None]:
    """Says what is wrong with a preset's network together with the preset's name and file.

    Raises:
        ConfigError: instead of what building the network, or giving it its data, raises.
    """
    try:
        yield
    except (CheckpointError, GraphError, InputError, SolverError, UsageError) as error:
        part = "" if error.where is None else f"{error.where}: "
        raise ConfigError(
            f"{preset.name}.network: {part}{error.message}",
            where=preset.source,
            hint=error.hint or "change its layers, inputs, outputs or head",
        ) from error


def solver(recipe: Recipe) -> Solver:
    """The solver that a recipe trains with.

    Raises:
        SolverError: its settings do not make one.
    """
    return Solver(
        recipe.method, recipe.rtol, recipe.atol, recipe.steps, recipe.adjoint, recipe.options
    )


def device_called(name: str) -> torch.device:
    """The device that torch calls so.

    Raises:
        UsageError: there is none here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # "meta" can be made, but holds nothing
    except (RuntimeError, AssertionError) as error:
        said = str(error).partition("\n")[0].partition(". ")[0]
        raise UsageError(
            f"torch has no device {name!r} here ({said})", where="--device",
            hint="leave it out to train on the CPU",
        ) from error  # fmt: skip
    return device


def _layer(law: str, plan: LayerPlan) -> Layer:
    src, dst = plan.topology.edges()
    share = share_of(plan.topology)
    edges = Edges(law, src, dst, topology=describe(plan.topology), share=share)
    nodes = int(max(src.max(initial=0), dst.max(initial=0)))
    return Layer(edges, nodes, plan.duration, plan.fill, plan.residual)


def _head(widths: tuple[int, ...]) -> Software:
    """Linear steps of these widths with a relu between each two, to be initialised."""
    steps: list[Step] = []
    for given, out in pairwise(widths):
        steps += [Linear(np.zeros((out, given)), np.zeros(out)), Relu()]
    return Software(tuple(steps[:-1]))
