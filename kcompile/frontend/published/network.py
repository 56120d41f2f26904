"""A published state_dict and its config as a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError, ConfigError
from kcompile.frontend.published.config import Config
from kcompile.frontend.published.parameters import check_parameters
from kcompile.frontend.published.readout import encoder, read_out
from kcompile.frontend.records import BatchRecord, Checkpoint, PhaseRecord
from kcompile.frontend.topology import describe
from kcompile.frontend.torch_file import State
from kcompile.ir import Fill

_LAYER = re.compile(r"circuit\.layer_list\.(\d{1,6})\.model\.param")
_BELONGS = "does the config belong to this model?"

_WIDTHS = {
    "toyregress": 5,
    "housing": 8,
    "diabete": 10,
    "mnist": 28 * 28,
    "cifar10": 3 * 32 * 32,
    "cifar100": 3 * 32 * 32,
    "svhn": 3 * 32 * 32,
    "tinyimage": 3 * 64 * 64,
}
"""How many numbers one sample of a published test bench has (images: flattened pixels)."""


def published_checkpoint(state: State, config: Config) -> tuple[Checkpoint, tuple[str, ...]]:
    """The network that a state_dict and its config describe, and notes about how it was read.

    Raises:
        CheckpointError: parameters are missing, left over, not finite or not as many as edges.
        ConfigError: read-out or layers do not fit together.
    """
    rest = dict(state)
    layers = _take_layers(rest, len(config.layers))
    batches = [_batch(k, params, config) for k, params in enumerate(layers)]
    sizes = [max(int(batch.src.max()), int(batch.dst.max())) for batch in batches]
    if config.generative:
        _refuse(name for name in rest if not name.startswith(("projector.", "encoder.")))
        return _generative(batches, sizes, config), config.notes
    software = encoder(config, rest)
    read = read_out(config, sizes[-1], rest)
    _refuse(rest)
    width, notes = _sample_width(config, sizes[0])
    given = software.output_width(width)
    inputs = min(given, sizes[0])
    checkpoint = Checkpoint(
        _phases(batches, sizes, config, given),
        inputs,
        read.outputs,
        task=config.task,
        encoder=software,
        head=read.head,
        solver=config.solver,
        sample_width=None if software or width == inputs else width,
    )
    return checkpoint, (*config.notes, *notes)


def _generative(batches: list[BatchRecord], sizes: list[int], config: Config) -> Checkpoint:
    """A network that starts from a normal draw of the first layer's size and reads every node.

    The published program draws one number for each node of the first layer (two for the sets of
    points, 784 for genmnist) and neither cuts nor pads between layers: nodes that a later layer
    leaves out hold their voltage and are read out with the others.
    """
    nodes = sizes[0]
    for k, size in enumerate(sizes):
        if size > nodes:
            raise ConfigError(
                f"network.net_struct[{k}] has {size} nodes, the first layer {nodes}",
                hint="nothing is padded between the layers of a generative network",
            )
    phases = tuple(
        PhaseRecord(nodes, duration, (batch,), config.fill if k == 0 else Fill.ZERO)
        for k, (batch, duration) in enumerate(zip(batches, config.durations, strict=True))
    )
    outputs = np.arange(1, nodes + 1, dtype=np.int32)
    return Checkpoint(phases, nodes, outputs, task=config.task, solver=config.solver)


def _phases(
    batches: list[BatchRecord], sizes: list[int], config: Config, given: int
) -> tuple[PhaseRecord, ...]:
    """The layers, the first of which is handed ``given`` voltages."""
    phases: list[PhaseRecord] = []
    for k, (batch, duration) in enumerate(zip(batches, config.durations, strict=True)):
        # A layer that is handed enough voltages fills none, whatever the config says.
        fill = config.fill if sizes[k] > given else Fill.ZERO
        source = _residual_into(k, sizes, config)
        phases.append(PhaseRecord(sizes[k], duration, (batch,), fill, source))
        given = sizes[k]
    return tuple(phases)


def _residual_into(k: int, sizes: list[int], config: Config) -> int | None:
    """The layer whose output is added to that of layer k."""
    if config.residual is None or k != config.residual[1]:
        return None
    source = config.residual[0]
    if sizes[source] != sizes[k]:
        raise ConfigError(
            f"network.residual adds {sizes[source]} voltages to {sizes[k]}",
            hint="both layers must have as many nodes",
        )
    return source


def _take_layers(rest: State, count: int) -> list[NDArray[Any]]:
    """The parameters of each layer in order, taken out of the state."""
    found = {int(match[1]): name for name in rest if (match := _LAYER.fullmatch(name))}
    if not found:
        raise CheckpointError(
            "it holds no circuit.layer_list.<k>.model.param",
            hint="give a network written by kcompile or published by the paper's authors",
        )
    if sorted(found) != list(range(count)):
        raise CheckpointError(
            f"it holds layers {sorted(found)[:20]}, the config describes {count}", hint=_BELONGS
        )
    return [rest.pop(found[k]) for k in range(count)]


def _batch(k: int, params: NDArray[Any], config: Config) -> BatchRecord:
    name = f"circuit.layer_list.{k}.model.param"
    law, topology = config.law, config.layers[k]
    check_parameters(name, params, law.rows, law.name)
    # Compared before the edges are made: a config can ask for more than memory holds.
    if params.shape[1] != topology.count:
        raise CheckpointError(
            f"{name} has {params.shape[1]} columns, network.net_struct[{k}] makes "
            f"{topology.count} edges",
            hint=_BELONGS,
        )
    src, dst = topology.edges()
    return BatchRecord(law.law, src, dst, params[list(law.order)], describe(topology))


def _sample_width(config: Config, nodes: int) -> tuple[int, tuple[str, ...]]:
    """How many numbers one sample has, and a note where that is a guess."""
    if config.encoder:
        return config.encoder[0], ()
    width = _WIDTHS.get(config.task or "")
    if width is not None:
        return width, ()
    return nodes, (f"a sample is taken to have {nodes} values, one per node of the first layer",)


def _refuse(names: Iterable[str]) -> None:
    """Refuses parameters that nothing in the config accounts for."""
    for name in names:
        raise CheckpointError(
            f"it holds {name:.60}, which the config does not account for", hint=_BELONGS
        )
