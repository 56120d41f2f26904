"""The potentials, their normalisers, and that torch gets the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kcompile.errors import UsageError
from kcompile.tasks.data import (
    POTENTIALS,
    get_potential,
    inside,
    log_density,
    log_normaliser,
    potential,
)


def test_the_values_are_those_of_the_formulas() -> None:
    z = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 0.7]])
    radius = np.hypot(0.7, 1.0)
    wells = np.exp(-0.5 * (-1 / 0.6) ** 2) + np.exp(-0.5 * (3 / 0.6) ** 2)
    expected = [
        -np.log1p(np.exp(-0.5 * (4 / 0.6) ** 2)),
        0.5 * (2 / 0.6) ** 2 - np.log(2.0),
        0.5 * ((radius - 2) / 0.4) ** 2 - np.log(wells),
    ]
    assert potential("potential1", z) == pytest.approx(expected)
    assert potential("potential2", z) == pytest.approx([0.0, 12.5, 0.28125])


def test_far_away_nothing_overflows() -> None:
    """exp of large numbers would make the logarithm of zero."""
    z = np.array([[1e3, -1e3], [0.0, 1e4]])
    assert np.isfinite(potential("potential1", z)).all()


@pytest.mark.parametrize("name", POTENTIALS)
def test_any_shape_of_points(name: str) -> None:
    z = np.random.default_rng(0).standard_normal((3, 4, 2))
    assert potential(name, z).shape == (3, 4)
    assert inside(name, z).shape == (3, 4)
    assert log_density(name, z)[1, 2] == log_density(name, z[1, 2])


def test_only_the_second_is_restricted() -> None:
    z = np.array([[4.0, 0.0], [2.9, 2.9], [0.0, -9.0]])
    assert inside("potential2", z).tolist() == [True, False, False]
    assert inside("potential1", z).all()
    assert log_density("potential2", z)[1] == -np.inf


@pytest.mark.parametrize("name", POTENTIALS)
def test_the_density_integrates_to_one(name: str) -> None:
    """Summed on squares, which shares nothing with the rings of the normaliser but the formula."""
    reach = get_potential(name).reach
    step = 0.01
    axis = np.arange(-reach + step / 2, reach, step)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    total = np.exp(log_density(name, z)).sum() * step**2
    # Squares at the disc's edge belong to it or not.
    assert total == pytest.approx(1.0, abs=1e-8 if get_potential(name).radius is None else 5e-4)


def test_the_normaliser_of_the_first_is_that_of_its_two_wells() -> None:
    """By symmetry, each well holds half of the mass."""
    axis = np.arange(0.0025, 7.0, 0.005)
    z = np.stack(np.meshgrid(axis, np.concatenate([-axis, axis]), indexing="ij"), axis=-1)
    half = np.exp(-potential("potential1", z)).sum() * 0.005**2
    assert np.log(2 * half) == pytest.approx(log_normaliser("potential1"), abs=1e-8)


@pytest.mark.parametrize("name", POTENTIALS)
def test_torch_gets_the_same_numbers_and_their_gradients(name: str) -> None:
    z = np.random.default_rng(1).standard_normal((50, 2)) * 2.0
    tensor = torch.tensor(z, requires_grad=True)
    energy = get_potential(name).energy(tensor[:, 0], tensor[:, 1], torch)
    assert energy.detach().numpy() == pytest.approx(potential(name, z), rel=1e-12)
    torch.autograd.backward(energy.sum())
    step = 1e-6
    for axis in range(2):
        shift = step * np.eye(2)[axis]
        slope = (potential(name, z + shift) - potential(name, z - shift)) / (2 * step)
        assert tensor.grad is not None
        assert tensor.grad[:, axis].numpy() == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_unknown_potential() -> None:
    with pytest.raises(UsageError, match="unknown potential 'potential3'; there are: potential1"):
        potential("potential3", np.zeros(2))
