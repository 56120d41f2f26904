"""The compiled library of native devices: where it lies."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from kcompile.errors import KcompileError, SimulatorNotFound

_LIBRARY = "libkcompile_devices"
_SUFFIXES = (".so", ".dylib")


@lru_cache
def library() -> Path | None:
    """The library that a simulator loads; None where the package was built without a C compiler.

    An editable install keeps it in site-packages, away from the Python files, so it is looked for
    along the package's path.
    """
    from kcompile import devices

    for folder in devices.__path__:
        for suffix in _SUFFIXES:
            path = Path(folder, _LIBRARY + suffix)
            if path.is_file():
                return path
    return None


def require_library() -> Path:
    """The library.

    Raises:
        SimulatorNotFound: the package was built without it.
    """
    found = library()
    if found is None:
        raise missing_library()
    return found


def missing_library() -> KcompileError:
    """What to say where the library is wanted and not there."""
    return SimulatorNotFound(
        "kcompile was installed without its native devices",
        hint="install it where a C compiler is, or use --device ideal",
    )
