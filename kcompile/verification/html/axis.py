"""Axes of charts: from values to places along an axis, with ticks where people expect them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray

MINUS = "\N{MINUS SIGN}"
DIFFERENCE = f"SPICE {MINUS} ODE"
"""What stands along the axes of errors."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_TICKS = 8
_PLAIN = (1e-2, 1e4)
"""Numbers between these are written out; others as a multiple of a power of ten."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from ``low`` to ``high``.

    Args:
        low, high: its ends, ``low < high``; both positive on a logarithmic axis.
        ticks: values, and what stands beside them.
        unit: what one of the tick's numbers is: empty, or a power of ten (``10⁻⁵``).
        log: whether it is logarithmic.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    unit: str = ""
    log: bool = False

    def places(self, values: FloatArray | float) -> FloatArray:
        """Where values are along the axis: 0 at ``low``, 1 at ``high``, NaN where nowhere."""
        array = np.asarray(values, dtype=np.float64)
        if not self.log:
            return (array - self.low) / (self.high - self.low)
        known = np.where(array > 0, array, np.nan)
        span = math.log(self.high) - math.log(self.low)
        return (np.log(known) - math.log(self.low)) / span


def linear_axis(low: float, high: float, *, padding: float = 0.0) -> Axis:
    """A linear axis from ``low`` to ``high``, its ticks at round numbers.

    Args:
        low, high: finite; where they are equal, the axis gets some room around them.
        padding: room at both ends, as a share of the whole.
    """
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(low) or 1.0
        low, high = low - room, high + room
    room = padding * (high - low)
    low, high = low - room, high + room
    largest = max(abs(low), abs(high))
    exponent = 0 if _PLAIN[0] <= largest < _PLAIN[1] else math.floor(math.log10(largest))
    size = 10.0**exponent
    step = _round_step((high - low) / size / _MOST_TICKS)
    first, last = math.ceil(low / size / step - 1e-9), math.floor(high / size / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        (k * step * size, _signed(f"{k * step:.{decimals}f}")) for k in range(first, last + 1)
    )
    return Axis(low, high, ticks, _superscript(exponent) if exponent else "")


def log_axis(low: float, high: float) -> Axis:
    """A logarithmic axis of a decade at least, its ticks at powers of ten."""
    middle = math.sqrt(low) * math.sqrt(high)
    low, high = min(low, middle / math.sqrt(10)), max(high, middle * math.sqrt(10))
    first = math.ceil(math.log10(low) - 1e-9)
    last = math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / _MOST_TICKS))
    ticks = tuple((10.0**k, power(k)) for k in range(first, last + 1, every))
    return Axis(low, high, ticks, log=True)


def labelled(quantity: str, axis: Axis) -> str:
    """What stands along an axis of voltages in software units."""
    return f"{quantity} ({axis.unit + ' ' if axis.unit else ''}software units)"


def power(exponent: int) -> str:
    """A power of ten in print: ``10⁻⁵``, ``0.01``, ``100``."""
    return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else _superscript(exponent)


def _superscript(exponent: int) -> str:
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no less than ``least``."""
    size = 10.0 ** math.floor(math.log10(least))
    return next(m * size for m in (1.0, 2.0, 5.0, 10.0) if m * size >= least * (1 - 1e-9))


def _signed(text: str) -> str:
    """A number with a minus sign in place of the hyphen, and none before zero."""
    if not text.startswith("-"):
        return text
    return text[1:] if not text.strip("-0.") else MINUS + text[1:]
