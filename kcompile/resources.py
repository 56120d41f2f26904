"""Where the package's own data lies: deck templates and device families."""

from __future__ import annotations

from pathlib import Path

from kcompile.errors import StorageError

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """The folder ``name`` (``templates`` or ``pdk``) of this installation.

    A wheel carries the folders inside the package; a checkout keeps them beside it.

    Raises:
        StorageError: neither place has it, so the installation is incomplete.
    """
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise StorageError(
        f"the installation has no {name} folder", where=_PACKAGE, hint="reinstall kcompile"
    )
