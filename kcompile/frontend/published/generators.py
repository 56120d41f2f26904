"""The published topology generators: their arguments, and what they are called here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from kcompile.errors import ConfigError, UsageError
from kcompile.frontend.fields import Field
from kcompile.frontend.published.given import Given
from kcompile.frontend.records import NODE_LIMIT
from kcompile.frontend.topology import Chain, FullyConnected, Mixed, Neighbourhood, Topology


def published_topology(layer: Field) -> Topology:
    """The topology that one entry of ``network.net_struct`` asks for.

    Raises:
        ConfigError: no such generator, an argument missing, unknown or out of range, or a network
            without edges.
    """
    name = layer.key("name").choice(_GENERATORS)
    generator = _GENERATORS[name]
    args = layer.key("args")
    for argument in args.names():
        if argument not in generator.readers:
            raise ConfigError(f"{args.path}.{argument:.40} is no argument of {name}")
    required = _required(generator, args)
    values: dict[str, Any] = {}
    for argument, reader in generator.readers.items():
        value = args.key(argument) if argument in required else args.get(argument)
        if value is not None:
            values[argument] = reader(value)
    values.pop("sharing", None)
    try:
        topology = generator.kind(**values)
    except UsageError as error:
        raise ConfigError(f"{args.path}: {error.message}", hint=error.hint) from error
    if not topology.count:
        raise ConfigError(f"{args.path}: {name} makes no edge of that", hint="check its numbers")
    return topology


Reader = Callable[[Field], Any]


@dataclass(frozen=True)
class _Generator:
    kind: Callable[..., Topology]
    readers: Mapping[str, Reader]


def _required(generator: _Generator, args: Field) -> set[str]:
    """The arguments without a default."""
    if generator.kind is Given and args.get("source_edge_index") is None:
        raise ConfigError(
            f"{args.path}: _pregiven takes its edges from graph data, which the config lacks",
            hint="give them as source_edge_index: [[sources], [destinations]], counted from 0",
        )
    arguments = fields(generator.kind)  # pyright: ignore[reportArgumentType]
    return {argument.name for argument in arguments if argument.default is MISSING}


def _any_number(field: Field) -> int:
    return field.integer(0)


def _one_or_more(field: Field) -> int:
    return field.integer(1)


def _pair(field: Field) -> tuple[int, ...]:
    return tuple(entry.integer(0) for entry in field.items(low=2))[:2]


def _edge_list(field: Field) -> tuple[tuple[int, ...], ...]:
    rows = field.items(low=2, high=2)
    count = len(rows[0].items(low=1))
    return tuple(
        tuple(end.integer(0, NODE_LIMIT) for end in row.items(count, count)) for row in rows
    )


_FEW: dict[str, Reader] = {"num_node": _one_or_more, "include_gnd": Field.flag, "repeat": _pair}

_IMAGE: dict[str, Reader] = {
    "num_channel": _one_or_more,
    "width": _one_or_more,
    "height": _one_or_more,
    "neighbor_size": _one_or_more,
    "padding": Field.flag,
    "parallel": _one_or_more,
    # It changes a column that the published program does not read: parameters are not shared.
    "sharing": Field.flag,
}

_GENERATORS = {
    "_fully_connect": _Generator(FullyConnected, _FEW),
    "_simple_connect": _Generator(Chain, _FEW),
    "_neighbor_index": _Generator(Neighbourhood, {**_IMAGE, "repeat": _one_or_more}),
    "_mix_connect": _Generator(
        Mixed,
        {
            **_IMAGE,
            "fully_connect_node": _any_number,
            "repeat": _pair,
            "kernel_repeat": _one_or_more,
        },
    ),
    "_pregiven": _Generator(
        Given,
        {
            "source_edge_index": _edge_list,
            "num_node_feature": _one_or_more,
            "repeat_across_layer": _any_number,
            "repeat_within_layer": _one_or_more,
            "repeat_to_gnd": _any_number,
        },
    ),
}
