"""The solution of all layers in one transient, whose gates may overlap, be late, or push charge.

``C dv/dt = sum over layers k of g_k(t) * i_k(v) + q * p_k(t) - leak*v``, with a gate ``g`` and a
pulse ``p`` of area 1 for each layer, or for each of its rows (``kcompile.timing``): a circuit of a
single deck, told once more, for ``solve`` knows layers that follow each other perfectly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from kcompile import kernels
from kcompile.errors import GraphError, UsageError
from kcompile.ir import (
    COEFFICIENTS,
    FloatArray,
    Graph,
    IndexArray,
    derivative,
    hand_over,
    require_continuous,
)
from kcompile.kernels import Coefficients, CompiledLayer, Wiring
from kcompile.reference.convergence import checked_start
from kcompile.reference.integrator import PhaseSolution
from kcompile.reference.solution import Reference, Trajectory
from kcompile.timing import Timing

METHOD = "Kutta's 3/8 rule, fixed steps between the corners of the gates"

Record: TypeAlias = Callable[[float, FloatArray, FloatArray], None]
"""Hears of the time, the voltages and their slopes ``[N, S]`` at the beginning of every step and at
the end of every piece, where the slopes may jump."""

_FIRST = 32
_MOST = 1 << 14
_FINE = 1e-2
"""Steps are halved until read-outs move by less than this share of what is allowed, if they do."""


class ScheduledCircuit:
    """The layers of a circuit under their gates, ready to be solved for many samples.

    Args:
        graph: without tables, its hand-overs such as wires can do.
        timing: of its gates.

    Raises:
        UsageError: the graph is another one.
    """

    def __init__(self, graph: Graph, timing: Timing) -> None:
        require_continuous(graph)
        self.graph = graph
        self.schedule = timing.schedule(
            [phase.duration for phase in graph.phases], [phase.nodes for phase in graph.phases]
        )
        self._charge, self._leak = timing.charge, timing.leak
        self._layers = [_GatedLayer(graph, k) for k in range(len(graph.phases))]
        self._elastance = 1.0 / graph.capacitance[:, None]
        corners = [self.schedule.corners(k) for k in range(len(graph.phases))]
        self._active = [(float(c[:, 0].min()), float(c[:, 3].max())) for c in corners]
        begins = [np.array([begin for begin, _ in self.schedule.windows])]
        stop = np.array([self.schedule.stop])
        cuts = np.concatenate([*(each.ravel() for each in corners), *begins, stop])
        self._cuts = _distinct(cuts)

    def outputs(self, initial: FloatArray, steps: int) -> FloatArray:
        """The read-outs when the last gate is closed, ``float64[S, M]``.

        They are not finite where they run away.

        Args:
            initial: ``float64[S, N]``, the first phase's voltages at t = 0, software units.
            steps: for a duration of the shortest layer, at least; ramps take one or more each.
        """
        return self.states(initial, _rounded(steps))[-1][:, self.graph.outputs - 1]

    def states(
        self, initial: FloatArray, steps: int, record: Record | None = None
    ) -> tuple[FloatArray, ...]:
        """The voltages of all nodes at the end of each layer's window, ``float64[S, N]`` each.

        Args:
            initial: as for ``outputs``.
            steps: likewise, a multiple of 32.
            record: hears of every step.
        """
        v = np.zeros((self.graph.nodes, len(initial)))
        first = self.graph.phases[0]
        v[: first.nodes] = hand_over(initial, first).T
        coarse = min(phase.duration for phase in self.graph.phases) / _FIRST
        finer = steps // _FIRST
        ends = [end for _, end in self.schedule.windows]
        found: list[FloatArray] = []
        with np.errstate(over="ignore", invalid="ignore"):
            for begin, end in pairwise(self._cuts):
                # All pieces are refined together, also those that take one step at first.
                count = finer * max(1, int(np.ceil((end - begin) / coarse - 1e-9)))
                v = self._piece(v, begin, end, count, record)
                while len(found) < len(ends) and ends[len(found)] <= end + 1e-9 * coarse:
                    found.append(np.ascontiguousarray(v.T))
        return tuple(found)

    def _piece(
        self, v: FloatArray, begin: float, end: float, count: int, record: Record | None
    ) -> FloatArray:
        h = (end - begin) / count
        push = self._push((begin + end) / 2)
        for step in range(count):
            t = begin + step * h
            k1 = self._slope(v, t, push)
            if record is not None:
                record(t, v, k1)
            k2 = self._slope(v + k1 * (h / 3), t + h / 3, push)
            k3 = self._slope(v + (k2 - k1 / 3) * h, t + 2 * h / 3, push)
            k4 = self._slope(v + (k1 - k2 + k3) * h, t + h, push)
            v = v + (k1 + 3 * (k2 + k3) + k4) * (h / 8)
        if record is not None:
            record(end, v, self._slope(v, end, push))
        return v

    def _push(self, t: float) -> FloatArray:
        """dv/dt by the charge of closing gates, ``[N, 1]``: constant between corners."""
        push = np.zeros((self.graph.nodes, 1))
        if self._charge:
            for k, layer in enumerate(self._layers):
                push[: layer.nodes] += self.schedule.pulses(k, t)[:, None]
        return self._charge * self._elastance * push

    def _slope(self, v: FloatArray, t: float, push: FloatArray) -> FloatArray:
        """dv/dt at one time, ``[N, S]``."""
        slope = push - self._leak * self._elastance * v
        for k, layer in enumerate(self._layers):
            begin, end = self._active[k]
            if not begin <= t <= end:
                continue
            count = layer.nodes
            gates = self.schedule.gates(k, t)
            if gates.any():
                slope[:count] += layer.slope(v[:count], gates)
        return slope


def solve_schedule(
    graph: Graph,
    timing: Timing,
    v0: FloatArray,
    tolerance: float,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Reference:
    """The solution of a single deck's circuit, with an estimate of its own error.

    Steps are halved until the read-outs of two solutions differ by less than a hundredth of
    ``E = tolerance * max(1, peak)``; a tenth is enough to be certified. A layer's waveforms are
    those from the moment when it begins, until the next one does.

    Args:
        graph: the circuit, with hand-overs that a wire can do.
        timing: of its gates.
        v0: ``float64[S, N]``, the first phase's voltages at t = 0, software units.
        tolerance: relative tolerance of the comparison that the result serves.
        on_progress: called with (samples done, samples planned).

    Raises:
        InputError: ``v0`` has the wrong shape or is not finite.
        UsageError: the tolerance is not a positive, finite number, or as ``ScheduledCircuit``.
        GraphError: the voltages grow without bound.
    """
    v0 = checked_start(graph, v0)
    if not (np.isfinite(tolerance) and tolerance > 0.0):
        raise UsageError(
            f"the tolerance is {tolerance!r}", hint="give a positive number such as 1e-3"
        )
    began = time.perf_counter()
    circuit = ScheduledCircuit(graph, timing)
    steps, states, moved = _settle(circuit, v0, tolerance)
    outputs = states[-1][:, graph.outputs - 1]
    finals = tuple(v[:, : p.nodes] for v, p in zip(states, graph.phases, strict=True))
    peak = float(np.abs(outputs).max(initial=0.0))
    allowed = tolerance * max(1.0, peak)
    reason = None if moved < allowed / 10 else (
        f"the reference is certain to {moved:.2g} only, a tolerance of {allowed:.2g} needs "
        f"{allowed / 10:.2g}: {_MOST} steps a layer are not enough"
    )  # fmt: skip
    if on_progress is not None:
        on_progress(len(v0), len(v0))
    return Reference(
        outputs, finals, tolerance, peak, 0.0, 0.0, moved, tuple(range(len(v0))),
        reason is None, reason,
        time.perf_counter() - began, lambda sample: _trajectory(circuit, v0[sample], steps), {},
        METHOD, steps,
    )  # fmt: skip


def _settle(
    circuit: ScheduledCircuit, v0: FloatArray, tolerance: float
) -> tuple[int, tuple[FloatArray, ...], float]:
    """Steps that are enough, the layers' final voltages, and how far half as many are from them."""
    nodes = circuit.graph.outputs - 1
    steps, moved = _FIRST, float("inf")
    states = circuit.states(v0, steps)
    while steps < _MOST:
        steps *= 2
        coarse, states = states[-1][:, nodes], circuit.states(v0, steps)
        outputs = states[-1][:, nodes]
        moved = float(np.abs(outputs - coarse).max(initial=0.0))
        peak = max(1.0, float(np.abs(outputs).max(initial=0.0)))
        if np.isfinite(peak) and moved < _FINE * tolerance * peak:
            break
    if not np.isfinite(states[-1]).all():
        raise GraphError(
            "the voltages of the circuit with its timing grow without bound",
            hint="the network has no usable solution for this input",
        )
    return steps, states, moved


def _trajectory(circuit: ScheduledCircuit, v0: FloatArray, steps: int) -> Trajectory:
    """One sample with its waveforms."""
    times: list[float] = []
    points: list[FloatArray] = []
    slopes: list[FloatArray] = []

    def record(t: float, v: FloatArray, slope: FloatArray) -> None:
        times.append(t)
        points.append(v[:, 0])
        slopes.append(slope[:, 0])

    final = circuit.states(v0[None], steps, record)[-1][0]
    wave = _Wave(np.array(times), np.stack(points), np.stack(slopes))
    phases = [
        PhaseSolution(
            wave(np.array([end]))[0, : phase.nodes], _Window(wave, begin, end, phase.nodes)
        )
        for phase, (begin, end) in zip(circuit.graph.phases, circuit.schedule.windows, strict=True)
    ]
    return Trajectory(tuple(phases), final[circuit.graph.outputs - 1])


class _Wave:
    """Voltages ``[P, N]`` at times ``[P]``, by Hermite's cubic within each step."""

    def __init__(self, times: FloatArray, points: FloatArray, slopes: FloatArray) -> None:
        self.times, self._points, self._slopes = times, points, slopes

    def __call__(self, times: FloatArray) -> FloatArray:
        last = len(self.times) - 2
        t = np.clip(times, self.times[0], self.times[-1])
        k = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, last)
        h = (self.times[k + 1] - self.times[k])[:, None]
        x = (t - self.times[k])[:, None] / h
        begin, end = self._points[k], self._points[k + 1]
        leaving, arriving = self._slopes[k] * h, self._slopes[k + 1] * h
        bend = x * (x - 1)
        return (
            begin + x * (end - begin)
            + bend * ((1 - 2 * x) * (end - begin) + (x - 1) * leaving + x * arriving)
        )  # fmt: skip


class _Window:
    """The part of a wave that is one layer's, its time from 0 (an ``Interpolant``)."""

    def __init__(self, wave: _Wave, begin: float, end: float, nodes: int) -> None:
        self._wave, self._begin, self._end, self._nodes = wave, begin, end, nodes

    @property
    def steps(self) -> FloatArray:
        """When the steps begin, and the window's end, ``float64[K + 1]``."""
        times = self._wave.times
        inside = np.unique(times[(times > self._begin) & (times < self._end)])
        return np.concatenate(([0.0], inside - self._begin, [self._end - self._begin]))

    def __call__(self, times: FloatArray) -> FloatArray:
        """The voltages at some times."""
        return self._wave(self._begin + times)[:, : self._nodes]


class _GatedLayer:
    """dv/dt of one phase whose rows have a gate each, or all together one."""

    def __init__(self, graph: Graph, index: int) -> None:
        self._graph, self._index = graph, index
        phase = graph.phases[index]
        if any(b.tables is not None for b in phase.batches):
            raise UsageError("tables have no gates", where=f"phase {index}")
        self.nodes = phase.nodes
        # What flows between two nodes belongs to the row of the higher one.
        self._rows = [np.maximum(np.maximum(b.src, b.dst), 1) - 1 for b in phase.batches]
        self._kernel: CompiledLayer | None = None
        self._gates: FloatArray | None = None
        if kernels.chosen() is not None:
            self._compile()

    def _compile(self) -> None:
        """Prepares the kernel; its weights ``w`` stay ours, to be multiplied by the gates."""
        batches: list[Coefficients] = []
        self._weights: list[tuple[FloatArray, FloatArray, IndexArray]] = []
        for batch, rows in zip(self._graph.phases[self._index].batches, self._rows, strict=True):
            wiring = Wiring(batch.src, batch.dst, batch.phi)
            values = [np.array(batch.column(name)[wiring.order]) for name in COEFFICIENTS]
            batches.append(Coefficients(wiring, values))
            self._weights.append((values[0], values[0].copy(), rows[wiring.order]))
        conductance = 1.0 / self._graph.capacitance[: self.nodes]
        self._kernel = CompiledLayer(self.nodes, batches, conductance, np.float64)

    def slope(self, v: FloatArray, gates: FloatArray) -> FloatArray:
        """dv/dt of ``v [N, S]`` under gates ``[1]`` or ``[N]``."""
        if len(gates) == 1:
            return gates[0] * self._open(v)
        if self._kernel is None:
            return self._switched(v, gates)
        if self._gates is None or not np.array_equal(gates, self._gates):
            for weights, full, rows in self._weights:
                np.multiply(full, gates[rows], out=weights)
            self._gates = gates
        return self._open(v)

    def _open(self, v: FloatArray) -> FloatArray:
        if self._kernel is None:
            return derivative(self._graph, self._index, v.T).T
        slope = np.empty_like(v)
        self._kernel.derivative(v, slope)
        return slope

    def _switched(self, v: FloatArray, gates: FloatArray) -> FloatArray:
        phase = self._graph.phases[self._index]
        batches = tuple(
            replace(batch, w=batch.column("w") * gates[rows])
            for batch, rows in zip(phase.batches, self._rows, strict=True)
        )
        phases = [*self._graph.phases]
        phases[self._index] = replace(phase, batches=batches)
        return derivative(self._graph.with_phases(tuple(phases)), self._index, v.T).T


def _rounded(steps: int) -> int:
    return -(-steps // _FIRST) * _FIRST


def _distinct(times: FloatArray) -> list[float]:
    """The times in order, those that only rounding tells apart once."""
    times = np.unique(np.append(times, 0.0))
    apart = np.diff(times, prepend=-np.inf) > 1e-12 * times[-1]
    return times[apart].tolist()
