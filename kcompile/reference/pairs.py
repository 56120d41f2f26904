"""Embedded Runge-Kutta pairs of Dormand and Prince: a step, its error, and the voltages within it.

Arrays of several samples are ``[S, N]``. What a sample gets does not depend on the others by a bit:
all is done element by element, or along the nodes of one sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.ir import FloatArray, Phase, Phi
from kcompile.reference.rhs import RightHandSide

_CORNERED = (Phi.RELU, Phi.LEAKY_RELU)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of every sample.

    Args:
        slopes: ``[K, S, N]``, as many as the method takes; the last is dv/dt at its end.
        final: ``[S, N]``, the voltages at its end.
    """

    slopes: FloatArray
    final: FloatArray

    def of(self, samples: NDArray[np.intp]) -> Step:
        """That of some samples."""
        return Step(self.slopes[:, samples], self.final[samples])


class Pair(ABC):
    """An explicit method with an estimate of the error of every step.

    Its coefficients are scipy's, which is asked for them on first use.
    """

    name: str
    order: int
    """The local error falls with the step to this power."""

    shares: int = 1
    """Into how many steps one of order eight is cut, so that no wider gap is left unseen."""

    a: FloatArray
    b: FloatArray

    def step(self, rhs: RightHandSide, v: FloatArray, slope: FloatArray, h: FloatArray) -> Step:
        """One step of every sample.

        Args:
            rhs: dv/dt.
            v: ``[S, N]``.
            slope: ``[S, N]``, dv/dt of ``v``.
            h: ``[S]``, each sample's own step.
        """
        h = h[:, None]
        stages = np.empty((len(self.b) + 1, *v.shape))
        stages[0] = slope
        for number, weights in enumerate(self.a[1:], start=1):
            stages[number] = rhs(v + h * weighted(weights, stages))
        final = v + h * weighted(self.b, stages)
        stages[-1] = rhs(final)
        return Step(stages, final)

    @abstractmethod
    def error(self, slopes: FloatArray, h: FloatArray, scale: FloatArray) -> FloatArray:
        """The step's error in units of ``scale``, RMS over nodes, ``[S]``.

        Args:
            slopes: ``[K, S, N]``, as ``step`` gives them.
            h: ``[S]``.
            scale: ``[S, N]``, the error that is allowed.
        """

    @abstractmethod
    def table(self, rhs: RightHandSide, v: FloatArray, step: Step, h: FloatArray) -> FloatArray:
        """What ``between`` needs of every sample's step from ``v``, ``[P, S, N]``."""

    @abstractmethod
    def between(self, table: FloatArray, x: FloatArray) -> FloatArray:
        """How far voltages have moved at the shares ``x`` ``[T]`` of a step, ``[T, N]``.

        Args:
            table: ``[P, N]``, of the sample.
            x: from 0 to 1.
        """


class _Fifth(Pair):
    """Order 5(4). Its dense output costs nothing."""

    name = "Dormand-Prince 5(4)"
    order = 5
    shares = 3

    def __init__(self) -> None:
        method = _scipy("RK45")
        self.a, self.b, self._e, self._p = method.A, method.B, method.E, method.P

    def error(self, slopes: FloatArray, h: FloatArray, scale: FloatArray) -> FloatArray:
        """See ``Pair``."""
        return h * rms(weighted(self._e, slopes) / scale)

    def table(self, rhs: RightHandSide, v: FloatArray, step: Step, h: FloatArray) -> FloatArray:
        """See ``Pair``."""
        return h[:, None] * np.stack([weighted(p, step.slopes) for p in self._p.T])

    def between(self, table: FloatArray, x: FloatArray) -> FloatArray:
        """See ``Pair``."""
        moved = np.zeros((len(x), table.shape[1]))
        for coefficient in table[::-1]:
            moved = (moved + coefficient) * x[:, None]
        return moved


class _Eighth(Pair):
    """Order 8(5,3). Its dense output, of order 7, takes three more slopes."""

    name = "Dormand-Prince 8(5,3)"
    order = 8

    def __init__(self) -> None:
        method = _scipy("DOP853")
        self.a, self.b, self._e5, self._e3 = method.A, method.B, method.E5, method.E3
        self._more, self._d = method.A_EXTRA, method.D

    def error(self, slopes: FloatArray, h: FloatArray, scale: FloatArray) -> FloatArray:
        """See ``Pair``."""
        fifth = rms(weighted(self._e5, slopes) / scale)
        third = rms(weighted(self._e3, slopes) / scale)
        both = np.sqrt(fifth**2 + 0.01 * third**2)
        return h * np.where(both == 0.0, 0.0, fifth * fifth / both)

    def table(self, rhs: RightHandSide, v: FloatArray, step: Step, h: FloatArray) -> FloatArray:
        """See ``Pair``."""
        h = h[:, None]
        known = len(step.slopes)
        slopes = np.concatenate((step.slopes, np.empty((len(self._more), *v.shape))))
        for number, weights in enumerate(self._more, start=known):
            slopes[number] = rhs(v + h * weighted(weights[:number], slopes))
        moved, begin, end = step.final - v, h * slopes[0], h * slopes[known - 1]
        return np.stack(
            [moved, begin - moved, 2 * moved - (end + begin)]
            + [h * weighted(d, slopes) for d in self._d]
        )

    def between(self, table: FloatArray, x: FloatArray) -> FloatArray:
        """See ``Pair``."""
        moved = np.zeros((len(x), table.shape[1]))
        shares = (x[:, None], 1 - x[:, None])
        for number, coefficient in enumerate(table[::-1]):
            moved = (moved + coefficient) * shares[number % 2]
        return moved


@lru_cache
def fifth_order() -> Pair:
    """Dormand and Prince's pair of order 5."""
    return _Fifth()


@lru_cache
def eighth_order() -> Pair:
    """Dormand and Prince's method of order 8 ("DOP853")."""
    return _Eighth()


def pair_for(phase: Phase) -> Pair:
    """The method that suits a phase.

    Where every current is smooth a high order pays. A network of relu edges bends at thousands of
    places along the way, at each of which any order is lost: there shorter steps of few slopes
    reach the same error in a third of the evaluations.
    """
    cornered = any(batch.phi in _CORNERED and len(batch) for batch in phase.batches)
    return fifth_order() if cornered else eighth_order()


def weighted(weights: FloatArray, slopes: FloatArray) -> FloatArray:
    """The sum of the first slopes by their weights, term by term in order."""
    terms = [(float(w), slope) for w, slope in zip(weights, slopes, strict=False) if w]
    total = np.zeros(slopes.shape[1:])
    for weight, slope in terms:
        total += weight * slope
    return total


def rms(values: FloatArray) -> FloatArray:
    """The root mean square of every row."""
    return np.sqrt(np.mean(values * values, axis=1))


def _scipy(name: str) -> Any:
    # scipy takes a good part of a second to import; writing decks must not wait for it.
    from scipy import integrate  # pyright: ignore[reportMissingTypeStubs]

    return getattr(integrate, name)
