"""One phase of one sample, integrated with DOP853 (Dormand and Prince's order 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from kcompile.ir import FloatArray
from kcompile.reference.rhs import RightHandSide

METHOD = "scipy DOP853"

STEP_BUDGET = 20_000
"""Steps after which a phase counts as impossible to solve with an explicit method."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How finely to integrate.

    Args:
        rtol, atol: the local error of every step stays below ``atol + rtol*|v|`` (RMS over nodes).
        steps: at least so many steps a phase, so that no step can leap over a short event.
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
    interpolant: Callable[[FloatArray], FloatArray] | None = None


class IntegrationError(ArithmeticError):
    """The solver could not go on.

    Args:
        problem: what happened, without subject: ``grows without bound``.
        time: software time since the phase began.
    """

    def __init__(self, problem: str, time: float) -> None:
        super().__init__(f"{problem} at t = {time:.6g}")
        self.problem = problem
        self.time = time


class _Solver(Protocol):
    """What we use of scipy's solver."""

    t: float
    y: FloatArray
    status: str

    def step(self) -> str | None: ...
    def dense_output(self) -> object: ...


def integrate(
    rhs: RightHandSide, v0: FloatArray, duration: float, settings: Settings, *, dense: bool = False
) -> PhaseSolution:
    """Solves ``dv/dt = rhs(v)`` over one phase.

    Args:
        rhs: the right-hand side.
        v0: ``float64[N]``, the voltages at its start.
        duration: software time units.
        settings: tolerances.
        dense: whether the interpolant is wanted.

    Raises:
        IntegrationError: voltages overflow, or the steps become too small or too many.
    """
    times, pieces = [0.0], list[object]()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solver = _start(rhs, v0, duration, settings)
        for _ in range(STEP_BUDGET):
            solver.step()
            if solver.status == "failed":
                raise IntegrationError(_problem(rhs, solver.y), solver.t)
            if dense:
                times.append(solver.t)
                pieces.append(solver.dense_output())
            if solver.status == "finished":
                break
        else:
            raise IntegrationError(f"still goes on after {STEP_BUDGET} steps", solver.t)
    final = np.array(solver.y)
    if not np.isfinite(final).all():
        raise IntegrationError("grows without bound", solver.t)
    return PhaseSolution(final, _interpolant(times, pieces, duration) if dense else None)


def _start(rhs: RightHandSide, v0: FloatArray, duration: float, settings: Settings) -> _Solver:
    # scipy takes a good part of a second to import; writing decks must not wait for it.
    from scipy.integrate import DOP853  # pyright: ignore[reportMissingTypeStubs]

    def function(_t: float, v: FloatArray) -> FloatArray:
        return rhs(v)

    slope = rhs(v0)
    if not np.isfinite(slope).all():
        raise IntegrationError("grows without bound", 0.0)
    solver: Any = DOP853(
        function, 0.0, v0, duration,
        rtol=settings.rtol, atol=settings.atol, max_step=duration / settings.steps,
    )  # fmt: skip
    return cast(_Solver, solver)


def _problem(rhs: RightHandSide, v: FloatArray) -> str:
    """Why no step was small enough: the voltages explode, or the equations are too stiff."""
    slope = rhs(v)
    # One more doubling time and the voltages would leave the range of double precision.
    if not np.isfinite(slope).all() or np.abs(v).max() > 1e150 or np.abs(slope).max() > 1e150:
        return "grows without bound"
    return "needs steps below the resolution of double precision"


def _interpolant(
    times: list[float], pieces: list[object], duration: float
) -> Callable[[FloatArray], FloatArray]:
    from scipy.integrate import OdeSolution  # pyright: ignore[reportMissingTypeStubs]

    solution = cast("Callable[[FloatArray], FloatArray]", OdeSolution(times, pieces))

    def at(t: FloatArray) -> FloatArray:
        # A simulator's last time point may lie a rounding error beyond the end.
        inside = np.clip(np.asarray(t, dtype=np.float64), 0.0, duration)
        if not inside.size:
            return np.empty((0, pieces_width))
        return np.ascontiguousarray(solution(inside).T)

    pieces_width = int(solution(np.zeros(1)).shape[0])
    return at
