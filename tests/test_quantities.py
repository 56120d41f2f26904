"""Numbers with units as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcompile.quantities import format_si, si_prefix

SIZES = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3,
    "M": 1e6, "G": 1e9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-15, "1 fs"), (9.9999999e-16, "1 fs"), (1.6e-15, "1.6 fs"), (2.002e-15, "2.002 fs"),
        (5e-13, "500 fs"), (1e-8, "10 ns"), (3.5e-5, "35 µs"), (1.0, "1 s"), (0.0, "0 s"),
        (1e-30, "1e-30 s"), (None, "-"), (2e9, "2 Gs"), (0.99996, "1 s"),
    ],
)  # fmt: skip
def test_seconds(value, text):
    assert format_si(value, "s") == text


@given(st.floats(1e-18, 9e11))
def test_a_prefix_leaves_one_to_three_digits_before_the_point(value):
    size, _ = si_prefix(value)
    assert 0.99999 <= value / size < 1000


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.9996, 3, "1 A"), (-0.9996, 3, "-1 A"), (999.4e-6, 3, "999 µA"), (0.9996, 4, "999.6 mA"),
        (0.123, 2, "120 mA"), (0.996, 2, "1 A"), (9.996e11, 3, "1e+12 A"), (2.2e15, 3, "2.2e+15 A"),
    ],
)  # fmt: skip
def test_amperes(value, digits, text):
    assert format_si(value, "A", digits) == text


@given(st.floats(1e-17, 9e11), st.integers(1, 6), st.sampled_from([1.0, -1.0]))
def test_what_has_a_prefix_has_no_exponent(value, digits, sign):
    number, _, prefix = format_si(sign * value, "", digits).partition(" ")
    assert "e" not in number
    assert 1 <= abs(float(number)) < 1000
    read = float(number) * SIZES[prefix]
    assert read == pytest.approx(sign * value, rel=0.5 * 10.0 ** (1 - digits) * (1 + 1e-9))
