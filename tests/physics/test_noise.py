"""Noise formulas, against figures that textbooks give and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kcompile.errors import UsageError
from kcompile.physics import (
    charge_rms,
    decibels,
    electrons,
    in_software_units,
    kelvin,
    kt_over_c,
    shot_density,
    thermal_density,
    thermal_voltage,
)
from kcompile.units import Scale


def test_known_figures():
    room = kelvin(27.0)
    assert room == pytest.approx(300.15)
    assert thermal_voltage(room) == pytest.approx(25.865e-3, rel=1e-4)
    assert kt_over_c(1e-12, 300.0) == pytest.approx(64.36e-6, rel=1e-3)  # 64 uV at 1 pF
    assert kt_over_c(1e-15, 300.0) == pytest.approx(2.035e-3, rel=1e-3)
    assert thermal_density(1e-3, 300.0) ** 0.5 == pytest.approx(4.07e-12, rel=1e-3)  # 1 kOhm
    assert shot_density(-1e-3) ** 0.5 == pytest.approx(17.9e-12, rel=1e-3)  # 1 mA, either way
    assert electrons(1e-15 * 0.1) == pytest.approx(624.15, rel=1e-4)


def test_arrays_are_taken_element_by_element():
    capacitance = np.array([1e-15, 4e-15])
    noise = kt_over_c(capacitance, 300.0)
    assert noise[0] == pytest.approx(2 * noise[1])
    np.testing.assert_allclose(shot_density(np.array([1.0, -2.0]))[1], 2 * shot_density(1.0))


def test_a_resistor_on_a_capacitor_settles_at_kt_over_c():
    # dq = -(1/RC) q dt + noise has the variance (S/2)(RC/2): kTC for S = 4kT/R.
    resistance, capacitance, temperature = 1e4, 1e-12, 300.0
    density = thermal_density(1 / resistance, temperature)
    variance = charge_rms(density, 1.0) ** 2 * resistance * capacitance / 2
    assert variance**0.5 / capacitance == pytest.approx(kt_over_c(capacitance, temperature))


def test_shot_noise_is_poisson_statistics():
    current, seconds = 1e-9, 1e-6
    carriers = electrons(current * seconds)
    moved = charge_rms(shot_density(current), seconds)
    assert electrons(moved) == pytest.approx(carriers**0.5)


def test_software_units_agree_with_si():
    scale = Scale(0.1, 1e-5, 1e-14)
    density, time = 3e-25, 2.5
    software = (in_software_units(density, scale) * time) ** 0.5
    si = charge_rms(density, time * scale.time_unit) / (scale.c0 * scale.v0)
    assert software == pytest.approx(si)


def test_decibels():
    assert decibels(1.0, 0.01) == pytest.approx(40.0)
    assert decibels(0.0, 1.0) == -math.inf
    assert decibels(1.0, 0.0) is None
    assert decibels(0.0, 0.0) is None


@pytest.mark.parametrize("celsius", [-273.15, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(celsius):
    with pytest.raises(UsageError):
        kelvin(celsius)
