"""Two-dimensional point sets: samples of the densities that generators are trained to give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.data.packages import optional

_Draw = Callable[[int, int], FloatArray]

_SEEDS = 2**32
_ARMS = 5


def draw(name: str, count: int, seed: int) -> FloatArray:
    """Fresh points of one density; the same arguments give the same points.

    Points for training and points held out are those of different seeds.

    Args:
        name: one of ``POINTS``.
        count: how many.
        seed: from 0 to 2^32 - 1.

    Returns:
        ``float64[count, 2]``.

    Raises:
        UsageError: there is no such density, less than one point, or a seed out of range.
        MissingExtra: this one is made by scikit-learn, which is not installed.
    """
    if name not in POINTS:
        raise UsageError(f"unknown points {name!r}", hint=f"there are: {', '.join(POINTS)}")
    if count < 1:
        raise UsageError(f"{count} points", hint="ask for one or more")
    if not 0 <= seed < _SEEDS:
        raise UsageError(f"seed {seed}", hint=f"give one from 0 to {_SEEDS - 1}")
    return np.ascontiguousarray(POINTS[name](count, seed), dtype=np.float64)


def _circle(count: int, seed: int) -> FloatArray:
    """Two rings around the origin, of radii 1 and 1/2."""
    make = optional("sklearn.datasets", "circle").make_circles
    return make(n_samples=count, noise=0.06, factor=0.5, random_state=seed)[0]


def _twomoon(count: int, seed: int) -> FloatArray:
    """Two half circles that reach into each other."""
    make = optional("sklearn.datasets", "twomoon").make_moons
    return make(n_samples=count, noise=0.1, random_state=seed)[0]


def _swissroll(count: int, seed: int) -> FloatArray:
    """A spiral: the roll, looked at from its end, five times smaller."""
    make = optional("sklearn.datasets", "swissroll").make_swiss_roll
    return make(n_samples=count, noise=1.0, random_state=seed)[0][:, [0, 2]] / 5.0


def _eight_gaussians(count: int, seed: int) -> FloatArray:
    """Eight round clusters (sd 0.5) on a circle of radius 4, all divided by 1.414."""
    random = np.random.default_rng(seed)
    angle = random.integers(8, size=count) * (np.pi / 4)
    centre = 4.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centre + 0.5 * random.standard_normal((count, 2))) / 1.414


def _pinwheel(count: int, seed: int) -> FloatArray:
    """Five arms, elongated clusters at radius 1 that turn the more the farther out, doubled."""
    random = np.random.default_rng(seed)
    arm = random.integers(_ARMS, size=count)
    along = 1.0 + 0.3 * random.standard_normal(count)
    across = 0.1 * random.standard_normal(count)
    angle = arm * (2.0 * np.pi / _ARMS) + 0.25 * np.exp(along)
    cosine, sine = np.cos(angle), np.sin(angle)
    # Turned clockwise, as published.
    x, y = along * cosine + across * sine, across * cosine - along * sine
    return 2.0 * np.stack([x, y], axis=1)


def _two_spirals(count: int, seed: int) -> FloatArray:
    """Two arms of one and a half turns each, one the other turned by half a turn."""
    random = np.random.default_rng(seed)
    turn = 3.0 * np.pi * np.sqrt(random.random(count))
    x = 0.5 * random.random(count) - turn * np.cos(turn)
    y = 0.5 * random.random(count) + turn * np.sin(turn)
    sign = 1.0 - 2.0 * random.integers(2, size=(count, 1))
    return sign * np.stack([x, y], axis=1) / 3.0 + 0.1 * random.standard_normal((count, 2))


POINTS: Mapping[str, _Draw] = {
    "circle": _circle,
    "twomoon": _twomoon,
    "swissroll": _swissroll,
    "8gaussians": _eight_gaussians,
    "pinwheel": _pinwheel,
    "2spirals": _two_spirals,
}
"""Every density by name; maps a count and a seed to points."""
