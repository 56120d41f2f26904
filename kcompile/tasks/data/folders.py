"""Finding a data set's files in a folder that the user named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kcompile.errors import DataMissing, UsageError
from kcompile.files import is_file, is_folder


def require_folder(path: Path) -> Path:
    """``path`` itself, once it is known to be a folder.

    Raises:
        UsageError: it is not.
        StorageError: nobody may look for it.
    """
    if not is_folder(path):
        raise UsageError("no such folder", where=path, hint="name the folder with the data's files")
    return path


def find(places: Iterable[Path], names: Sequence[str]) -> Path | None:
    """The first file of one of these names in one of these folders.

    Raises:
        StorageError: nobody may look for it.
    """
    for place in places:
        for name in names:
            if is_file(place / name):
                return place / name
    return None


def find_all(places: Sequence[Path], names: Mapping[str, Sequence[str]]) -> dict[str, Path] | None:
    """One file for each key, all in one folder, or None where none of these folders has any.

    Args:
        places: where to look, in this order.
        names: for each key, what its file may be called.

    Raises:
        DataMissing: the first folder that has some of them lacks others.
        StorageError: nobody may look for them.
    """
    for place in places:
        found = {key: find([place], choices) for key, choices in names.items()}
        if not any(found.values()):
            continue
        missing = [names[key][0] for key, path in found.items() if path is None]
        if missing:
            raise DataMissing(
                f"lacks {', '.join(missing)}", where=place, hint="add what is missing"
            )
        return {key: path for key, path in found.items() if path is not None}
    return None
