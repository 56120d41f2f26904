"""Which effects there are, how strong: what a TOML file or ``--vary`` says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from kcompile.errors import ContentError, UsageError
from kcompile.files import read_bytes
from kcompile.timing import Timing
from kcompile.variations.effect import Effect
from kcompile.variations.noise import CurrentNoise
from kcompile.variations.parameters import (
    DeviceEffect,
    Mismatch,
    Programming,
    Quantisation,
    Stuck,
    Temperature,
)
from kcompile.variations.surroundings import Capacitors, Leakage, OutputConductance
from kcompile.variations.terminals import Input, ReadOut

EFFECTS: tuple[type[Effect], ...] = (
    Quantisation, Programming, Mismatch, Temperature, Stuck, OutputConductance, Leakage,
    Capacitors, Input, ReadOut, CurrentNoise,
)  # fmt: skip
"""In the order in which they act."""

DEVICE = "device"
"""The table of a device family's parameters, as ``--param`` takes them."""

TIMING = "timing"
"""The table of a single deck's timing, as ``--timing`` takes it."""

_TABLES = (TIMING, DEVICE)


@dataclass(frozen=True)
class Variations:
    """How a circuit differs from the ideal one; by default not at all.

    Args:
        effects: by name; those that are missing do nothing.
        device: parameters of the device family, such as ``roff``, in the family's own units; they
            count in SPICE only.
        timing: of the layers, which then share one transient.
    """

    effects: Mapping[str, Effect] = field(default_factory=dict[str, Effect])
    device: Mapping[str, float] = field(default_factory=dict[str, float])
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Variations:
        """The variations that ``{"mismatch": {"gain": 0.01}, ...}`` says.

        Raises:
            UsageError: an effect or a number that there is not, or a value out of range.
        """
        known = {effect.name: effect for effect in EFFECTS}
        found: dict[str, Effect] = {}
        device: dict[str, float] = {}
        timing = Timing()
        for name, numbers in values.items():
            if name not in (*known, *_TABLES):
                raise UsageError(
                    f"there is no effect {name!r}", where="variations",
                    hint=f"effects: {', '.join((*known, *_TABLES))}",
                )  # fmt: skip
            if not isinstance(numbers, Mapping):
                raise UsageError(
                    f"{name} is {numbers!r}", where="variations",
                    hint=f"write a table: [{name}]",
                )  # fmt: skip
            given = cast(Mapping[str, Any], numbers)
            if name == DEVICE:
                device = {key: _real(f"{name}.{key}", value) for key, value in given.items()}
            elif name == TIMING:
                timing = Timing.from_mapping({k: _whole(k, v) for k, v in given.items()})
            else:
                found[name] = known[name].of(given)
        return cls(found, device, timing)

    def effect(self, kind: type[Any]) -> Any:
        """The effect of a class, with its defaults where nothing is said."""
        return self.effects.get(kind.name) or kind()

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the effects that change anything, in the order in which they act."""
        names = [e.name for e in EFFECTS if self.effect(e).active]
        timed = () if self.timing.perfect else (TIMING,)
        return (*names, *timed, *((DEVICE,) if self.device else ()))

    @property
    def device_effects(self) -> Iterator[DeviceEffect]:
        """The active effects on devices' numbers, in order."""
        for kind in EFFECTS:
            if issubclass(kind, DeviceEffect) and (effect := self.effect(kind)).active:
                yield effect

    def check(self) -> None:
        """Sees that the variations go together.

        Layers with a timing share one transient: what is told layer by layer has no place there.

        Raises:
            UsageError: they do not.
        """
        if self.timing.perfect:
            return
        leakage: Leakage = self.effect(Leakage)
        for name, there in (
            (CurrentNoise.name, CurrentNoise.name in self.active),
            ("leakage.hold", leakage.active and leakage.hold > 0),
        ):
            if there:
                raise UsageError(
                    f"{name} is told layer by layer, timing is of one transient",
                    where="variations",
                    hint="leave one of them out",
                )

    def only(self, names: Sequence[str]) -> Variations:
        """The same with no other effects than these."""
        kept = {name: effect for name, effect in self.effects.items() if name in names}
        timing = self.timing if TIMING in names else Timing()
        return Variations(kept, self.device if DEVICE in names else {}, timing)

    def without(self, names: Sequence[str]) -> Variations:
        """The same without these effects."""
        return self.only([name for name in (*self.effects, *_TABLES) if name not in names])

    def with_number(self, key: str, value: float) -> Variations:
        """The same with one number changed.

        Args:
            key: ``EFFECT.NUMBER``, such as ``mismatch.gain``, or ``device.NAME``.
            value: what it becomes.

        Raises:
            UsageError: there is no such number, or the value is out of range.
        """
        name, dot, which = key.partition(".")
        if not (dot and which):
            raise UsageError(
                f"{key!r} names no number", where="--vary", hint="write EFFECT.NUMBER=VALUE"
            )
        if name == DEVICE:
            return replace(self, device={**self.device, which: _real(key, value)})
        changed = self.to_mapping()
        changed.setdefault(name, {})[which] = value
        # An effect with one of its numbers at the default must not lose it.
        return Variations.from_mapping(changed)

    def __str__(self) -> str:
        return ", ".join(
            f"{name}.{key}={value:g}"
            for name, numbers in self.to_mapping().items()
            for key, value in numbers.items()
        )

    def to_mapping(self) -> dict[str, dict[str, float]]:
        """What ``from_mapping`` takes: the numbers that differ from their defaults."""
        found = {name: effect.to_dict() for name, effect in self.effects.items()}
        found[TIMING] = self.timing.to_mapping()
        found = {name: numbers for name, numbers in found.items() if numbers}
        return found | ({DEVICE: dict(self.device)} if self.device else {})


def read_variations(sources: Sequence[str | Path]) -> Variations:
    """The variations of several sources, later ones on top.

    Args:
        sources: TOML files with a table for each effect, or words ``EFFECT.NUMBER=VALUE``.

    Raises:
        UsageError: a file that is not there, or what ``Variations.from_mapping`` refuses.
        ContentError: a file that is not TOML.
    """
    found = Variations()
    for source in sources:
        if isinstance(source, str) and "=" in source:
            key, _, text = source.partition("=")
            try:
                value = float(text)
            except ValueError:
                raise UsageError(
                    f"{text!r} is no number", where=f"--vary {key}", hint="give one"
                ) from None
            found = found.with_number(key.strip(), value)
        else:
            found = _with_file(found, Path(source))
    return found


def describe() -> Iterator[tuple[str, str, str, float, str]]:
    """Every number that there is: effect, name, unit, default, and what it is."""
    for effect in EFFECTS:
        for each in fields(effect):
            facts = each.metadata
            yield effect.name, each.name, facts["unit"], cast(float, each.default), facts["about"]


def _with_file(found: Variations, path: Path) -> Variations:
    """The variations with those of a file on top."""
    try:
        values = tomllib.loads(read_bytes(path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContentError(f"not TOML: {error}", where=path) from error
    try:
        Variations.from_mapping(values)
        # The file's own numbers, for one that is back at its default counts as well.
        merged = found.to_mapping()
        for name, numbers in values.items():
            merged.setdefault(name, {}).update(numbers)
        return Variations.from_mapping(merged)
    except UsageError as error:
        error.where = str(path)
        raise


def _whole(name: str, value: Any) -> Any:
    """A seed out of a word on the command line is a whole number all the same."""
    return (
        int(value) if name == "seed" and isinstance(value, float) and value.is_integer() else value
    )


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name} is {value!r}", where="variations", hint="give a number")
    return float(value)
