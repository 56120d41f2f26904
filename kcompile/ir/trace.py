"""Which edges of the checkpoint an edge of the graph stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from kcompile.ir.arrays import OffsetArray, frozen, picked_runs


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Edge ``e`` stands for checkpoint edges ``index[ptr[e]:ptr[e+1]]`` of its phase.

    Args:
        ptr: ``int64[E+1]``, ascending from 0.
        index: ``int64[ptr[-1]]``, edge numbers within the phase as the checkpoint counts them.
    """

    ptr: OffsetArray
    index: OffsetArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ptr", frozen(self.ptr, np.int64))
        object.__setattr__(self, "index", frozen(self.index, np.int64))

    @classmethod
    def identity(cls, count: int, start: int = 0) -> Self:
        """Edges ``start .. start+count`` standing for themselves."""
        return cls(_numbers(count + 1), _numbers(start + count)[start:])

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @property
    def first(self) -> OffsetArray:
        """The first checkpoint edge of each edge, ``int64[E]``."""
        return self.index[self.ptr[:-1]]

    def take(self, order: OffsetArray) -> Trace:
        """The trace of the edges ``order``, in that order."""
        if len(self.index) == len(self) and (np.diff(self.ptr) == 1).all():
            return Trace(_numbers(len(order) + 1), self.index[order])
        ptr, places = picked_runs(self.ptr, order)
        return Trace(ptr, self.index[places])

    def merge(self, starts: OffsetArray) -> Trace:
        """Runs of edges ``starts[k]:starts[k+1]`` become one edge each (the last run ends at E)."""
        return Trace(np.append(self.ptr[starts], self.ptr[-1]), self.index)


_known: list[OffsetArray] = [frozen(np.arange(0), np.int64)]


def _numbers(stop: int) -> OffsetArray:
    """0, 1, ... ``stop-1``, read-only. In large networks it pays that traces share one array."""
    if len(_known[0]) < stop:
        _known[0] = frozen(np.arange(stop), np.int64)
    return _known[0][:stop]
