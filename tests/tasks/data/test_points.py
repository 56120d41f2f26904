"""The point sets have the densities that the published generators were trained for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.tasks.data import POINTS, draw

COUNT = 20_000


def test_these_are_the_point_sets() -> None:
    assert list(POINTS) == [
        "circle", "twomoon", "swissroll", "8gaussians", "pinwheel", "2spirals",
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(POINTS)), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_any_count_and_seed_gives_the_same_points_again(name: str, count: int, seed: int) -> None:
    points = draw(name, count, seed)
    assert points.shape == (count, 2)
    assert points.dtype == np.float64
    assert points.flags.c_contiguous
    assert np.isfinite(points).all()
    assert np.array_equal(points, draw(name, count, seed))


@pytest.mark.parametrize("name", POINTS)
def test_another_seed_is_held_out(name: str) -> None:
    """A generator that ignores its seed would be tested on what it was trained with."""
    one, other = draw(name, 1000, 0), draw(name, 1000, 1)
    assert not set(map(tuple, one)) & set(map(tuple, other))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("square", 10, 0), "unknown points 'square'"),
        (("circle", 0, 0), "0 points"),
        (("circle", 10, -1), "seed -1"),
        (("circle", 10, 2**32), "seed 4294967296"),
    ],
)
def test_what_there_is_not(arguments: tuple[str, int, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        draw(*arguments)


def test_circle_has_two_rings() -> None:
    radius = np.hypot(*draw("circle", COUNT, 3).T)
    outer, inner = radius[radius > 0.75], radius[radius < 0.75]
    assert abs(len(outer) - COUNT / 2) < 100
    assert outer.mean() == pytest.approx(1.0, abs=0.005)
    assert inner.mean() == pytest.approx(0.5, abs=0.005)
    assert outer.std() == pytest.approx(0.06, rel=0.05)


def test_twomoon_has_two_moons() -> None:
    points = draw("twomoon", COUNT, 3)
    assert points.mean(axis=0) == pytest.approx([0.5, 0.25], abs=0.02)
    # Every point lies near the upper half circle around 0 or the lower one around (1, 0.5).
    upper = np.abs(np.hypot(*points.T) - 1.0)
    lower = np.abs(np.hypot(*(points - [1.0, 0.5]).T) - 1.0)
    assert np.minimum(upper, lower).max() < 0.5


def test_swissroll_is_five_times_smaller_than_scikit_learns() -> None:
    points = draw("swissroll", COUNT, 3)
    # The roll's radius is its angle, from 1.5 to 4.5 pi, with noise of 1.
    radius = np.hypot(*points.T) * 5.0
    assert radius.mean() == pytest.approx(3.0 * np.pi, rel=0.02)
    assert radius.min() > 0.5
    assert radius.max() < 4.5 * np.pi + 5.0


def test_eight_gaussians_are_eight_alike() -> None:
    points = draw("8gaussians", COUNT, 3)
    turn = np.exp(1j * np.arange(8) * np.pi / 4) * 4.0 / 1.414
    distance = np.abs(points @ [1.0, 1.0j] - turn[:, None])
    nearest = distance.argmin(axis=0)
    assert np.bincount(nearest).min() > 0.9 * COUNT / 8
    # Rayleigh: the mean square distance is twice the variance.
    square = np.mean(distance.min(axis=0) ** 2)
    assert square == pytest.approx(2.0 * (0.5 / 1.414) ** 2, rel=0.03)


def test_pinwheel_has_five_arms_that_turn_clockwise() -> None:
    points = draw("pinwheel", COUNT, 3) @ [1.0, 1.0j]
    radius = np.abs(points) / 2.0
    assert radius.mean() == pytest.approx(1.0, abs=0.02)
    # Turned back by the rate, the arms are fivefold: the mean of z^5 has the size of its parts.
    straight = points * np.exp(1j * 0.25 * np.exp(radius))
    unit = straight / np.abs(straight)
    assert abs(np.mean(unit**5)) > 0.75
    assert abs(np.mean(unit)) < 0.05
    assert np.mean(unit**5).real > 0.75
    assert abs(np.mean((points / np.abs(points)) ** 5)) < 0.75


def test_two_spirals_are_symmetric_and_three_pi_long() -> None:
    points = draw("2spirals", COUNT, 3)
    assert points.mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.05)
    radius = np.hypot(*points.T)
    assert radius.max() < np.pi + 1.0
    # The square of the turn is uniform on 0..(3 pi)^2, the shifts of mean 1/4 turn around it.
    assert np.mean(radius**2) == pytest.approx(np.pi**2 / 2.0, rel=0.06)
