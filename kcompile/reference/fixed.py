"""A fast solution with fixed steps, for many circuits of one shape: draws of a Monte Carlo.

``solve`` certifies one circuit; here thousands differ in their numbers alone. How many steps they
want is found once (``settle``), and every draw can be checked by taking twice as many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from kcompile import kernels
from kcompile.errors import GraphError
from kcompile.ir import EdgeBatch, FloatArray, Graph, Injected, hand_over, phase_output
from kcompile.kernels import Wiring
from kcompile.reference.rhs import numpy_rhs

FIRST, MOST = 8, 1 << 14
_REMEMBERED = 32
_ROOM = 1 << 23
"""Numbers of injected currents that are held at a time."""

SampleCurrents: TypeAlias = Callable[[int], Sequence[Injected | None]]
"""Gives the currents that are injected in every phase, for a sample by its number."""

_Slope: TypeAlias = Callable[[FloatArray], FloatArray]


class FixedSteps:
    """Kutta's 3/8 rule with so many equal steps for every phase of a circuit.

    A phase with injected currents steps from one of their instants to the next. It remembers how
    the edges of the last circuits were wired, so that circuits whose batches share their ``src``
    and ``dst`` arrays are prepared quickly.
    """

    def __init__(self) -> None:
        self._wirings: OrderedDict[tuple[int, int, str], tuple[EdgeBatch, Wiring]] = OrderedDict()

    def outputs(
        self,
        graph: Graph,
        initial: FloatArray,
        steps: int,
        finer: int = 1,
        currents: SampleCurrents | None = None,
    ) -> FloatArray:
        """The read-outs after the last phase, ``float64[S, M]``; NaN or infinite if they run away.

        Args:
            graph: the circuit, without tables.
            initial: ``float64[S, N]``, the first phase's voltages at t = 0.
            steps: of every phase.
            finer: how many times as many to take as would follow from that in each phase.
            currents: what is injected, another for every sample; None: what the graph says.
        """
        if currents is None:
            own = [None if p.injected is None else _Currents([p.injected]) for p in graph.phases]
            return self._outputs(graph, initial, steps, finer, own)
        found: list[FloatArray] = []
        at = 0
        while at < len(initial):
            first = currents(at)
            size = sum(each.currents.size for each in first if each is not None)
            many = max(1, min(len(initial) - at, _ROOM // max(size, 1)))
            of_samples = [first, *(currents(k) for k in range(at + 1, at + many))]
            stacked = [
                None if each[0] is None else _Currents([i for i in each if i is not None])
                for each in zip(*of_samples, strict=True)
            ]
            found.append(self._outputs(graph, initial[at : at + many], steps, finer, stacked))
            at += many
        return np.concatenate(found)

    def _outputs(
        self,
        graph: Graph,
        initial: FloatArray,
        steps: int,
        finer: int,
        currents: Sequence[_Currents | None],
    ) -> FloatArray:
        passed: list[FloatArray] = []
        v = initial
        with np.errstate(over="ignore", invalid="ignore"):
            for index, phase in enumerate(graph.phases):
                start = hand_over(v, phase)
                final = self._phase(graph, index, start, (steps, finer), currents[index])
                v = phase_output(graph, index, final, passed)
                passed.append(v)
        return v[:, graph.outputs - 1]

    def _phase(
        self,
        graph: Graph,
        index: int,
        start: FloatArray,
        counts: tuple[int, int],
        currents: _Currents | None,
    ) -> FloatArray:
        duration, (steps, finer) = graph.phases[index].duration, counts
        v = np.array(start.T, order="C")  # of its own: it is moved on in place
        compiled = kernels.chosen() is not None
        if compiled and currents is None:
            layer = kernels.compiled_phase(graph, index, wiring=self._wiring)
            layer.rk4(v, duration, finer * steps)
            return np.ascontiguousarray(v.T)
        slope = self._compiled_slope(graph, index) if compiled else _plain_slope(graph, index)
        if currents is None:
            lengths = np.full(finer * steps, duration / (finer * steps))
            return _rk4(slope, v, lengths)
        elastance = 1.0 / graph.capacitance[: len(v), None]
        return _rk4(slope, v, currents.lengths(duration, steps, finer), currents, elastance)

    def _compiled_slope(self, graph: Graph, index: int) -> _Slope:
        layer = kernels.compiled_phase(graph, index, wiring=self._wiring)

        def slope(v: FloatArray) -> FloatArray:
            v = np.ascontiguousarray(v)
            found = np.empty_like(v)
            layer.derivative(v, found)
            return found

        return slope

    def _wiring(self, batch: EdgeBatch) -> Wiring:
        key = (id(batch.src), id(batch.dst), str(batch.phi))
        if key in self._wirings:
            self._wirings.move_to_end(key)
        else:
            # The batch is kept so that no other array gets its arrays' identities.
            self._wirings[key] = (batch, Wiring(batch.src, batch.dst, batch.phi))
            if len(self._wirings) > _REMEMBERED:
                self._wirings.popitem(last=False)
        return self._wirings[key][1]


def settle(
    outputs: Callable[[int, int], FloatArray],
    tolerance: float,
    first: int = FIRST,
    most: int = MOST,
) -> tuple[int, FloatArray, float]:
    """How many steps a circuit wants, its read-outs with twice as many, and how far those moved.

    Args:
        outputs: gives read-outs ``[S, M]`` for so many steps, so many times finer.
        tolerance: the step count is doubled until read-outs move by less than this times
            ``max(1, peak)``.
        first, most: the first step count that is tried, and the last.

    Raises:
        GraphError: the voltages run away, or no number of steps is enough.
    """
    steps = first
    while steps <= most:
        coarse, fine = outputs(steps, 1), outputs(steps, 2)
        moved = movement(coarse, fine)
        if moved < tolerance * max(1.0, float(np.abs(fine).max(initial=0.0))):
            return steps, fine, moved
        steps *= 2
    raise GraphError(
        f"{most} equal steps do not solve the circuit to {tolerance:.2g}",
        hint="its voltages run away, or it is too stiff for a fast solution",
    )


def movement(coarse: FloatArray, fine: FloatArray) -> float:
    """The largest difference of two solutions; infinite where one of them has no answer."""
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(fine - coarse)
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")


class _Currents:
    """Injected currents of several samples, or of all alike, that share their instants."""

    def __init__(self, of_samples: Sequence[Injected]) -> None:
        self.times = of_samples[0].times
        self._values = np.stack([each.currents for each in of_samples], axis=2)

    def at(self, time: float) -> FloatArray:
        """``float64[N, S]`` at an instant."""
        place = int(np.searchsorted(self.times, time, side="right")) - 1
        place = min(max(place, 0), len(self.times) - 2)
        begin, end = self.times[place], self.times[place + 1]
        share = (time - begin) / (end - begin)
        return (1.0 - share) * self._values[place] + share * self._values[place + 1]

    def lengths(self, duration: float, steps: int, finer: int) -> FloatArray:
        """How long each step is: none spans an instant, and there are ``steps`` or more."""
        times = np.append(self.times[self.times < duration], duration)
        each = finer * max(1, -(-steps // (len(times) - 1)))
        return np.repeat(np.diff(times) / each, each)


def _plain_slope(graph: Graph, index: int) -> _Slope:
    """dv/dt without the compiled kernel, node-major."""
    rhs = numpy_rhs(graph, index)

    def slope(v: FloatArray) -> FloatArray:
        return rhs(np.ascontiguousarray(v.T)).T

    return slope


def _rk4(
    slope: _Slope,
    v: FloatArray,
    lengths: FloatArray,
    currents: _Currents | None = None,
    elastance: FloatArray | None = None,
) -> FloatArray:
    """The final voltages ``[S, N]`` after steps of these lengths, from ``[N, S]``."""

    def speed(state: FloatArray, time: float) -> FloatArray:
        found = slope(state)
        if currents is not None and elastance is not None:
            found = found + currents.at(time) * elastance
        return found

    begin = 0.0
    for h in lengths.tolist():
        k1 = speed(v, begin)
        k2 = speed(v + k1 * (h / 3), begin + h / 3)
        k3 = speed(v + (k2 - k1 / 3) * h, begin + 2 * h / 3)
        k4 = speed(v + (k1 - k2 + k3) * h, begin + h)
        v = v + (k1 + 3 * (k2 + k3) + k4) * (h / 8)
        begin += h
    return np.ascontiguousarray(v.T)
