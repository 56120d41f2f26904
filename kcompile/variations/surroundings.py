"""Effects around the devices: what loads the nodes, and the capacitors themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kcompile.ir import FloatArray, Graph
from kcompile.variations.devices import Devices
from kcompile.variations.effect import Chance, Effect, lognormal, number

LEAKS = ((1.0, -1.0, 0.0), (0.0, 0.0, 1.0))
"""``a, b, c`` of the identity edges to ground that carry a node's leaks: conductance, current."""


@dataclass(frozen=True)
class OutputConductance(Effect):
    """A real current source has a finite output resistance.

    Every device loads both of its nodes with a conductance to ground of ``conductance * |w|``, in
    the phase in which it works. For a transistor at the current ``w`` it is ``v0`` over its Early
    voltage.
    """

    name: ClassVar[str] = "output"

    conductance: float = number("conductance per unit of |w|, at both nodes of a device", "1/v0")

    def loads(self, nodes: int, placed: Iterable[tuple[Any, Any, Devices]]) -> Any:
        """The conductance from each node to ground, ``[N]``, i0/v0; 0.0 where there are no devices.

        Args:
            nodes: N.
            placed: sources, destinations (``int[E]`` each) and the devices between them, of all
                that work in one phase.
        """
        found: Any = 0.0
        for src, dst, devices in placed:
            load = devices.loads(self.conductance)
            for ends in (src, dst):
                found = found + devices.arithmetic.summed(load, ends, nodes + 1)[1:]
        return found


@dataclass(frozen=True)
class Leakage(Effect):
    """Charge leaks off the capacitors: through the substrate, and through switches that are off.

    Each node has its own conductance and its own constant current to ground, for the whole run;
    ``hold`` is a time between layers in which nothing else happens, so that voltages droop.
    """

    name: ClassVar[str] = "leakage"

    conductance: float = number("conductance of a node to ground", "i0/v0")
    current: float = number("current of a node to ground, whatever its voltage is", "i0")
    spread: float = number(
        "sd of both over nodes, relative (lognormal, the mean is kept)", most=1e3
    )
    hold: float = number("time between two layers in which nodes only leak", "tau")

    @property
    def active(self) -> bool:
        """Whether anything leaks; a spread or a hold of nothing is nothing."""
        return self.conductance > 0 or self.current > 0

    def loads(self, nodes: int, chance: Chance) -> tuple[FloatArray, FloatArray]:
        """Conductance and current of each node to ground, ``float64[N]`` each."""
        factors = lognormal(chance.of(self.name), self.spread, nodes)
        return self.conductance * factors, self.current * factors


@dataclass(frozen=True)
class Capacitors(Effect):
    """Capacitors differ, and every device adds the capacitance of its terminals and wires.

    ``C = C_ideal * (1 + mismatch*N(0, 1)) + parasitic * degree``, the degree being how many device
    terminals hang at the node in all layers together. At the largest mismatch allowed, none of
    10^10 capacitors becomes negative.
    """

    name: ClassVar[str] = "capacitors"

    mismatch: float = number("sd of a capacitor, relative", most=0.15)
    parasitic: float = number("capacitance of a device's terminal", "c0")

    def apply(self, graph: Graph, chance: Chance) -> FloatArray:
        """The capacitances, ``float64[nodes]``, c0."""
        found = graph.capacitance.copy()
        if self.mismatch:
            found *= 1.0 + self.mismatch * chance.of(self.name).standard_normal(graph.nodes)
        return found + self.parasitic * degrees(graph) if self.parasitic else found


def degrees(graph: Graph) -> FloatArray:
    """How many device terminals hang at each node, in all phases together, ``float64[nodes]``."""
    count = np.zeros(graph.nodes + 1)
    for phase in graph.phases:
        for batch in phase.batches:
            for ends in (batch.src, batch.dst):
                count += np.bincount(ends, minlength=graph.nodes + 1)
    return count[1:]
