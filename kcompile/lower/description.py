"""Descriptions of device families: what ``pdk/<family>/family.toml`` says."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from kcompile.errors import PdkError, UsageError
from kcompile.files import is_file, read_bytes
from kcompile.ir import Phi
from kcompile.lower.family import CONTROLS, GRAINS, PRESET_SIGN, FamilySpec, Form
from kcompile.lower.parameters import UNITS, Parameter, Preset
from kcompile.netlist import DIALECTS
from kcompile.resources import data_folder

_NOTHING = FamilySpec("", "", (), {}, (), default_level=0, klu=True)
"""What a family that extends none has beside its description."""


def family_names(extra: Path | None = None) -> list[str]:
    """The families there are, ours and those in the folder ``extra``."""
    folders = [data_folder("pdk"), *([extra] if extra else [])]
    return sorted({f.parent.name for folder in folders for f in folder.glob("*/family.toml")})


def preset_names(extra: Path | None = None) -> list[str]:
    """The presets there are, as ``--device`` takes them: ``FAMILY:PRESET``.

    Raises:
        PdkError: a description is bad.
    """
    families = (read_family(name, extra) for name in family_names(extra))
    return [f"{each.name}{PRESET_SIGN}{preset}" for each in families for preset in each.presets]


def read_family(name: str, extra: Path | None = None) -> FamilySpec:
    """The family called ``name``; one in the folder ``extra`` hides ours of the same name.

    Args:
        name: of the family, or ``FAMILY:PRESET``.
        extra: a folder of further families.

    Raises:
        UsageError: there is no such family, or it has no such preset.
        PdkError: its description is bad.
    """
    family, colon, preset = name.partition(PRESET_SIGN)
    found = _read(family, extra, ())
    return found.with_preset(preset) if colon else found


def _read(name: str, extra: Path | None, extending: tuple[str, ...]) -> FamilySpec:
    """A family without a preset; ``extending`` are those whose base it is."""
    for folder in (*([extra] if extra else []), data_folder("pdk")):
        path = folder / name / "family.toml"
        if Path(name).name == name and is_file(path):
            return _parse(name, path, extra, extending)
    raise UsageError(
        f"no device family {name!r}", where="--device",
        hint=f"families: {', '.join(family_names(extra))}",
    )  # fmt: skip


def _parse(name: str, path: Path, extra: Path | None, extending: tuple[str, ...]) -> FamilySpec:
    try:
        data = tomllib.loads(read_bytes(path).decode())
        base = _NOTHING
        if "extends" in data:
            base = _base(str(data["extends"]), extra, (*extending, name))
            data = {"forms": (), "default_level": base.default_level, **data}
        spec = _extended(base, name, path, data)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PdkError(f"not TOML: {error}", where=path) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PdkError(f"{type(error).__name__}: {error}", where=path) from error
    for form in spec.forms:
        if not any(is_file(folder / form.template) for folder in spec.folders):
            raise PdkError(f"no template {form.template}", where=path)
    return spec


def _extended(base: FamilySpec, name: str, path: Path, data: Mapping[str, Any]) -> FamilySpec:
    """A family as its description says, and as its base does where that says nothing.

    What there can be several of is added to the base's, presets excepted: their values are of
    devices that a family with presets of its own need not be made of.
    """
    parameters = {
        **base.parameters,
        **{key: _parameter(key, entry) for key, entry in data.get("parameters", {}).items()},
    }
    presets = {
        key: _preset(key, entry, parameters) for key, entry in data.get("presets", {}).items()
    }
    # An inherited supply may have another parameter here, so it is looked at again.
    supplies = dict.fromkeys((*map(str, data.get("supplies", ())), *base.supplies))
    return FamilySpec(
        name,
        str(data["title"]),
        (path.parent, *base.folders),
        parameters,
        (*(_form(cast(dict[str, Any], entry)) for entry in data["forms"]), *base.forms),
        int(data["default_level"]),
        klu=bool(data.get("klu", base.klu)),
        grain=_one_of(data.get("grain", base.grain), "grain", (None, *GRAINS)),
        dialect=_one_of(data.get("dialect", base.dialect), "dialect", DIALECTS),
        files=(*(_beside(path, str(file)) for file in data.get("files", ())), *base.files),
        supplies=tuple(_supply(supply, parameters) for supply in supplies),
        presets=presets or base.presets,
        thermal=bool(data.get("thermal", base.thermal)),
    )


def _base(name: str, extra: Path | None, extending: tuple[str, ...]) -> FamilySpec:
    """The family that another one extends."""
    if name in extending:
        raise ValueError(f"{' extends '.join((*extending, name))}: that has no end")
    try:
        return _read(name, extra, extending)
    except UsageError as error:
        raise ValueError(f"extends {name!r}: {error.message}") from error


def _beside(path: Path, name: str) -> Path:
    """The file called ``name`` in a description's folder."""
    file = path.parent / name
    if Path(name).name != name or not is_file(file):
        raise PdkError(f"no file {name} beside it", where=path)
    return file


def _one_of(word: Any, key: str, known: tuple[str | None, ...]) -> Any:
    if word not in known:
        raise ValueError(f"{key} {word!r} is not one of {', '.join(filter(None, known))}")
    return word


def _parameter(name: str, entry: dict[str, Any]) -> Parameter:
    unit = str(entry.get("unit", ""))
    if unit not in UNITS:
        raise ValueError(f"parameter {name}: unit {unit!r} is not one of {', '.join(UNITS)}")
    return Parameter(
        name,
        float(entry["default"]),
        unit,
        str(entry["description"]),
        float(entry.get("minimum", 0.0)),
        bool(entry.get("minimum_allowed", False)),
    )


def _preset(name: str, entry: dict[str, Any], parameters: dict[str, Parameter]) -> Preset:
    values = {key: float(value) for key, value in entry.items() if key != "title"}
    for key, value in values.items():
        if key not in parameters:
            raise ValueError(f"preset {name}: the family has no parameter {key!r}")
        if not math.isfinite(value):
            raise ValueError(f"preset {name}: {key} is not a finite number")
    return Preset(name, str(entry["title"]), values)


def _supply(name: str, parameters: dict[str, Parameter]) -> str:
    if not name.isidentifier() or not name.startswith("v"):
        raise ValueError(f"supply {name!r}: its name, which its source has too, begins with v")
    if name not in parameters or parameters[name].unit != "V":
        raise ValueError(f"supply {name!r} needs a parameter of that name in V")
    return name


def _form(entry: dict[str, Any]) -> Form:
    known = {field.name for field in fields(Form)}
    if set(entry) - known:
        raise ValueError(f"form keys {sorted(set(entry) - known)} are unknown")
    return Form(
        str(entry["template"]),
        frozenset(Phi(phi) for phi in entry["phi"]),
        str(_one_of(entry["control"], "control", CONTROLS)),
        bool(entry.get("conductive", False)),
        bool(entry.get("gated", True)),
        bool(entry.get("offset", True)),
        float(entry.get("reach", math.inf)),
    )
