"""Numbers with units as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcompile.quantities import format_si, si_prefix


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-15, "1 fs"), (9.9999999e-16, "1 fs"), (1.6e-15, "1.6 fs"), (2.002e-15, "2.002 fs"),
        (5e-13, "500 fs"), (1e-8, "10 ns"), (3.5e-5, "35 µs"), (1.0, "1 s"), (0.0, "0 s"),
        (1e-30, "1e-30 s"), (None, "-"), (2e9, "2 Gs"),
    ],
)  # fmt: skip
def test_seconds(value, text):
    assert format_si(value, "s") == text


@given(st.floats(1e-18, 9e11))
def test_a_prefix_leaves_one_to_three_digits_before_the_point(value):
    size, _ = si_prefix(value)
    assert 0.99999 <= value / size < 1000
