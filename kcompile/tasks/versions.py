"""With which versions of what a network is trained."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from kcompile import __version__

_PACKAGES = ("torch", "torchdiffeq", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of what changes a training run's numbers, by name; packages that are there."""
    found = {"kcompile": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
