"""A fast solution with fixed steps, for many circuits of one shape: draws of a Monte Carlo.

``solve`` certifies one circuit; here thousands differ in their numbers alone. How many steps they
want is found once (``settled_steps``), and every draw can be checked by taking twice as many.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from kcompile import kernels
from kcompile.errors import GraphError
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, hand_over, phase_output
from kcompile.kernels import CompiledLayer, Wiring
from kcompile.reference.rhs import numpy_rhs

_FIRST, _MOST = 8, 1 << 14
_REMEMBERED = 32


class FixedSteps:
    """Kutta's 3/8 rule with so many equal steps for the longest phase of a circuit.

    Shorter phases take fewer in proportion, at least two; a phase with injected currents steps from
    one of their instants to the next. It remembers how the edges of the last circuits were wired,
    so that circuits whose batches share their ``src`` and ``dst`` arrays are prepared quickly.
    """

    def __init__(self) -> None:
        self._wirings: OrderedDict[tuple[int, int, str], tuple[EdgeBatch, Wiring]] = OrderedDict()

    def outputs(self, graph: Graph, initial: FloatArray, steps: int, finer: int = 1) -> FloatArray:
        """The read-outs after the last phase, ``float64[S, M]``; NaN or infinite if they run away.

        Args:
            graph: the circuit, without tables.
            initial: ``float64[S, N]``, the first phase's voltages at t = 0.
            steps: of the longest phase.
            finer: how many times as many to take as would follow from that in each phase.
        """
        longest = max(phase.duration for phase in graph.phases)
        passed: list[FloatArray] = []
        v = initial
        with np.errstate(over="ignore", invalid="ignore"):
            for index, phase in enumerate(graph.phases):
                count = max(2, int(np.ceil(steps * phase.duration / longest)))
                final = self._phase(graph, index, hand_over(v, phase), count, finer)
                v = phase_output(graph, index, final, passed)
                passed.append(v)
        return v[:, graph.outputs - 1]

    def _phase(
        self, graph: Graph, index: int, start: FloatArray, steps: int, finer: int
    ) -> FloatArray:
        phase = graph.phases[index]
        if kernels.chosen() is None:
            return _rk4(graph, index, _Plain(graph, index), start, steps, finer)
        layer = kernels.compiled_phase(graph, index, wiring=self._wiring)
        if phase.injected is not None:
            return _rk4(graph, index, _Compiled(layer), start, steps, finer)
        v = np.array(start.T, order="C")  # of its own: it is moved on in place
        layer.rk4(v, phase.duration, finer * steps)
        return np.ascontiguousarray(v.T)

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


def settled_steps(
    solver: FixedSteps, graph: Graph, initial: FloatArray, tolerance: float
) -> tuple[int, float]:
    """How many steps a circuit wants, and how far twice as many moved a read-out.

    Args:
        solver: to be used later.
        graph: the circuit.
        initial: ``float64[S, N]``.
        tolerance: the step count is doubled until read-outs move by less than this times
            ``max(1, peak)``.

    Raises:
        GraphError: the voltages run away, or no number of steps is enough.
    """
    steps = _FIRST
    while steps <= _MOST:
        coarse = solver.outputs(graph, initial, steps)
        fine = solver.outputs(graph, initial, steps, finer=2)
        peak = max(1.0, float(np.abs(fine).max(initial=0.0)))
        moved = float(np.abs(fine - coarse).max(initial=0.0))
        if np.isfinite(peak) and moved < tolerance * peak:
            return steps, moved
        steps *= 2
    raise GraphError(
        f"{_MOST} equal steps do not solve the circuit to {tolerance:.2g}",
        hint="its voltages run away, or it is too stiff for a fast solution",
    )


class _Plain:
    """dv/dt without the compiled kernel."""

    def __init__(self, graph: Graph, index: int) -> None:
        self._rhs = numpy_rhs(graph, index)

    def __call__(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._rhs(np.ascontiguousarray(v.T)).T


class _Compiled:
    """dv/dt by the compiled kernel, node-major."""

    def __init__(self, layer: CompiledLayer) -> None:
        self._layer = layer

    def __call__(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        slope = np.empty_like(v)
        self._layer.derivative(v, slope)
        return slope


def _rk4(
    graph: Graph, index: int, rhs: _Plain | _Compiled, start: FloatArray, steps: int, finer: int
) -> FloatArray:
    """The phase's final voltages ``[S, N]``, with injected currents where there are some."""
    phase = graph.phases[index]
    scale = 1.0 / graph.capacitance[: phase.nodes, None]
    v = np.ascontiguousarray(start.T)

    def slope(state: FloatArray, time: float) -> FloatArray:
        found = rhs(np.ascontiguousarray(state))
        if phase.injected is not None:
            found = found + phase.injected.at(time)[:, None] * scale
        return found

    for begin, h in _steps(phase, steps, finer):
        k1 = slope(v, begin)
        k2 = slope(v + k1 * (h / 3), begin + h / 3)
        k3 = slope(v + (k2 - k1 / 3) * h, begin + 2 * h / 3)
        k4 = slope(v + (k1 - k2 + k3) * h, begin + h)
        v = v + (k1 + 3 * (k2 + k3) + k4) * (h / 8)
    return np.ascontiguousarray(v.T)


def _steps(phase: Phase, steps: int, finer: int) -> list[tuple[float, float]]:
    """Where each step begins and how long it is; none spans an instant of injected currents."""
    if phase.injected is None:
        count = finer * steps
        return [(k * phase.duration / count, phase.duration / count) for k in range(count)]
    times = phase.injected.times
    times = np.append(times[times < phase.duration], phase.duration)
    each = finer * max(1, -(-steps // (len(times) - 1)))
    lengths = np.repeat(np.diff(times) / each, each)
    begins = np.repeat(times[:-1], each) + lengths * np.tile(np.arange(each), len(times) - 1)
    return list(zip(begins.tolist(), lengths.tolist(), strict=True))
