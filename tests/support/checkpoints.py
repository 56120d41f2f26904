"""Small seeded networks as checkpoints, and checkpoints that say what they should not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as serialise

from kcompile.frontend import Checkpoint, load, load_checkpoint, save_checkpoint
from kcompile.frontend.description import encode
from kcompile.ir import FloatArray
from kcompile.reference import solve
from kcompile.verification.golden import build_network

INPUTS = np.array([[0.3, -0.2], [0.8, 0.1], [-0.5, 0.6]])
"""Three samples for a network of two inputs."""


def layer(law: str = "shift_relu", nodes: int = 3, duration: float = 1.0, **more) -> dict[str, Any]:
    """A fully connected layer of ``nodes`` nodes and ground, as golden recipes say it."""
    arguments = {"num_node": nodes + 1}
    given = {"topology": "fully_connected", "arguments": arguments, "duration": duration}
    return {**given, "law": law, **more}


def network(
    *layers: Mapping[str, Any], inputs: int = 2, outputs: tuple[int, ...] = (2,), seed: int = 1
) -> Checkpoint:
    """A network with random parameters; one layer of ``shift_relu`` edges where none is given."""
    recipe = {"seed": seed, "inputs": inputs, "outputs": outputs, "layers": layers or (layer(),)}
    return build_network(recipe, "test")


def write_network(path: Path, *layers: Mapping[str, Any], **fields) -> Path:
    """Writes such a network; gives its path."""
    save_checkpoint(path, network(*layers, **fields))
    return path


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """Writes a checkpoint anew after ``change`` had its way with description and tensors."""
    description, tensors = encode(load_checkpoint(path))
    tensors = {name: values.copy() for name, values in tensors.items()}
    change(description, tensors)
    path.write_bytes(serialise(tensors, {"kcompile": json.dumps(description)}))
    return path


def answers(path: Path, inputs: FloatArray) -> FloatArray:
    """What the network in a checkpoint gives, ``[S, M]``, by a solution of its ODE to 1e-7."""
    model = load(path)
    return solve(model.graph, model.initial_voltages(inputs), 1e-7).outputs
