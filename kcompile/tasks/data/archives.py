"""Reading single files out of archives, by name and with a limit, unpacking nothing."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from kcompile.errors import DataError
from kcompile.files import read_bytes

_SIZE_LIMIT = 1 << 27
_AGAIN = "it may be cut: copy or download it again"


def from_tar(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The content of each named file in a .tar.gz.

    Raises:
        DataError: it is no whole archive, or lacks one of them.
        UsageError, StorageError: it is not there or cannot be read.
    """
    wanted, found = set(names), dict[str, bytes]()
    try:
        with tarfile.open(fileobj=io.BytesIO(read_bytes(path)), mode="r:gz") as archive:
            for entry in archive:
                if entry.name in wanted and entry.isreg():
                    _require_small(path, entry.name, entry.size)
                    stream = archive.extractfile(entry)
                    found[entry.name] = b"" if stream is None else stream.read()
                if len(found) == len(wanted):
                    break
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise DataError("is not a whole .tar.gz archive", where=path, hint=_AGAIN) from error
    return _complete(path, wanted, found)


def from_zip(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The content of each named file in a .zip or wheel.

    Raises:
        DataError: it is no whole archive, or lacks one of them.
        UsageError, StorageError: it is not there or cannot be read.
    """
    wanted, found = set(names), dict[str, bytes]()
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            for name in wanted & set(archive.namelist()):
                _require_small(path, name, archive.getinfo(name).file_size)
                found[name] = archive.read(name)
    except (
        zipfile.BadZipFile, EOFError, zlib.error, OSError, ValueError, NotImplementedError,
        RuntimeError,
    ) as error:  # fmt: skip
        raise DataError("is not a whole zip archive", where=path, hint=_AGAIN) from error
    return _complete(path, wanted, found)


def _require_small(path: Path, name: str, size: int) -> None:
    if size > _SIZE_LIMIT:
        raise DataError(f"{name} in it would unpack to {size} bytes", where=path)


def _complete(path: Path, wanted: set[str], found: dict[str, bytes]) -> dict[str, bytes]:
    if missing := sorted(wanted - set(found)):
        raise DataError(f"holds no {missing[0]}", where=path, hint=_AGAIN)
    return found
