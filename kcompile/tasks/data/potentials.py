"""Densities that are given by a potential: ``exp(-U)``, up to a factor that is integrated here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import FloatArray

_RADII = 400
_ANGLES = 1024


@dataclass(frozen=True)
class Potential:
    """A potential of two variables.

    Args:
        name: as tasks call it.
        energy: maps ``z1``, ``z2`` and a module of functions to U. The module is numpy or torch:
            their ``logaddexp``, ``sin`` and ``sqrt`` do the same.
        radius: where it is a density: inside ``|z| <= radius``, the Euclidean norm; None for
            everywhere.
        reach: beyond this radius nothing of it is left.
        formula: U as a reader would write it.
    """

    name: str
    energy: Callable[[Any, Any, Any], Any]
    radius: float | None
    reach: float
    formula: str


def _first(z1: Any, z2: Any, functions: Any) -> Any:
    ring = 0.5 * ((functions.sqrt(z1 * z1 + z2 * z2) - 2.0) / 0.4) ** 2
    right = -0.5 * ((z1 - 2.0) / 0.6) ** 2
    left = -0.5 * ((z1 + 2.0) / 0.6) ** 2
    return ring - functions.logaddexp(right, left)


def _second(z1: Any, z2: Any, functions: Any) -> Any:
    return 0.5 * ((z2 - functions.sin(0.5 * np.pi * z1)) / 0.4) ** 2


POTENTIALS: Mapping[str, Potential] = {
    potential.name: potential
    for potential in (
        Potential(
            "potential1",
            _first,
            None,
            7.0,
            "((|z| - 2)/0.4)^2/2 - ln(exp(-((z1 - 2)/0.6)^2/2) + exp(-((z1 + 2)/0.6)^2/2))",
        ),
        # A wave that never ends, so it has no normaliser: it is judged in a disc.
        Potential("potential2", _second, 4.0, 4.0, "((z2 - sin(pi*z1/2))/0.4)^2/2"),
    )
}
"""Every potential by name."""


def get_potential(name: str) -> Potential:
    """The potential called ``name``.

    Raises:
        UsageError: there is no such potential.
    """
    if name not in POTENTIALS:
        raise UsageError(f"unknown potential {name!r}", hint=f"there are: {', '.join(POTENTIALS)}")
    return POTENTIALS[name]


def potential(name: str, z: FloatArray) -> FloatArray:
    """U at every point, also outside the disc that potential2 is judged in.

    For torch: ``get_potential(name).energy(z[..., 0], z[..., 1], torch)``.

    Args:
        name: one of ``POTENTIALS``.
        z: ``float64[..., 2]``.

    Returns:
        ``float64[...]``.

    Raises:
        UsageError: there is no such potential.
    """
    return get_potential(name).energy(z[..., 0], z[..., 1], np)


def inside(name: str, z: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each point is where the potential is a density: ``|z| <= 4`` for potential2.

    Args:
        name: one of ``POTENTIALS``.
        z: ``float64[..., 2]``.

    Returns:
        ``bool[...]``.

    Raises:
        UsageError: there is no such potential.
    """
    radius = get_potential(name).radius
    return np.hypot(z[..., 0], z[..., 1]) <= (np.inf if radius is None else radius)


@cache
def log_normaliser(name: str) -> float:
    """The logarithm of the integral of ``exp(-U)`` over where it is a density.

    Integrated on rings: Gauss-Legendre along the radius, equal steps around, so that neither the
    disc's edge nor the angle costs accuracy (better than 1e-9).

    Raises:
        UsageError: there is no such potential.
    """
    chosen = get_potential(name)
    nodes, weights = np.polynomial.legendre.leggauss(_RADII)
    radius = 0.5 * chosen.reach * (nodes + 1.0)
    angle = np.arange(_ANGLES) * (2.0 * np.pi / _ANGLES)
    z1, z2 = radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle)
    around = np.exp(-chosen.energy(z1, z2, np)).mean(axis=1) * (2.0 * np.pi)
    return float(np.log(0.5 * chosen.reach * np.sum(weights * radius * around)))


def log_density(name: str, z: FloatArray) -> FloatArray:
    """The logarithm of the normalised density; minus infinity where ``inside`` says no.

    Args:
        name: one of ``POTENTIALS``.
        z: ``float64[..., 2]``.

    Returns:
        ``float64[...]``.

    Raises:
        UsageError: there is no such potential.
    """
    values = -potential(name, z) - log_normaliser(name)
    return np.where(inside(name, z), values, -np.inf)
