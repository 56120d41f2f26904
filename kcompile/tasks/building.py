"""From the plan of a network to the network."""

from __future__ import annotations

from kcompile.frontend.topology import describe
from kcompile.nn import Edges, KirchhoffNet, Layer, Solver, initialise
from kcompile.tasks.task import LayerPlan, Plan, Recipe


def build(plan: Plan, recipe: Recipe, seed: int) -> KirchhoffNet:
    """The network that a plan describes, its parameters drawn as the recipe says.

    Raises:
        CheckpointError, GraphError, SolverError, UsageError: plan or recipe ask for what there is
            not, such as an unknown law.
    """
    solver = Solver(
        recipe.method, recipe.rtol, recipe.atol, recipe.steps, recipe.adjoint, recipe.options
    )
    layers = [_layer(plan.law, layer) for layer in plan.layers]
    net = KirchhoffNet(layers, plan.inputs, plan.outputs, solver=solver)
    initialise(net, seed, recipe.initialiser)
    return net


def _layer(law: str, plan: LayerPlan) -> Layer:
    src, dst = plan.topology.edges()
    edges = Edges(law, src, dst, topology=describe(plan.topology))
    return Layer(edges, plan.nodes, plan.duration, plan.fill)
