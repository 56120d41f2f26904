"""The voltages of one sample over one phase, between the steps that were taken."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np

from kcompile.ir import FloatArray
from kcompile.reference.pairs import Pair


class Interpolant(Protocol):
    """Voltages ``[P, N]`` at software times ``[P]`` since a phase began."""

    @property
    def steps(self) -> FloatArray:
        """When the steps begin, and the phase's end, ``float64[K + 1]``."""
        ...

    def __call__(self, times: FloatArray) -> FloatArray:
        """The voltages at some times."""
        ...


class Waveform:
    """Voltages ``[P, N]`` at software times ``[P]`` since the phase began.

    Args:
        pair: the method whose steps are added.
        duration: of the phase; times beyond it give its end.
    """

    def __init__(self, pair: Pair, duration: float) -> None:
        self._pair = pair
        self._duration = duration
        self._begins: list[float] = []
        self._lengths: list[float] = []
        self._starts: list[FloatArray] = []
        self._tables: list[FloatArray] = []

    def add(self, begin: float, length: float, start: FloatArray, table: FloatArray) -> None:
        """Adds the next step.

        Args:
            begin, length: in time.
            start: ``[N]``, the voltages at its beginning.
            table: ``[P, N]``, as the pair makes it.
        """
        self._begins.append(float(begin))
        self._lengths.append(float(length))
        self._starts.append(start.copy())
        self._tables.append(table.copy())

    @property
    def steps(self) -> FloatArray:
        """When the steps begin, and the phase's end, ``float64[K + 1]``."""
        return np.array([*self._begins, self._duration])

    def __call__(self, times: FloatArray) -> FloatArray:
        """The voltages at some times."""
        # A simulator's last time point may lie a rounding error beyond the end.
        times = np.clip(np.asarray(times, dtype=np.float64), 0.0, self._duration)
        found = np.empty((len(times), len(self._starts[0])))
        steps = np.searchsorted(self._begins, times, side="right") - 1
        for step in cast(list[int], np.unique(steps).tolist()):
            inside = steps == step
            shares = (times[inside] - self._begins[step]) / self._lengths[step]
            found[inside] = self._starts[step] + self._pair.between(self._tables[step], shares)
        return found
