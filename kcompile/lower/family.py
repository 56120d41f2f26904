"""Device families: what ``pdk/<family>/family.toml`` says."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from kcompile.errors import PdkError, UsageError
from kcompile.files import is_file, read_bytes
from kcompile.ir import Phi
from kcompile.netlist import DIALECTS
from kcompile.resources import data_folder
from kcompile.units import Scale

_UNITS: Mapping[str, Callable[[Scale], float]] = {
    "": lambda _: 1.0,
    "v0": lambda scale: scale.v0,
    "i0": lambda scale: scale.i0,
    "c0": lambda scale: scale.c0,
    "v0/i0": lambda scale: scale.resistance_unit,
    "c0*v0/i0": lambda scale: scale.time_unit,
}

CONTROLS = ("diff", "affine", "table")
GRAINS = ("edge", "pair", "layer")


@dataclass(frozen=True)
class Parameter:
    """A number that a family's templates may name.

    Args:
        name: as templates call it.
        default: in ``unit``.
        unit: a product of the scale's units, or empty for a pure number.
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
        in_range = number > self.minimum or (self.minimum_allowed and number == self.minimum)
        if not (math.isfinite(number) and in_range):
            sign = ">=" if self.minimum_allowed else ">"
            raise UsageError(
                f"{self.name} is {number!r}", where="device parameter",
                hint=f"give a finite number {sign} {self.minimum:g}",
            )  # fmt: skip
        value = number * _UNITS[self.unit](scale)
        if not math.isfinite(value) or (value == 0.0) != (number == 0.0):
            raise UsageError(
                f"{self.name} is {number!r} {self.unit}", where="device parameter",
                hint="in these units no number of double precision",
            )  # fmt: skip
        return value


@dataclass(frozen=True)
class Form:
    """A row template and the edges it is for.

    Args:
        template: file name in the family's folder.
        phi: nonlinearities it implements.
        control: ``diff`` (one voltage difference), ``affine`` (two node voltages) or ``table``
            (a piecewise-linear function of one difference, for grouped edges).
        conductive: only edges whose current grows with their own voltage (``w*a > 0``).
        gated: whether it can be switched by a gate in a single deck.
        offset: False: only edges with ``c == 0``.
        reach: only edges whose argument is zero within so many v0: ``|c| <= reach*|a|``.
    """

    template: str
    phi: frozenset[Phi]
    control: str
    conductive: bool = False
    gated: bool = True
    offset: bool = True
    reach: float = math.inf


@dataclass(frozen=True)
class FamilySpec:
    """A device family as its description says.

    Args:
        name: what ``--device`` takes.
        title: one line for people.
        folder: where description and templates lie.
        parameters: by name.
        forms: in order of preference.
        default_level: the ``-O`` level that suits it.
        grain: of compiled devices, how much one holds (``edge``, ``pair`` or ``layer``); None: it
            needs no compiled devices.
        klu: whether its circuits suit the KLU solver. ngspice's KLU keeps the pivots of the first
            factorisation, which loses digits where conductances change by many decades.
        dialect: what its decks are written in.
        files: names of further files of the family that lie beside every deck.
    """

    name: str
    title: str
    folder: Path
    parameters: Mapping[str, Parameter]
    forms: tuple[Form, ...]
    default_level: int
    klu: bool
    grain: str | None = None
    dialect: str = DIALECTS[0]
    files: tuple[str, ...] = ()

    @property
    def phis(self) -> frozenset[Phi]:
        """The nonlinearities it can build for any edge."""
        if self.grain is not None:
            return frozenset(Phi)
        direct = frozenset[Phi]().union(*(f.phi for f in self.forms if f.control == "affine"))
        if {Phi.RELU, Phi.IDENTITY} <= direct:
            direct |= {Phi.LEAKY_RELU}
        return direct

    def values(self, scale: Scale, given: Mapping[str, float]) -> dict[str, float]:
        """Every parameter in SI units.

        Raises:
            UsageError: ``given`` names an unknown parameter or a value out of range.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UsageError(
                    f"family {self.name} has no parameter {name!r}", hint=f"it has: {known}"
                )
        return {n: p.value(scale, given.get(n)) for n, p in self.parameters.items()}


def family_names(extra: Path | None = None) -> list[str]:
    """The families there are, ours and those in the folder ``extra``."""
    folders = [data_folder("pdk"), *([extra] if extra else [])]
    return sorted({f.parent.name for folder in folders for f in folder.glob("*/family.toml")})


def read_family(name: str, extra: Path | None = None) -> FamilySpec:
    """The family called ``name``; one in the folder ``extra`` hides ours of the same name.

    Raises:
        UsageError: there is none.
        PdkError: its description is bad.
    """
    for folder in (*([extra] if extra else []), data_folder("pdk")):
        path = folder / name / "family.toml"
        if Path(name).name == name and is_file(path):
            return _parse(name, path)
    raise UsageError(
        f"no device family {name!r}", where="--device",
        hint=f"families: {', '.join(family_names(extra))}",
    )  # fmt: skip


def _parse(name: str, path: Path) -> FamilySpec:
    try:
        data = tomllib.loads(read_bytes(path).decode())
        parameters = {
            key: _parameter(key, cast(dict[str, Any], entry))
            for key, entry in data.get("parameters", {}).items()
        }
        forms = tuple(_form(cast(dict[str, Any], entry)) for entry in data["forms"])
        spec = FamilySpec(
            name,
            str(data["title"]),
            path.parent,
            parameters,
            forms,
            int(data["default_level"]),
            bool(data.get("klu", True)),
            _grain(data.get("grain")),
            _dialect(data.get("dialect", DIALECTS[0])),
            tuple(str(file) for file in data.get("files", ())),
        )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PdkError(f"not TOML: {error}", where=path) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PdkError(f"{type(error).__name__}: {error}", where=path) from error
    for form in forms:
        if not is_file(path.parent / form.template):
            raise PdkError(f"no template {form.template}", where=path)
    for file in spec.files:
        if Path(file).name != file or not is_file(path.parent / file):
            raise PdkError(f"no file {file} beside it", where=path)
    return spec


def _grain(word: Any) -> str | None:
    if word is not None and word not in GRAINS:
        raise ValueError(f"grain {word!r} is not one of {', '.join(GRAINS)}")
    return word


def _dialect(word: Any) -> str:
    if word not in DIALECTS:
        raise ValueError(f"dialect {word!r} is not one of {', '.join(DIALECTS)}")
    return word


def _parameter(name: str, entry: dict[str, Any]) -> Parameter:
    unit = str(entry.get("unit", ""))
    if unit not in _UNITS:
        raise ValueError(f"parameter {name}: unit {unit!r} is not one of {', '.join(_UNITS)}")
    return Parameter(
        name,
        float(entry["default"]),
        unit,
        str(entry["description"]),
        float(entry.get("minimum", 0.0)),
        bool(entry.get("minimum_allowed", False)),
    )


def _form(entry: dict[str, Any]) -> Form:
    known = {field.name for field in fields(Form)}
    if set(entry) - known:
        raise ValueError(f"form keys {sorted(set(entry) - known)} are unknown")
    if entry["control"] not in CONTROLS:
        raise ValueError(f"control {entry['control']!r} is not one of {', '.join(CONTROLS)}")
    return Form(
        str(entry["template"]),
        frozenset(Phi(phi) for phi in entry["phi"]),
        str(entry["control"]),
        bool(entry.get("conductive", False)),
        bool(entry.get("gated", True)),
        bool(entry.get("offset", True)),
        float(entry.get("reach", math.inf)),
    )
