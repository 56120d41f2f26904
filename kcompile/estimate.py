"""What compiling and simulating a network roughly costs; docs/findings.md says how it was measured.

Figures are of one processor core and ngspice 47, good to about a factor of two in time, and
somewhat high in memory, on which decisions rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kcompile.ir import EdgeBatch, Graph, Phase, Phi, distinct, unordered_pairs
from kcompile.lower import PRESET_SIGN
from kcompile.passes import BOUNDED, GROUPED

_POINTS, _ITERATIONS = 220, 630
"""Time points and Newton iterations of a layer, at 200 steps."""

_PROGRAM = 16e6
"""Bytes of an ngspice that simulates nothing."""

_PAIR, _EDGE = 300.0, 50.0
"""Bytes of the matrix of a pair of nodes, and of an edge in a compiled device."""

_SOLVE = 7e-9
"""Seconds an iteration, times pairs of nodes and the root of the nodes: factors and solution."""

_PYTHON = (0.5, 70e6)
"""Seconds and bytes of Python with what compiling imports."""

_COMPILED = (1 / 300e3, 150.0)
"""Seconds and bytes an edge of loading, compiling and writing."""

_VERIFIED = 150.0
"""Bytes an edge of the reference and what else verification keeps."""


_POINTS_OF_EDGE = 4.0
"""Points of an approximate table for each edge in it, at a tolerance of 1e-3, where nobody knows
yet over which voltages it must hold (genmnist: 3.6)."""


@dataclass(frozen=True)
class Cost:
    """Rough figures.

    Args:
        memory_bytes: at most at a time.
        seconds: of one core.
    """

    memory_bytes: float
    seconds: float


@dataclass(frozen=True)
class SimulationCost(Cost):
    """What the circuit of one device family takes.

    Args:
        memory_bytes: of one simulator.
        seconds: of one sample.
        device: the family.
        opt_level: of the passes.
        devices: how many rows there would be in all layers.
    """

    device: str
    opt_level: int
    devices: int


@dataclass(frozen=True)
class _Counts:
    """What a layer's cost depends on."""

    phase: Phase
    opt_level: int

    def grouping(self, phi: Phi) -> bool:
        """Whether edges of a nonlinearity will be joined where a family has tables."""
        return self.opt_level >= (GROUPED if phi.piecewise_linear else BOUNDED)

    @cached_property
    def pairs(self) -> int:
        """Pairs of nodes that are joined."""
        return sum(
            len(batch.group_ptr) - 1
            if batch.group_ptr is not None
            else len(distinct(unordered_pairs(batch)))
            for batch in self.phase.batches
        )

    def rows(self, batch: EdgeBatch) -> tuple[int, int]:
        """Tables and single edges that a batch becomes where a family has tables."""
        if batch.group_ptr is not None:
            return len(batch.group_ptr) - 1, 0
        if not self.grouping(batch.phi):
            return 0, len(batch)
        fit = batch.is_diff & (batch.src != batch.dst)
        return len(distinct(unordered_pairs(batch)[fit])), int(np.count_nonzero(~fit))

    def points(self, batch: EdgeBatch) -> float:
        """Points of the tables that approximate edges of a batch."""
        if batch.tables is not None:
            return float(len(batch.tables.x))
        if batch.phi.piecewise_linear:
            return 0.0  # its tables have a point an edge, and are exact
        return (len(batch) - self.rows(batch)[1]) * _POINTS_OF_EDGE

    @property
    def approximate_points(self) -> float:
        """Points of all tables that approximate edges."""
        return sum(map(self.points, self.phase.batches))

    @property
    def curved(self) -> int:
        """Edges whose tanh is evaluated."""
        tanh = (batch for batch in self.phase.batches if batch.phi is Phi.TANH)
        return sum(self.rows(batch)[1] for batch in tanh)

    def edges(self, phi: Phi) -> int:
        """Edges of a nonlinearity."""
        return sum(len(batch) for batch in self.phase.batches if batch.phi is phi)

    @property
    def plain(self) -> int:
        """Linear edges without offset, which every family has a VCCS for."""
        linear = (batch for batch in self.phase.batches if batch.phi is Phi.IDENTITY)
        return sum(int(np.count_nonzero(b.is_diff & (b.column("c") == 0))) for b in linear)


@dataclass(frozen=True)
class _Devices:
    """The devices of a layer: how many, and what all of them take beside the matrix.

    Args:
        count: rows.
        memory: bytes.
        seconds: a Newton iteration.
        iterations: of Newton's method, compared with what is usual.
    """

    count: int
    memory: float
    seconds: float
    iterations: float = 1.0


_VCCS = (600.0, 0.1e-6)
_TABLE = (1600.0, 400.0, 0.9e-6)
"""Bytes of a table and of each edge in it, seconds an iteration."""
_POINT = (230.0, 24.0)
"""Bytes of a point of an approximate table, in a source and in a compiled device."""
_SOURCE: Mapping[Phi, tuple[float, float]] = {
    Phi.RELU: (3900.0, 1.1e-6),
    Phi.TANH: (4600.0, 2.0e-6),
    Phi.LEAKY_RELU: (6200.0, 2.3e-6),
    Phi.IDENTITY: (3700.0, 0.9e-6),
}
"""Bytes and seconds an iteration of a behavioural source."""


def _ideal(layer: _Counts) -> _Devices:
    count, memory, seconds = 0, 0.0, 0.0
    for batch in layer.phase.batches:
        tables, single = layer.rows(batch)
        count += tables + single
        memory += tables * _TABLE[0] + (len(batch) - single) * _TABLE[1]
        memory += layer.points(batch) * _POINT[0]
        seconds += tables * _TABLE[2]
        memory += single * _SOURCE[batch.phi][0]
        seconds += single * _SOURCE[batch.phi][1]
    if not layer.grouping(Phi.IDENTITY):
        source = _SOURCE[Phi.IDENTITY]
        memory -= layer.plain * (source[0] - _VCCS[0])
        seconds -= layer.plain * (source[1] - _VCCS[1])
    return _Devices(count, memory, seconds)


def _drawn_out(memory: float, seconds: float, iterations: float) -> Callable[[_Counts], _Devices]:
    """A family that draws out relu edges; leaky ones are a linear and a relu edge there."""

    def devices(layer: _Counts) -> _Devices:
        plain = layer.plain
        drawn = layer.phase.edges - plain + layer.edges(Phi.LEAKY_RELU)
        return _Devices(
            drawn + plain,
            drawn * memory + plain * _VCCS[0],
            drawn * seconds + plain * _VCCS[1],
            iterations,
        )

    return devices


_RECTIFIER, _PAIR_OF_TRANSISTORS = (9300.0, 1.45e-6, 4.0), (16500.0, 3.0e-6, 0.7)
"""Bytes, seconds an iteration and iterations of an edge of diodes, and of transistors; mirrors of
transistors take three times the bytes."""


def _transistors(layer: _Counts) -> _Devices:
    """A family that draws out tanh edges with transistors, and others as the diodes' does."""
    pairs = layer.edges(Phi.TANH)
    if pairs == 0:
        return _drawn_out(*_RECTIFIER)(layer)
    rest = layer.phase.edges - layer.plain - pairs + layer.edges(Phi.LEAKY_RELU)
    return _Devices(
        pairs + rest + layer.plain,
        pairs * _PAIR_OF_TRANSISTORS[0] + rest * _RECTIFIER[0] + layer.plain * _VCCS[0],
        pairs * _PAIR_OF_TRANSISTORS[1] + rest * _RECTIFIER[1] + layer.plain * _VCCS[1],
        _RECTIFIER[2] if rest else _PAIR_OF_TRANSISTORS[2],
    )


def _whole(layer: _Counts) -> _Devices:
    memory = layer.phase.edges * _EDGE + layer.approximate_points * _POINT[1]
    return _Devices(1, memory, layer.curved * 8e-9)


def _pairwise(layer: _Counts) -> _Devices:
    edges, pairs = layer.phase.edges, layer.pairs
    seconds = pairs * 0.08e-6 + layer.curved * 0.015e-6
    memory = edges * _EDGE + pairs * 900 + layer.approximate_points * _POINT[1]
    return _Devices(pairs, memory, seconds)


def _edgewise(layer: _Counts) -> _Devices:
    edges = layer.phase.edges
    return _Devices(edges, edges * 1350.0, edges * 0.08e-6)


_FAMILIES: Mapping[str, Callable[[_Counts], _Devices]] = {
    "ideal": _ideal,
    "native": _whole,
    "native-pair": _pairwise,
    "native-edge": _edgewise,
    "switch": _drawn_out(4200.0, 0.75e-6, 1.0),
    "diode": _drawn_out(*_RECTIFIER),
    "bjt": _transistors,
}
_WITHOUT_TANH = frozenset({"switch", "diode"})

FAMILIES = tuple(_FAMILIES)
"""The device families of which there are figures."""


def simulating(graph: Graph, device: str, opt_level: int) -> SimulationCost | None:
    """What one simulation takes; None for a family of which nothing is known.

    Args:
        graph: after the passes of its level, or before: then edges that could be merged count, too.
            After those of level 3 it has all its tables: it is asked for at level 2.
        device: the family; a preset of it takes the same.
        opt_level: of the passes; from 2 on edges are joined where the family has tables, at 3
            also those that this only approximates.
    """
    device = device.partition(PRESET_SIGN)[0]
    make = _FAMILIES.get(device)
    tanh = any(batch.phi is Phi.TANH for phase in graph.phases for batch in phase.batches)
    if make is None or (tanh and device in _WITHOUT_TANH):
        return None
    count, memory, seconds = 0, _PROGRAM, 0.0
    for phase in graph.phases:
        layer = _Counts(phase, opt_level)
        found = make(layer)
        count += found.count
        # Waveforms are kept, and written from a second copy.
        memory += found.memory + layer.pairs * _PAIR + 16 * _POINTS * (phase.nodes + 1)
        step = found.seconds + _SOLVE * layer.pairs * phase.nodes**0.5
        seconds += _ITERATIONS * found.iterations * step
    return SimulationCost(memory, seconds, device, opt_level, count)


def compiling(graph: Graph) -> Cost:
    """What loading and compiling a network and writing its decks takes."""
    seconds, memory = (
        fixed + graph.edges * each for fixed, each in zip(_PYTHON, _COMPILED, strict=True)
    )
    return Cost(memory, seconds)


def verifying(graph: Graph) -> float:
    """Bytes that verification takes beside compiling and the simulators."""
    return graph.edges * _VERIFIED
