"""Packages that only some of the data need."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from kcompile.errors import MissingExtra

_PROJECTS = {"sklearn": "scikit-learn"}


def optional(module: str, purpose: str) -> Any:
    """A module of an optional package, untyped.

    Args:
        module: its full name, such as ``sklearn.datasets``.
        purpose: what needs it, as the error says it: "the two moons".

    Raises:
        MissingExtra: its package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return cast(Any, import_module(module))
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{purpose} needs {_PROJECTS.get(package, package)}, which is not installed",
            hint="install it with: pip install 'kcompile[train]'",
        ) from error
