"""A phase's solution by equal steps, for many states at once."""

from __future__ import annotations

import numpy as np

from kcompile import kernels
from kcompile.ir import FloatArray, Graph
from kcompile.reference import phase_rhs


class Flow:
    """Where states of one phase go within a time, by Kutta's 3/8 rule.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.
    """

    def __init__(self, graph: Graph, phase: int) -> None:
        tables = any(batch.tables is not None for batch in graph.phases[phase].batches)
        compiled = kernels.chosen() is not None and not tables
        self._layer = kernels.compiled_phase(graph, phase) if compiled else None
        self._rhs = phase_rhs(graph, phase)

    def advance(self, states: FloatArray, duration: float, steps: int) -> None:
        """Moves ``states [N, S]``, C-contiguous, on in place.

        Args:
            states: software units.
            duration: software time.
            steps: equal ones.
        """
        if self._layer is not None:
            self._layer.rk4(states, duration, steps)
            return
        h = duration / steps
        v = states.T
        for _ in range(steps):
            k1 = self._rhs(v)
            k2 = self._rhs(v + k1 * (h / 3))
            k3 = self._rhs(v + (k2 - k1 / 3) * h)
            k4 = self._rhs(v + (k1 - k2 + k3) * h)
            v = v + (k1 + 3 * (k2 + k3) + k4) * (h / 8)
        states[:] = np.ascontiguousarray(v.T)
