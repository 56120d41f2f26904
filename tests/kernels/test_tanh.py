"""The kernel's tanh, which is no library's: 4 units in the last place over all magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_layers import one_edge
from mpmath import mp

from kcompile.ir import Phi
from kcompile.kernels.library import suite

REALS = (np.float32, np.float64)


def tanh(name: str, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)[None]
    one_edge(Phi.TANH, x.dtype, suite(x.dtype, name)).derivative(x[None], out)
    return out[0]


def magnitudes(real: Any) -> np.ndarray:
    """From denormal numbers to saturation, most where the series and the powers of two meet."""
    random = np.random.default_rng(0)
    lowest = -300 if real is np.float64 else -44
    parts = [
        np.logspace(lowest, 3, 4000),
        random.uniform(0, 1, 4000),
        random.uniform(0, 25, 4000),
        np.log(2) / 4 * np.arange(1, 120) * (1 + 1e-7 * random.normal(size=119)),
    ]
    return np.concatenate(parts).astype(real)


def ulps(got: np.ndarray, x: np.ndarray) -> float:
    """The largest error in units in the last place of the exact answer."""
    with mp.workdps(40):
        worst = mp.mpf(0)
        for value, argument in zip(got, x, strict=True):
            exact = mp.tanh(mp.mpf(float(argument)))
            spacing = np.spacing(np.abs(x.dtype.type(float(exact))))
            worst = max(worst, abs(mp.mpf(float(value)) - exact) / mp.mpf(float(spacing)))
    return float(worst)


@pytest.mark.parametrize("real", REALS)
def test_it_is_accurate_at_every_magnitude(name: str, real: Any) -> None:
    """Catches cancellation near 0, and a power of two that overflows."""
    x = magnitudes(real)
    assert ulps(tanh(name, x), x) <= 4


@pytest.mark.parametrize("real", REALS)
def test_alone_it_is_as_accurate(name: str, real: Any) -> None:
    """One sample does not go through vectors."""
    x = magnitudes(real)[::40]
    got = np.array([tanh(name, x[i : i + 1])[0] for i in range(len(x))])
    assert ulps(got, x) <= 4


@pytest.mark.parametrize("real", REALS)
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_it_is_odd_and_never_beyond_one(name: str, real: Any, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=33).astype(real) * real(10.0) ** (seed % 7 - 3)
    got = tanh(name, x)
    np.testing.assert_array_equal(tanh(name, -x), -got)
    assert (np.abs(got) <= 1).all()


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("samples", [1, 40])
def test_ends(name: str, real: Any, samples: int) -> None:
    tiny, largest = np.finfo(real).smallest_subnormal, np.finfo(real).max
    for value, expected in (
        (0.0, 0.0), (tiny, tiny), (-3 * tiny, -3 * tiny), (1e3, 1.0), (-1e3, -1.0),
        (largest, 1.0), (-largest, -1.0), (np.inf, 1.0), (-np.inf, -1.0),
    ):  # fmt: skip
        assert (tanh(name, np.full(samples, value, real)) == real(expected)).all()
    assert np.isnan(tanh(name, np.full(samples, np.nan, real))).all()
