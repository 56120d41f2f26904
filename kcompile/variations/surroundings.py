"""Effects around the devices: what loads the nodes, and the capacitors themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kcompile.ir import FloatArray, Graph, Phase
from kcompile.variations.effect import Chance, Effect, lognormal, number


@dataclass(frozen=True)
class OutputConductance(Effect):
    """A real current source has a finite output resistance.

    Every device loads both of its nodes with a conductance to ground of ``conductance * |w|``, in
    the phase in which it works. For a transistor at the current ``w`` it is ``v0`` over its Early
    voltage.
    """

    name: ClassVar[str] = "output"

    conductance: float = number("conductance per unit of |w|, at both nodes of a device", "1/v0")

    def loads(self, phase: Phase) -> FloatArray:
        """The conductance from each node to ground, ``float64[N]``, i0/v0."""
        found = np.zeros(phase.nodes + 1)
        for batch in phase.batches:
            load = self.conductance * np.abs(batch.column("w"))
            found += np.bincount(batch.src, load, phase.nodes + 1)
            found += np.bincount(batch.dst, load, phase.nodes + 1)
        return found[1:]


@dataclass(frozen=True)
class Leakage(Effect):
    """Charge leaks off the capacitors: through the substrate, and through switches that are off.

    Each node has its own conductance and its own constant current to ground, for the whole run;
    ``hold`` is a time between layers in which nothing else happens, so that voltages droop.
    """

    name: ClassVar[str] = "leakage"

    conductance: float = number("conductance of a node to ground", "i0/v0")
    current: float = number("current of a node to ground, whatever its voltage is", "i0")
    spread: float = number("sd of both over nodes, relative (lognormal, the mean is kept)")
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
    terminals hang at the node in all layers together.
    """

    name: ClassVar[str] = "capacitors"

    mismatch: float = number("sd of a capacitor, relative", most=0.2)
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
