"""What callers may give: networks or paths of checkpoints, options or single fields of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kcompile.compiler import CompileOptions
from kcompile.errors import UsageError
from kcompile.frontend import Model, load
from kcompile.units import Scale


def folder_of(data: Path | str | None) -> Path | None:
    """The folder that is named, if any."""
    return None if data is None else Path(data)


def model_of(model: Model | Path | str) -> Model:
    """The network itself, or the one that a file holds."""
    return model if isinstance(model, Model) else load(model)


def options_of(
    options: CompileOptions | None, scale: Scale | float | None, fields: dict[str, Any]
) -> CompileOptions:
    """The options that are given, as one object or by their fields.

    Raises:
        UsageError: both ways at once.
    """
    if options is None:
        unit = scale if isinstance(scale, Scale) else Scale.from_time_unit(
            1e-15 if scale is None else scale
        )  # fmt: skip
        return CompileOptions(scale=unit, **fields)
    if scale is not None or fields:
        raise UsageError("options and single fields exclude each other", hint="give one of them")
    return options
