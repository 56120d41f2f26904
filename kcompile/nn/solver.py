"""Solving one layer's equations: torchdiffeq's adaptive and fixed-step methods.

A fixed-step method gives discrete gradients: autograd differentiates the steps themselves, so the
gradient is exact for the numbers computed. ``adjoint`` solves the adjoint equation backwards
instead: memory does not grow with the steps, the gradient is as exact as the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

import torch
import torchdiffeq  # pyright: ignore[reportMissingTypeStubs]
from torch import Tensor, nn

from kcompile.errors import SolverError
from kcompile.frontend.model import TrainingSolver
from kcompile.nn.form import Field
from kcompile.nn.layer import Layer

ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
"""Methods that choose their steps by tolerances, as torchdiffeq calls them."""

FIXED = ("rk4", "euler", "midpoint")
"""Methods that take a given number of equal steps."""

_OPTIONS = frozenset({"first_step", "min_step", "max_step", "max_num_steps"})

_untyped = cast(Any, torchdiffeq)
_odeint: Callable[..., Tensor] = _untyped.odeint
_odeint_adjoint: Callable[..., Tensor] = _untyped.odeint_adjoint


@dataclass(frozen=True, slots=True)
class Solver:
    """How a layer's equations are solved.

    Args:
        method: one of ``ADAPTIVE`` or ``FIXED``.
        rtol, atol: tolerances of an adaptive method (on the RMS over nodes and samples).
        steps: equal steps per layer of a fixed method; None for an adaptive one.
        adjoint: gradients by the adjoint equation, not through the steps.
        options: ``first_step``, ``min_step``, ``max_step``, ``max_num_steps`` of an adaptive
            method.

    Raises:
        SolverError: the settings do not make a solver.
    """

    method: str = "dopri5"
    rtol: float = 1e-6
    atol: float = 1e-6
    steps: int | None = None
    adjoint: bool = False
    options: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if self.method not in ADAPTIVE + FIXED:
            raise SolverError(
                f"unknown method {self.method!r}", hint=f"one of: {', '.join(ADAPTIVE + FIXED)}"
            )
        if self.method in FIXED and (self.steps is None or self.steps < 1):
            raise SolverError(f"{self.method} with {self.steps} steps", hint="give 1 or more")
        if self.method in FIXED and self.options:
            raise SolverError(
                f"{self.method} takes no {min(self.options)}",
                hint=f"leave it out, or take one of: {', '.join(ADAPTIVE)}",
            )
        if self.method in ADAPTIVE:
            if self.steps is not None:
                raise SolverError(f"{self.method} chooses its own steps", hint="give tolerances")
            if not (0 < self.rtol < 1 and 0 < self.atol < 1):
                raise SolverError(
                    f"tolerances {self.rtol!r}, {self.atol!r}", hint="give numbers between 0 and 1"
                )
            if unknown := set(self.options) - _OPTIONS:
                raise SolverError(
                    f"unknown option {min(unknown)!r}", hint=f"known: {', '.join(sorted(_OPTIONS))}"
                )

    @classmethod
    def from_record(cls, record: TrainingSolver, adjoint: bool = False) -> Self:
        """The solver that a model says it was trained with.

        Raises:
            SolverError: the record does not make one.
        """
        if record.method in FIXED:
            return cls(record.method, steps=record.steps, adjoint=adjoint)
        return cls(
            record.method, record.rtol, record.atol, record.steps, adjoint, dict(record.options)
        )

    def record(self) -> TrainingSolver:
        """What a checkpoint stores of it; a fixed method has no tolerances."""
        if self.steps is not None:
            return TrainingSolver(self.method, 0.0, 0.0, self.steps)
        return TrainingSolver(self.method, self.rtol, self.atol, None, dict(self.options))


def integrate(
    layer: Layer,
    v: Tensor,
    solver: Solver,
    capacitance: Tensor | None = None,
    *,
    flow: bool = False,
    backwards: bool = False,
) -> Tensor:
    """The voltages at the end of a layer.

    Args:
        layer: N nodes.
        v: ``[N, S]``, the voltages at its start.
        solver: how; all samples are solved together.
        capacitance: ``[N]``, software units; None: 1 each.
        flow: the state has one row more, to which the integral of the trace of dv/dt's Jacobian
            is added.
        backwards: ``v`` is the state at its end, and the one at its start is wanted (the integral
            then has the opposite sign).

    Raises:
        SolverError: an adaptive method cannot go on.
    """
    duration = -layer.duration if backwards else layer.duration
    if solver.method == "rk4" and not solver.adjoint:
        form = layer.form(capacitance)
        solve = form.rk4_flow if flow else form.rk4
        return solve(v, duration, cast(int, solver.steps))
    settings: dict[str, Any] = {"method": solver.method}
    if solver.steps is None:
        settings |= {"rtol": solver.rtol, "atol": solver.atol, "options": dict(solver.options)}
    else:
        settings["options"] = {"grid_constructor": _grid(solver.steps)}
    times = v.new_tensor([0.0, duration])
    try:
        if solver.adjoint:
            module = _Adjoint(layer, capacitance, flow)
            parameters = tuple(layer.parameters())
            return _odeint_adjoint(module, v, times, adjoint_params=parameters, **settings)[-1]
        return _odeint(_timed(_field(layer, capacitance, flow)), v, times, **settings)[-1]
    except AssertionError as error:  # how torchdiffeq says that it gave up
        raise SolverError(
            f"{solver.method} gave up ({error})", hint="loosen the tolerances or set min_step"
        ) from error


def _field(layer: Layer, capacitance: Tensor | None, flow: bool) -> Field:
    form = layer.form(capacitance)
    return form.flow if flow else form.derivative


def _timed(field: Field) -> Callable[[Tensor, Tensor], Tensor]:
    def derivative(_t: Tensor, v: Tensor) -> Tensor:
        return field(v)

    return derivative


def _grid(steps: int) -> Callable[[object, object, Tensor], Tensor]:
    def grid(_derivative: object, _v: object, times: Tensor) -> Tensor:
        points = torch.linspace(0.0, 1.0, steps + 1, dtype=times.dtype, device=times.device)
        points = torch.lerp(times[0], times[-1], points)
        points[0], points[-1] = times[0], times[-1]
        return points

    return grid


class _Adjoint(nn.Module):
    """A layer as torchdiffeq's adjoint wants it: parameters are looked up at every evaluation."""

    def __init__(self, layer: Layer, capacitance: Tensor | None, flow: bool) -> None:
        super().__init__()
        self.layer = layer
        self.capacitance = capacitance
        self.flow = flow

    def forward(self, _t: Tensor, v: Tensor) -> Tensor:
        return _field(self.layer, self.capacitance, self.flow)(v)
