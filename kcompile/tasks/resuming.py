"""What a run takes from a checkpoint: its own, to go on, or another's, to start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.files import sha256
from kcompile.frontend import read_network
from kcompile.frontend.model import Samples
from kcompile.frontend.records import BatchRecord, Checkpoint, PhaseRecord
from kcompile.nn import KirchhoffNet

_CLOSE = 1e-6
"""How far two makings of the same test samples may differ (machines round differently)."""


def first_difference(
    said: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first setting that a record states otherwise than wanted, or None.

    Args:
        said: what the record states.
        wanted: settings by name; a mapping among them is compared setting by setting.

    Returns:
        Its name (``recipe.epochs``), what is said and what is wanted.
    """
    for name, value in wanted.items():
        other = cast(Any, said.get(name))
        if other == value:
            continue
        if all(isinstance(each, Mapping) for each in (other, value)):
            inner = first_difference(other, value)
            if inner is not None:
                return f"{name}.{inner[0]}", *inner[1:]
        return name, other, value
    return None


def parameters_of(path: Path, net: KirchhoffNet, preset: str, size: str) -> dict[str, str]:
    """Puts a checkpoint's parameters into a network; what a training record says of it.

    Args:
        path: a checkpoint of the same network, ours or a published one with its config beside it.
        net: changed in place.
        preset, size: what the network was made of, for messages.

    Raises:
        UsageError: it is not there, or of another network.
        CheckpointError, ConfigError: it is not a checkpoint, or it is damaged.
    """
    given = read_network(path)
    if not same_network(net.to_checkpoint(), given):
        said = given.training
        own = (
            f"its own --preset and --size ({said['preset']}, {said['size']})"
            if {"preset", "size"} <= said.keys()
            else "a preset with its network: --preset takes a TOML file of yours"
        )
        raise UsageError(
            f"{path} has another network than size {size} of preset {preset}",
            where="--from",
            hint=f"give {own}",
        )
    stored = KirchhoffNet.from_checkpoint(given)
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), stored.parameters(), strict=True):
            parameter.copy_(value)
    return {"name": path.name, "sha256": sha256(path)}


def same_network(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints have the same circuit and software, up to what is trained."""
    return (
        len(one.phases) == len(other.phases)
        and one.inputs == other.inputs
        and all(map(_same_phase, one.phases, other.phases, _handed(one)))
        and np.array_equal(one.outputs, other.outputs)
        and one.encoder.describe() == other.encoder.describe()
        and one.head.describe() == other.head.describe()
    )


def same_samples(one: Samples | None, other: Samples | None) -> bool:
    """Whether two checkpoints carry the same test samples, or none."""
    if one is None or other is None:
        return one is other
    return all(
        ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=_CLOSE, atol=_CLOSE)
        for ours, theirs in ((one.inputs, other.inputs), (one.targets, other.targets))
    )


def _handed(checkpoint: Checkpoint) -> list[int]:
    """How many voltages each layer is handed."""
    return [checkpoint.inputs, *(phase.nodes for phase in checkpoint.phases)]


def _same_phase(one: PhaseRecord, other: PhaseRecord, handed: int) -> bool:
    """Whether two layers are the same; how nodes are filled is nothing where all are handed."""
    return (
        (one.nodes, one.duration, one.residual) == (other.nodes, other.duration, other.residual)
        and (one.fill is other.fill or one.nodes <= handed)
        and len(one.batches) == len(other.batches)
        and all(map(_same_batch, one.batches, other.batches))
    )


def _same_batch(one: BatchRecord, other: BatchRecord) -> bool:
    return (
        one.law == other.law
        and one.params.shape == other.params.shape
        and np.array_equal(one.src, other.src)
        and np.array_equal(one.dst, other.dst)
        and np.array_equal(_columns(one), _columns(other))
    )


def _columns(batch: BatchRecord) -> NDArray[Any]:
    return np.arange(len(batch.src)) if batch.share is None else batch.share
