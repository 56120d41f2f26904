"""Parameters of device families: their units, ranges, and sets of values that belong together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kcompile.errors import UsageError
from kcompile.units import Scale

UNITS: Mapping[str, Callable[[Scale], float]] = {
    "": lambda _: 1.0,
    "V": lambda _: 1.0,
    "v0": lambda scale: scale.v0,
    "i0": lambda scale: scale.i0,
    "c0": lambda scale: scale.c0,
    "v0/i0": lambda scale: scale.resistance_unit,
    "c0*v0/i0": lambda scale: scale.time_unit,
}
"""What a parameter's number is a multiple of; volts are for what physics or a supply fixes."""


@dataclass(frozen=True)
class Parameter:
    """A number that a family's templates may name.

    Args:
        name: as templates call it.
        default: in ``unit``.
        unit: one of ``UNITS``: a product of the scale's units, volts, or empty for a pure number.
        description: one line.
        minimum: smallest value allowed (itself only where ``minimum_allowed``).
        minimum_allowed: whether the minimum itself is allowed.
    """

    name: str
    default: float
    unit: str
    description: str
    minimum: float = 0.0
    minimum_allowed: bool = False

    def value(self, scale: Scale, given: float | None = None) -> float:
        """The parameter in SI units.

        Args:
            scale: the unit system.
            given: the user's value in the parameter's own unit, else the default.

        Raises:
            UsageError: out of range.
        """
        number = self.default if given is None else given
        self._check(number)
        value = number * UNITS[self.unit](scale)
        if not math.isfinite(value) or (value == 0.0) != (number == 0.0):
            raise UsageError(
                f"{self.name} is {number!r} {self.unit}", where="device parameter",
                hint="in these units no number of double precision",
            )  # fmt: skip
        return value

    def absolute(self, scale: Scale, value: float) -> float:
        """A value in SI units, once it is seen to be in the parameter's range.

        Raises:
            UsageError: out of range.
        """
        self._check(value / UNITS[self.unit](scale))
        return value

    def _check(self, number: float) -> None:
        in_range = number > self.minimum or (self.minimum_allowed and number == self.minimum)
        if not (math.isfinite(number) and in_range):
            sign = ">=" if self.minimum_allowed else ">"
            least = "" if math.isinf(self.minimum) else f" {sign} {self.minimum:g}"
            raise UsageError(
                f"{self.name} is {number!r}", where="device parameter",
                hint=f"give a finite number{least}",
            )  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """Values of parameters that belong together, such as those of a device one can buy.

    Args:
        name: what follows the family's name and a colon in ``--device``.
        title: one line for people.
        values: by parameter, in SI units.
    """

    name: str
    title: str
    values: Mapping[str, float]
