"""Instants of a phase and their weights: integrals over time as sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray
from kcompile.reference import Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """Voltages of one phase of one sample at some instants.

    Args:
        weights: ``float64[T]``; an integral over time is the weighted sum of its integrand.
        states: ``float64[T, N]``, software units, from the phase's beginning to its end.
    """

    weights: FloatArray
    states: FloatArray


def simpson(trajectory: Trajectory, phase: int, panels: int) -> Instants:
    """Simpson's rule on panels that are short where the solver's steps were.

    Args:
        trajectory: with its interpolants.
        phase: index of the phase.
        panels: how many; there are twice as many instants and one.

    Raises:
        UsageError: there is no such phase, or its interpolant was not kept.
    """
    edges = panel_edges(trajectory, phase, panels)
    lengths = np.diff(edges)
    times = np.empty(2 * panels + 1)
    times[::2], times[1::2] = edges, edges[:-1] + lengths / 2
    weights = np.zeros(len(times))
    weights[:-1:2] += lengths / 6
    weights[1::2] += lengths * 4 / 6
    weights[2::2] += lengths / 6
    return Instants(weights, trajectory.at(phase, times))


def trapezoidal(times: FloatArray, states: FloatArray) -> Instants:
    """The trapezoidal rule on given instants, such as a simulator's.

    Args:
        times: ``float64[T]``, software time, ascending.
        states: ``float64[T, N]``, software units.
    """
    gaps = np.diff(times)
    weights = np.zeros(len(times))
    weights[:-1] += gaps / 2
    weights[1:] += gaps / 2
    return Instants(weights, states)


def panel_edges(trajectory: Trajectory, phase: int, panels: int) -> FloatArray:
    """Where panels begin and end that share the solver's steps evenly, ``float64[panels + 1]``."""
    steps = trajectory.steps(phase)
    return np.interp(np.linspace(0, len(steps) - 1, panels + 1), np.arange(len(steps)), steps)
