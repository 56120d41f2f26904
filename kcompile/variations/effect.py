"""What every effect of real devices has: numbers with units and limits, and a source of chance."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError


def number(
    about: str,
    unit: str = "",
    default: float = 0.0,
    *,
    least: float = 0.0,
    most: float = math.inf,
    whole: bool = False,
) -> Any:
    """A field of an effect.

    Args:
        about: what it is, one line.
        unit: in software units (``v0``, ``i0``, ``c0``, ``tau`` and their products), or empty.
        default: where it has no effect.
        least, most: the smallest and the largest value allowed.
        whole: whether it must be a whole number.
    """
    facts = {"about": about, "unit": unit, "least": least, "most": most, "whole": whole}
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Effect:
    """One way in which a circuit differs from the ideal one; with its defaults it does not.

    Each of its fields is a ``number``. Subclasses say what they do in their docstrings.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(f"{self.name}.{each.name}", getattr(self, each.name), each.metadata)

    @property
    def active(self) -> bool:
        """Whether it changes anything: any number differs from its default."""
        return any(getattr(self, each.name) != each.default for each in fields(self))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The effect with these numbers.

        Raises:
            UsageError: a name that it does not have, or a value out of range.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(
                    f"{cls.name} has no {name!r}",
                    where="variations",
                    hint=f"it has: {', '.join(known)}",
                )
        return cls(**values)

    def to_dict(self) -> dict[str, float]:
        """The numbers that differ from their defaults."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.default is not MISSING and getattr(self, each.name) != each.default
        }


def _check(name: str, value: Any, facts: Mapping[str, Any]) -> None:
    try:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = number and math.isfinite(float(value))
    except OverflowError:
        good = False
    if not (good and facts["least"] <= value <= facts["most"]):
        limits = f"from {facts['least']:g}" + (
            f" to {facts['most']:g}" if math.isfinite(facts["most"]) else ""
        )
        raise UsageError(f"{name} is {value!r}", where="variations", hint=f"give a number {limits}")
    if facts["whole"] and value != int(value):
        raise UsageError(f"{name} is {value!r}", where="variations", hint="give a whole number")


@dataclass(frozen=True)
class Chance:
    """Where the random numbers of one draw come from.

    Every effect has numbers of its own, so that they are the same whichever other effects there
    are, and however many numbers those take.

    Args:
        seed: of the experiment.
        index: number of the draw.
    """

    seed: int
    index: int

    def of(self, effect: str, *place: int) -> np.random.Generator:
        """The numbers of one effect, at one place (such as a phase and a batch)."""
        return np.random.default_rng([self.seed, self.index, zlib.crc32(effect.encode()), *place])


def lognormal(rng: np.random.Generator, spread: float, count: int) -> NDArray[np.float64]:
    """Positive factors ``[count]`` of mean 1 whose standard deviation is ``spread``."""
    variance = math.log1p(spread**2)
    return np.exp(math.sqrt(variance) * rng.standard_normal(count) - variance / 2)
