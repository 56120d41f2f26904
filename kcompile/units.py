"""The unit system that turns software numbers into volts, amperes, farads and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from kcompile.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scale:
    """What one software unit of voltage, current and capacitance is worth in a circuit.

    One software time unit lasts ``tau = c0 * v0 / i0`` seconds (Eq. (9): scaling every capacitance
    scales time). Answers in software units do not depend on the scale.

    Args:
        v0: volts per software voltage unit.
        i0: amperes per software current unit.
        c0: farads per software capacitance unit.

    Raises:
        UsageError: a unit is not a positive, finite number.
    """

    v0: float = 1.0
    i0: float = 1.0
    c0: float = 1e-15

    def __post_init__(self) -> None:
        for name, value in (("v0", self.v0), ("i0", self.i0), ("c0", self.c0)):
            if not (math.isfinite(value) and value > 0.0):
                raise UsageError(
                    f"{name} is {value!r}",
                    where="scale",
                    hint="a unit is a positive, finite number",
                )
        if not 1e-300 < self.time_unit < 1e300:
            raise UsageError(
                f"one time unit would last {self.time_unit!r} s",
                where="scale",
                hint="choose v0, i0 and c0 so that c0*v0/i0 is a usable time",
            )

    @classmethod
    def from_time_unit(cls, a: float) -> Self:
        """The paper's scale ``a`` (Eq. (9)): 1 V, 1 A and ``a`` farads, so tau is ``a`` seconds."""
        if not (math.isfinite(a) and a > 0.0):
            raise UsageError(
                f"the scale is {a!r}", where="--scale", hint="give a positive number such as 1e-15"
            )
        return cls(v0=1.0, i0=1.0, c0=a)

    @property
    def time_unit(self) -> float:
        """Seconds per software time unit."""
        return self.c0 * self.v0 / self.i0

    @property
    def resistance_unit(self) -> float:
        """Ohms per software resistance unit, ``v0 / i0``."""
        return self.v0 / self.i0
