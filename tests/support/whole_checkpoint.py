"""A checkpoint in our own format that holds one of everything, and how to take it apart."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from kcompile.frontend import (
    BatchRecord,
    Checkpoint,
    Linear,
    PhaseRecord,
    Relu,
    Reshape,
    Samples,
    Select,
    Software,
    TrainingSolver,
)
from kcompile.ir import Fill

RANDOM = np.random.default_rng(5)


def batch(law, rows, edges, dtype="f4"):
    """Random edges between three nodes and ground."""
    src, dst = RANDOM.integers(0, 4, size=(2, edges))
    params = RANDOM.normal(size=(rows, edges)).astype(dtype)
    return BatchRecord(law, src, dst, params, {"name": law})


def full():
    """A checkpoint that holds one of everything."""
    return Checkpoint(
        (
            PhaseRecord(3, 0.5, (batch("shift_relu", 2, 5), batch("tanh_affine", 3, 2, "f8"))),
            PhaseRecord(4, 1.5, (batch("conductance", 1, 6),), Fill.REPEAT),
            PhaseRecord(3, 0.1, (), residual=0),
        ),
        2,
        np.array([3, 1, 2]),
        np.array([1.0, 2.0, 0.5, 1.0]),
        "friedman",
        Software((Linear(RANDOM.normal(size=(5, 6)), np.ones(5)), Relu(), Select(1, None))),
        Software((Select(0, 2), Linear(np.ones((4, 2)), np.zeros(4)), Reshape(2))),
        TrainingSolver("dopri5", 1e-3, 1e-4, 7, {"min_step": 1e-5}),
        {"x": {"min": [0.0], "max": [1.0]}},
        {"seed": 3, "loss": [1.0, 0.5]},
        Samples(RANDOM.normal(size=(2, 6)), np.array([1, 2])),
    )


def shared(share, columns=3):
    """Five edges that share columns of parameters."""
    record = batch("shift_relu", 2, 5)
    params = RANDOM.normal(size=(2, columns)).astype("f4")
    record = dataclasses.replace(record, params=params, share=np.asarray(share))
    return Checkpoint((PhaseRecord(3, 0.5, (record,)),), 2, np.array([1]))


def parts(path):
    """The description in a file, and its tensors."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    description = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["kcompile"])
    return description, load_tensors(content)


def rewrite(path, description, tensors):
    """Writes a file of such parts, whatever they say."""
    text = description if isinstance(description, str) else json.dumps(description)
    path.write_bytes(save_tensors(tensors, {"kcompile": text}))
