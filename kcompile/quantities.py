"""Numbers with units as people read them."""

from __future__ import annotations

import math

_PREFIXES = {
    -18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G",
}  # fmt: skip


def si_prefix(value: float) -> tuple[float, str]:
    """The SI prefix that suits ``value``: what it stands for, and its letter.

    ``(1.0, "")`` where none does.
    """
    if value == 0 or not math.isfinite(value):
        return 1.0, ""
    # The margin keeps 0.9999999 f from becoming 999.9999 a.
    exponent = 3 * math.floor(math.log10(abs(value) * (1 + 1e-6)) / 3)
    if exponent not in _PREFIXES:
        return 1.0, ""
    return 10.0**exponent, _PREFIXES[exponent]


def format_si(value: float | None, unit: str, digits: int = 4) -> str:
    """``1e-15, "s"`` as ``1 fs``; a dash where there is no value."""
    if value is None:
        return "-"
    # Rounded first: 999.6 mA to three digits are 1 A.
    rounded = float(f"{value:.{digits}g}")
    size, prefix = si_prefix(rounded)
    # With fewer than three digits 120 m would be 1.2e+02 m; those beyond the rounded ones are 0.
    return f"{rounded / size:.{max(digits, 3)}g} {prefix}{unit}"


def format_number(value: float | None, digits: int = 3) -> str:
    """A plain number; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"
