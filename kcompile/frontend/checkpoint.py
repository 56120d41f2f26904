"""Our own checkpoint: a safetensors file whose JSON metadata says everything about the network.

Metadata key ``kcompile`` holds one JSON object (schema ``kcompile.checkpoint/1``); the tensors are

    phase.<k>.batch.<m>.params   float32 or float64 [P, K]   rows of the batch's law
    phase.<k>.batch.<m>.src      int32 [E]                   0 is ground
    phase.<k>.batch.<m>.dst      int32 [E]
    phase.<k>.batch.<m>.share    int32 [E]                   edge e uses column share[e] of params;
                                                             absent: K = E, edge e uses column e
    capacitance                  float64 [N]                 absent: 1 each
    encoder.<i>.weight, .bias    [out, in], [out]            likewise head.<i>
    samples.inputs, .targets     [S, Nin], [S] or [S, M]     first samples of the task's test split
    optimiser.<name>             any                         state of an unfinished training run

so that any safetensors reader can load it; nothing in it is ever executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np

from kcompile.errors import CheckpointError, KcompileError
from kcompile.files import read_bytes, written
from kcompile.frontend.description import SCHEMA, decode, encode
from kcompile.frontend.records import BatchRecord, Checkpoint, PhaseRecord

__all__ = ["SCHEMA", "BatchRecord", "Checkpoint", "PhaseRecord", "is_checkpoint", "load", "save"]

_KEY = "kcompile"


def save(path: Path | str, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    from safetensors.numpy import save as serialise

    description, tensors = encode(checkpoint)
    text = json.dumps(description, allow_nan=False, default=_plain)
    content = serialise(tensors, {_KEY: text})
    with written(Path(path)) as stream:
        stream.write(content)


def is_checkpoint(head: bytes) -> bool:
    """Whether a file that begins with ``head`` may be one of ours (safetensors)."""
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 28


def load(path: Path | str) -> Checkpoint:
    """Reads one of our checkpoints; runs nothing in it.

    Raises:
        CheckpointError: it is cut, foreign, of a later version, or contradicts itself.
        UsageError, StorageError: it is not there or cannot be read.
    """
    path = Path(path)
    try:
        return _parse(read_bytes(path))
    except KcompileError as error:
        error.where = error.where or str(path)
        raise


def _parse(content: bytes) -> Checkpoint:
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialise

    if not is_checkpoint(content[:9]):
        raise CheckpointError(
            "not one of kcompile's own checkpoints",
            hint="--resume takes what kcompile train wrote",
        )
    try:
        tensors = deserialise(content)
        size = int.from_bytes(content[:8], "little")
        header = cast(dict[str, Any], json.loads(content[8 : 8 + size]))
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            "not a whole safetensors file", hint="it may be cut: copy or write it again"
        ) from error
    text = cast(dict[str, str], header.get("__metadata__") or {}).get(_KEY)
    if text is None:
        raise CheckpointError(
            "a safetensors file without a kcompile description",
            hint="give a file written by kcompile, or a published model with its config.yaml",
        )
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            "its description is not JSON", hint="write it again with kcompile"
        ) from error
    return decode(description, tensors)


def _plain(value: object) -> object:
    """Numbers and arrays of numpy (in training records) as JSON knows them."""
    if isinstance(value, np.ndarray | np.generic):
        return cast(object, value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be stored in a checkpoint")
