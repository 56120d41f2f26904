"""Currents that sources push into the nodes of a phase, whatever the voltages are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.ir.arrays import FloatArray, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """Independent current sources from ground into nodes, linear between instants.

    Args:
        times: ``float64[K]``, ascending, software time since the phase began; the first is 0 and
            the last is not before the phase ends.
        currents: ``float64[K, N]``, into the nodes ``1..N``, software units.
    """

    times: FloatArray
    currents: FloatArray

    def __post_init__(self) -> None:
        for name in ("times", "currents"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))

    def at(self, time: float) -> FloatArray:
        """The currents at one instant, ``float64[N]``."""
        place = int(np.searchsorted(self.times, time, side="right")) - 1
        place = min(max(place, 0), len(self.times) - 2)
        begin, end = self.times[place], self.times[place + 1]
        share = (time - begin) / (end - begin)
        return (1.0 - share) * self.currents[place] + share * self.currents[place + 1]
