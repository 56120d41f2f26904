"""One phase of a few samples, integrated together, each with steps of its own.

The equations do not name the time, so that samples may be at different times and still share the
evaluations of dv/dt: the compiled kernel takes little longer for eight than for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kcompile.ir import FloatArray
from kcompile.reference.pairs import Pair, Step, rms
from kcompile.reference.rhs import RightHandSide
from kcompile.reference.waveform import Interpolant, Waveform

STEP_BUDGET = 20_000
"""Steps after which a phase counts as impossible to solve with an explicit method."""

TOGETHER = 8
"""Samples that are integrated together: what fills the kernel's widest vector."""

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How finely to integrate.

    Args:
        rtol, atol: the local error of every step stays below ``atol + rtol*|v|`` (RMS over nodes).
        steps: at least so many steps a phase, so that no step can leap over a short event; more
            with a pair that looks at fewer instants in a step.
    """

    rtol: float
    atol: float
    steps: int = 16


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSolution:
    """How one phase of one sample went.

    Args:
        final: ``float64[N]``, the voltages at its end.
        interpolant: software times ``[P]`` since the phase began to voltages ``[P, N]``; None
            where it was not asked for.
    """

    final: FloatArray
    interpolant: Interpolant | None = None


class IntegrationError(ArithmeticError):
    """The solver could not go on.

    Args:
        problem: what happened, without subject: ``grows without bound``.
        time: software time since the phase began.
        sample: which of those that were integrated together.
    """

    def __init__(self, problem: str, time: float, sample: int = 0) -> None:
        super().__init__(f"{problem} at t = {time:.6g}")
        self.problem = problem
        self.time = time
        self.sample = sample


def integrate(
    rhs: RightHandSide,
    v0: FloatArray,
    duration: float,
    settings: Settings,
    pair: Pair,
    dense: Sequence[bool] = (),
) -> list[PhaseSolution]:
    """Solves ``dv/dt = rhs(v)`` over one phase; no sample's answer depends on the others.

    Args:
        rhs: the right-hand side.
        v0: ``float64[S, N]``, the voltages at its start.
        duration: software time units.
        settings: tolerances.
        pair: the method.
        dense: of which samples the interpolant is wanted; default: none.

    Raises:
        IntegrationError: voltages overflow, or the steps become too small or too many.
    """
    wanted = np.array(list(dense) or [False] * len(v0))
    waveforms = [Waveform(pair, duration) if each else None for each in wanted]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        front = _Front(rhs, v0, duration, settings, pair)
        while front.running.size:
            front.advance(waveforms)
    return [
        PhaseSolution(final, waveform)
        for final, waveform in zip(front.finals, waveforms, strict=True)
    ]


class _Front:
    """How far the samples are that still run.

    ``running`` says which these are; ``_t, _h, _v, _slope, _taken`` have a row for each of them.
    """

    def __init__(
        self, rhs: RightHandSide, v0: FloatArray, duration: float, settings: Settings, pair: Pair
    ) -> None:
        self._rhs, self._duration, self._settings, self._pair = rhs, duration, settings, pair
        self._longest = duration / (settings.steps * pair.shares)
        self.finals = v0.copy()
        self.running: NDArray[np.intp] = np.arange(len(v0))
        self._v = self.finals.copy()
        self._slope = rhs(self._v)
        self._t = np.zeros(len(v0))
        self._taken = np.zeros(len(v0), dtype=int)
        self._rejected = np.zeros(len(v0), dtype=bool)
        for row in np.flatnonzero(~np.isfinite(self._slope).all(axis=1)):
            raise IntegrationError("grows without bound", 0.0, int(row))
        self._h = self._first_steps()

    def advance(self, waveforms: Sequence[Waveform | None]) -> None:
        """Tries one step of every sample; those that end leave.

        Raises:
            IntegrationError: a sample cannot go on.
        """
        least = 10 * np.spacing(self._t)
        h = np.clip(self._h, least, self._longest)
        ends = np.minimum(self._t + h, self._duration)
        h = ends - self._t
        step = self._pair.step(self._rhs, self._v, self._slope, h)
        scale = self._scale(np.maximum(np.abs(self._v), np.abs(step.final)))
        errors = self._pair.error(step.slopes, h, scale)
        taken = errors < 1.0
        factors = np.array([_factor(error, self._pair.order) for error in errors.tolist()])
        # A step that was tried before is not made longer at once.
        factors[self._rejected] = np.minimum(factors[self._rejected], 1.0)
        self._h = h * factors
        self._check_steps(~taken & (self._h < least))
        self._keep(waveforms, taken, h, step)
        self._v = np.where(taken[:, None], step.final, self._v)
        self._slope = np.where(taken[:, None], step.slopes[-1], self._slope)
        self._t = np.where(taken, ends, self._t)
        self._taken += taken
        self._rejected = ~taken
        self._leave(self._t >= self._duration)

    def _keep(
        self,
        waveforms: Sequence[Waveform | None],
        taken: NDArray[np.bool_],
        h: FloatArray,
        step: Step,
    ) -> None:
        """Adds the steps that were taken to the waveforms that are wanted."""
        wanted = np.array([waveforms[sample] is not None for sample in self.running])
        rows = np.flatnonzero(taken & wanted)
        if not rows.size:
            return
        table = self._pair.table(self._rhs, self._v[rows], step.of(rows), h[rows])
        for number, row in enumerate(rows):
            waveform = cast(Waveform, waveforms[self.running[row]])
            waveform.add(self._t[row], h[row], self._v[row], table[:, number])

    def _check_steps(self, stuck: NDArray[np.bool_]) -> None:
        for row in np.flatnonzero(stuck):
            raise self._error(row, _problem(self._v[row], self._rhs(self._v[row])))

    def _leave(self, ended: NDArray[np.bool_]) -> None:
        for row in np.flatnonzero(ended & ~np.isfinite(self._v).all(axis=1)):
            raise self._error(row, "grows without bound")
        for row in np.flatnonzero(~ended & (self._taken >= STEP_BUDGET)):
            raise self._error(row, f"still goes on after {STEP_BUDGET} steps")
        if not ended.any():
            return
        self.finals[self.running[ended]] = self._v[ended]
        stay = ~ended
        self.running, self._t, self._h = self.running[stay], self._t[stay], self._h[stay]
        self._v, self._slope = self._v[stay], self._slope[stay]
        self._taken, self._rejected = self._taken[stay], self._rejected[stay]

    def _error(self, row: np.intp, problem: str) -> IntegrationError:
        return IntegrationError(problem, float(self._t[row]), int(self.running[row]))

    def _scale(self, size: FloatArray) -> FloatArray:
        return self._settings.atol + size * self._settings.rtol

    def _first_steps(self) -> FloatArray:
        """Hairer, Norsett and Wanner's guess (Solving ODEs I, II.4)."""
        scale = self._scale(np.abs(self._v))
        size, speed = rms(self._v / scale), rms(self._slope / scale)
        trial = np.where((size < 1e-5) | (speed < 1e-5), 1e-6, 0.01 * size / speed)
        trial = np.minimum(trial, self._duration)
        bent = self._rhs(self._v + trial[:, None] * self._slope)
        bend = rms((bent - self._slope) / scale) / trial
        steepest = np.fmax(speed, bend).tolist()
        guess = [
            max(1e-6, t * 1e-3) if s <= 1e-15 else (0.01 / s) ** (1 / self._pair.order)
            for t, s in zip(trial.tolist(), steepest, strict=True)
        ]
        return np.minimum(np.minimum(100 * trial, guess), self._duration)


def _factor(error: float, order: int) -> float:
    """How much longer the next step may be than one of this error."""
    if error == 0.0:
        return _GROW
    wanted = _SAFETY * error ** (-1 / order)
    return min(wanted, _GROW) if wanted > _SHRINK else _SHRINK  # an error that is NaN shrinks


def _problem(v: FloatArray, slope: FloatArray) -> str:
    """Why no step was small enough: the voltages explode, or the equations are too stiff."""
    # One more doubling time and the voltages would leave the range of double precision.
    if not np.isfinite(slope).all() or np.abs(v).max() > 1e150 or np.abs(slope).max() > 1e150:
        return "grows without bound"
    return "needs steps below the resolution of double precision"
