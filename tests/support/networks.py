"""Random trainable networks for tests, and what plain numpy says they compute."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from kcompile.ir import LAWS, Fill, FloatArray, Graph, derivative, hand_over, phase_output
from kcompile.nn import Edges, KirchhoffNet, Layer


@st.composite
def networks(draw: st.DrawFn, *, phases: int = 1, largest: int = 6) -> KirchhoffNet:
    """Float64 networks of any law, with ground, multi-edges, self-loops, every hand-over."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers: list[Layer] = []
    for index in range(draw(st.integers(1, phases))):
        nodes = draw(st.integers(1, largest))
        edges = [
            random_edges(law, nodes, draw(st.integers(0, 15)), random)
            for law in draw(st.lists(st.sampled_from(sorted(LAWS)), max_size=3))
        ]
        same = [k for k in range(index) if layers[k].nodes == nodes]
        residual = draw(st.sampled_from([None, *same]))
        fill = draw(st.sampled_from(list(Fill)))
        layers.append(Layer(edges, nodes, random.uniform(0.1, 0.5), fill, residual))
    most = max(layer.nodes for layer in layers)
    capacitance = random.uniform(0.5, 2.0, most) if draw(st.booleans()) else None
    last = layers[-1].nodes
    outputs = random.integers(1, last + 1, draw(st.integers(1, 3)))
    return KirchhoffNet(layers, random.integers(0, layers[0].nodes + 1), outputs, capacitance)


def random_edges(law: str, nodes: int, count: int, random: np.random.Generator) -> Edges:
    """Edges with float64 parameters between random nodes, ground included."""
    src, dst = random.integers(0, nodes + 1, (2, count))
    return Edges(law, src, dst, random.normal(size=(LAWS[law].rows, count)))


def graph_of(net: KirchhoffNet) -> Graph:
    """The circuit graph of a network."""
    return net.to_checkpoint().model().graph


def numpy_outputs(graph: Graph, inputs: FloatArray, steps: int) -> FloatArray:
    """Read-outs by the classical Runge-Kutta method in plain numpy, as the graph defines them."""
    passed: list[FloatArray] = []
    v = inputs
    for k, phase in enumerate(graph.phases):
        v = hand_over(v, phase)
        h = phase.duration / steps
        for _ in range(steps):
            k1 = derivative(graph, k, v)
            k2 = derivative(graph, k, v + h / 2 * k1)
            k3 = derivative(graph, k, v + h / 2 * k2)
            k4 = derivative(graph, k, v + h * k3)
            v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        v = phase_output(graph, k, v, passed)
        passed.append(v)
    return v[..., graph.outputs - 1]


def gathering(net: KirchhoffNet) -> KirchhoffNet:
    """The same network, its layers forced to gather and add in plain torch."""
    for layer in net.phases:
        layer.compiled = False
    return net


def as_tensor(values: FloatArray) -> torch.Tensor:
    """A float64 tensor."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64))
