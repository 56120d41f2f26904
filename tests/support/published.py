"""The published networks told once more, slowly: loops over edges, straight from the format."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import torch
import yaml

FOLDER = Path(
    os.environ.get(
        "KCOMPILE_PUBLISHED", Path(__file__).resolve().parents[2].parent / "shared" / "published"
    )
)
"""Where the authors' checkpoints lie, when they are there."""


def fully_connect(num_node, include_gnd=True, repeat=(1, 1)):
    nodes = range(num_node) if include_gnd else range(1, num_node + 1)
    edges = []
    for i in nodes:
        for j in nodes:
            if i != j:
                edges += [(i, j)] * repeat[0] + [(j, i)] * repeat[1]
    return edges


def simple_connect(num_node, include_gnd=True, repeat=(1, 1)):
    nodes = range(num_node) if include_gnd else range(1, num_node + 1)
    return [(i, i + 1) for i in nodes for _ in range(repeat[0])]


def neighbor_index(
    num_channel, width, height, neighbor_size, padding=False, repeat=1, sharing=False, parallel=1
):
    pixel = {}
    for c in range(num_channel):
        for y in range(width):
            for x in range(height):
                pixel[c, y, x] = len(pixel) + 1
    margin = neighbor_size - 1 if padding else 0
    edges = []
    for top in range(-margin, width + margin - neighbor_size + 1):
        for left in range(-margin, height + margin - neighbor_size + 1):
            window = [
                pixel.get((c, top + dy, left + dx), 0)
                for c in range(num_channel)
                for dy in range(neighbor_size)
                for dx in range(neighbor_size)
            ]
            for j, one in enumerate(window):
                for k, other in enumerate(window):
                    if j != k and one and other:
                        edges += [(one, other)] * repeat
    highest = max((max(edge) for edge in edges), default=0)
    for step in range(1, parallel):
        edges += [(s + step * highest, d + step * highest) for s, d in edges]
    return edges


def mix_connect(
    num_channel, width, height, neighbor_size, fully_connect_node,
    repeat=(1, 0), padding=False, kernel_repeat=1, sharing=False, parallel=1,
):  # fmt: skip
    edges = neighbor_index(
        num_channel, width, height, neighbor_size, padding, kernel_repeat, sharing, parallel
    )
    highest = max(max(edge) for edge in edges)
    for node in range(1, highest + 1):
        edges += [(node, 0)] * repeat[0] + [(0, node)] * repeat[1]
    for node in range(highest + 1, highest + 1 + fully_connect_node):
        for i in range(highest + 1):
            edges += [(i, node)] * repeat[0] + [(node, i)] * repeat[1]
    return edges


def pregiven(
    source_edge_index, num_node_feature,
    repeat_across_layer=1, repeat_within_layer=1, repeat_to_gnd=1,
):  # fmt: skip
    edges = [(s + 1, d + 1) for s, d in zip(*source_edge_index, strict=True)]
    edges += [(d, s) for s, d in edges]
    edges *= repeat_within_layer
    size = max(map(max, edges))
    graph = list(edges)
    for _ in range(num_node_feature - 1):
        edges += [(s + size, d + size) for s, d in graph]
    for j in range(1, size + 1):
        for k in range(num_node_feature - 1):
            edges += [(j + size * k, j + size * (k + 1))] * repeat_across_layer
    for j in range(max(map(max, edges))):
        edges += [(j, 0), (0, j)] * repeat_to_gnd
    return edges


GENERATORS = {
    "_fully_connect": fully_connect,
    "_simple_connect": simple_connect,
    "_neighbor_index": neighbor_index,
    "_mix_connect": mix_connect,
    "_pregiven": pregiven,
}


def relu(x):
    return max(x, 0.0)


def leaky_relu(x):
    return x if x > 0.0 else 0.01 * x


ACTIVATIONS = {"relu": relu, "tanh": math.tanh, "leaky_relu": leaky_relu, None: float}


def device(negation, activation):
    act = ACTIVATIONS[activation]
    if negation:
        return 2, lambda p, vs, vd: act(p[1] * (vs - vd) + p[0])
    return 3, lambda p, vs, vd: act(p[0] * vs + p[1] * vd + p[2])


LAWS = {
    "ShiftRelu1": (2, lambda p, vs, vd: p[1] * relu(vs - vd - p[0])),
    "ShiftLeakyRelu1": (2, lambda p, vs, vd: p[1] * leaky_relu(vs - vd - p[0])),
    "ShiftTanh1": (3, lambda p, vs, vd: math.tanh(p[1] * (vs - vd) + p[0])),
    "ShiftRelu2": (3, lambda p, vs, vd: relu(p[0] * vs + p[1] * vd + p[2])),
    "ShiftLeakyRelu2": (3, lambda p, vs, vd: leaky_relu(p[0] * vs + p[1] * vd + p[2])),
    "ShiftTanh2": (3, lambda p, vs, vd: math.tanh(p[0] * vs + p[1] * vd + p[2])),
    "Conductance": (3, lambda p, vs, vd: p[0] * (vs - vd)),
}


def law(model):
    """Rows and current of ``network.model``."""
    return device(**model["args"]) if model["name"] == "Device" else LAWS[model["name"]]


def derivative(edges, current, params, v):
    """dv/dt, node j at ``j - 1``; entries beyond the highest node stay as they are."""
    grounded = [0.0, *v]
    total = np.zeros(len(grounded))
    for e, (s, d) in enumerate(edges):
        i = current([float(row[e]) for row in params], grounded[s], grounded[d])
        total[s] -= i
        total[d] += i
    return total[1:]


def parameters(config, seed=0, scale=1.0):
    """Random float32 parameters for each layer of a config."""
    random = np.random.default_rng(seed)
    rows, _ = law(config["network"]["model"])
    return [
        random.normal(scale=scale, size=(rows, len(GENERATORS[layer["name"]](**layer["args"]))))
        .astype(np.float32)
        for layer in config["network"]["net_struct"]
    ]  # fmt: skip


def config(layers, model="ShiftTanh2", bench="mine", t_end=None, args=None, **network):
    """A config of the published form; ``layers`` are (generator, args) pairs."""
    return {
        "network": {
            "model": {"name": model, "args": args or {}},
            "net_struct": [{"name": name, "args": dict(a)} for name, a in layers],
            **network,
        },
        "simulation": {
            "t_end": t_end or [0.5 * k for k in range(len(layers) + 1)],
            "method": "dopri5",
            "tol": "1e-3",
            "first_step": "1e-2",
            "min_step": "1e-5",
            "step_size": "1e-6",
        },
        "test_bench": bench,
    }


def write(folder, config, params=None, **extra):
    """Writes ``model.pth`` and ``config.yaml`` as the authors did; returns the model's path."""
    state = {
        f"circuit.layer_list.{k}.model.param": torch.from_numpy(np.array(values))
        for k, values in enumerate(parameters(config) if params is None else params)
    }
    state |= {name.replace("__", "."): torch.as_tensor(value) for name, value in extra.items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "model.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "model.pth"


GENERATIVE = {
    "circle", "twomoon", "2spirals", "8gaussians", "pinwheel", "swissroll", "genmnist", "gauss",
    "potential1", "potential2",
}  # fmt: skip

EULER_STEPS = 3


def mlp(x, weights):
    """Linear steps with a relu between each two."""
    for i, (weight, bias) in enumerate(weights):
        x = np.asarray(weight, float) @ x + np.asarray(bias, float)
        if i < len(weights) - 1:
            x = np.maximum(x, 0.0)
    return x


def forward(config, params, x, encoder=(), projectors=()):
    """What comes out for one sample, with a few Euler steps for each layer.

    ``projectors`` holds a (weight, bias) pair for each mlp step of the projector, in order.
    """
    network, anchors = config["network"], config["simulation"]["t_end"]
    generative = config["test_bench"] in GENERATIVE
    _, current = law(network["model"])
    x = np.asarray(x, float)
    if encoder and not generative:
        x = mlp(x, encoder)
    kept = {}
    for k, layer in enumerate(network["net_struct"]):
        edges = GENERATORS[layer["name"]](**layer["args"])
        nodes = max(map(max, edges))
        if not generative:
            repeat = network.get("fill") == "repeat"
            pad = [x[i % len(x)] if repeat else 0.0 for i in range(len(x), nodes)]
            x = np.array([*x, *pad])[:nodes]
        step = (anchors[k + 1] - anchors[k]) / EULER_STEPS
        for _ in range(EULER_STEPS):
            x = x + step * derivative(edges, current, params[k], x)
        kept[k] = x
        residual = network.get("residual")
        if residual and not generative and k == residual[1]:
            x = x + kept[residual[0]]
    if not generative:
        for word, weights in read_outs(network.get("projector"), list(projectors)):
            x = project(word, weights, x)
    return x


def read_outs(projector, weights):
    words = projector if isinstance(projector, list) else [projector]
    words = [word for word in words if word not in (None, "none")]
    return [(word, weights.pop(0) if word.startswith("mlp") else None) for word in words]


def project(word, weights, x):
    if word.startswith("mlp"):
        weight, bias = weights
        return x @ np.asarray(weight, float).T + np.asarray(bias, float)
    count = int(word.removeprefix("last").removeprefix("first").removeprefix("reshape"))
    if word.startswith("last"):
        return x[..., -count:]
    if word.startswith("first"):
        return x[..., :count]
    # torch: x.view(count, n / count).t() of a batch of one
    return x.reshape(count, len(x) // count).T
