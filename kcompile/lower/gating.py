"""Which gate switches each element's current on, in a deck that holds all layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kcompile.devices import Gates
from kcompile.ir import EdgeBatch
from kcompile.lower.columns import group_ends
from kcompile.netlist import (
    Column,
    Computed,
    Gate,
    Layer,
    Pulse,
    SingleDeck,
    gate_name,
)
from kcompile.timing import Timing
from kcompile.units import Scale

_COUPLING = 1e-8
"""The capacitors, in c0, through which closing gates push charge: next to none beside a node's."""


@dataclass(frozen=True)
class Gating:
    """The gates of one layer; false without any.

    What flows between two nodes belongs to the row of the higher one, so that passes may turn
    edges round and join them.

    Args:
        kind: how many there are.
        layer: its number, from 1.
    """

    kind: Gates
    layer: int

    def __bool__(self) -> bool:
        return self.kind is not Gates.NONE

    def names(self, nodes: int) -> list[str]:
        """All gates of a layer of so many nodes."""
        match self.kind:
            case Gates.NONE:
                return []
            case Gates.ONE:
                return [gate_name(self.layer)]
            case Gates.ROWS:
                return [gate_name(self.layer, node) for node in range(1, nodes + 1)]

    def edges(self, batch: EdgeBatch) -> Computed[str] | None:
        """The gate of every edge, or None."""

        def rows(start: int, stop: int) -> list[int]:
            high = np.maximum(batch.src[start:stop], batch.dst[start:stop])
            # Even an edge from ground to itself names a gate that is there.
            return np.maximum(high, 1).tolist()

        return self._column(len(batch), rows)

    def pairs(self, batch: EdgeBatch) -> Computed[str] | None:
        """The gate of every group of a grouped batch, or None."""

        def rows(start: int, stop: int) -> list[int]:
            return [high for high, _ in group_ends(batch, start, stop)]

        assert batch.group_ptr is not None
        return self._column(len(batch.group_ptr) - 1, rows)

    def _column(self, count: int, rows: Callable[[int, int], list[int]]) -> Computed[str] | None:
        def common(start: int, stop: int) -> list[str]:
            return [gate_name(self.layer)] * (stop - start)

        def own(start: int, stop: int) -> list[str]:
            return [gate_name(self.layer, node) for node in rows(start, stop)]

        if not self:
            return None
        return Computed(count, common if self.kind is Gates.ONE else own)


def with_gate(columns: Mapping[str, Column], gate: Column | None) -> Mapping[str, Column]:
    """The columns with one more for the gates, where there are any."""
    return columns if gate is None else {**columns, "gate": gate}


def single_deck(layers: Sequence[Layer], timing: Timing, scale: Scale) -> SingleDeck:
    """What a deck that holds all layers has besides them.

    Args:
        layers: in order.
        timing: of their gates.
        scale: the unit system.
    """
    schedule = timing.schedule(
        [layer.duration for layer in layers], [layer.nodes for layer in layers]
    )
    kind = Gates.ROWS if timing.skew > 0 else Gates.ONE
    gates: list[tuple[Gate, ...]] = []
    pulses: list[tuple[Pulse, ...]] = []
    for index, layer in enumerate(layers):
        corners = schedule.corners(index)
        names = Gating(kind, layer.number).names(layer.nodes)
        pairs = zip(names, corners.tolist(), strict=True)
        gates.append(tuple(Gate(name, tuple(times)) for name, times in pairs))
        closing = np.broadcast_to(corners[:, 2:], (layer.nodes, 2))
        pulses.append(_pulses(layer, closing, timing.charge, scale))
    return SingleDeck(
        tuple(gates),
        schedule.stop,
        tuple(pulses),
        timing.leak / scale.resistance_unit,
        timing.perfect,
    )


def _pulses(
    layer: Layer, closing: NDArray[np.float64], charge: float, scale: Scale
) -> tuple[Pulse, ...]:
    """What closing gates ``[N, 2]`` (begin and end) push onto a layer's nodes."""
    if charge == 0:
        return ()
    volts, farads = charge * scale.v0 / _COUPLING, _COUPLING * scale.c0
    return tuple(
        Pulse(f"q{layer.number}_{node}", f"n{node}", begin, end, volts, farads)
        for node, (begin, end) in enumerate(closing.tolist(), 1)
    )
