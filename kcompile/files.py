"""Writing files so that nothing is ever half-written, and reading them with our errors."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from kcompile.errors import StorageError, UsageError


@contextmanager
def written(path: Path) -> Generator[IO[bytes]]:
    """A stream whose bytes become the file ``path`` when the block ends well, else nothing does.

    Raises:
        StorageError: the folder cannot be written to, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            yield stream
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def filled(folder: Path) -> Generator[Path]:
    """A new folder whose files move into ``folder`` when the block ends well, else nothing does.

    What lies in ``folder`` stays as it is until then; files of the same names are replaced.

    Raises:
        StorageError: the folder cannot be made or written to, or the disk is full.
    """
    missing = [path for path in (folder, *folder.parents) if _mode(path) is None]
    staging: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".kcompile-", dir=folder))
        yield staging
        for path in sorted(staging.iterdir()):
            path.replace(folder / path.name)
        missing = []
    except StorageError as error:
        # The hidden folder is gone when somebody reads this.
        error.where = error.where and error.where.replace(str(staging), str(folder))
        raise
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, whole or not at all.

    What UTF-8 lacks (odd bytes of a file's name) is written escaped, as JSON does it.

    Raises:
        StorageError: it cannot be written.
    """
    with written(path) as stream:
        stream.write(text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as JSON that any reader accepts (no NaN), whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_bytes(path: Path) -> bytes:
    """The content of a file that the user named.

    Raises:
        UsageError: it does not exist or is a folder.
        StorageError: it cannot be read.
    """
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error


def require_file(path: Path) -> Path:
    """``path`` itself, once it is known to be a file.

    Raises:
        UsageError: it does not exist or is a folder.
        StorageError: nobody may look for it.
    """
    mode = _mode(path)
    if mode is None:
        raise UsageError("no such file", where=path, hint="check the path")
    if stat.S_ISDIR(mode):
        raise UsageError("is a folder, not a file", where=path, hint="name a file in it")
    return path


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file (and there at all).

    Raises:
        StorageError: nobody may look for it, or its name is none.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder (and there at all).

    Raises:
        StorageError: nobody may look for it, or its name is none.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    """What kind of thing ``path`` is; None where there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error(error, path) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(error, path) from error


_HINTS = {
    errno.EACCES: "check who may read and write it",
    errno.EPERM: "check who may read and write it",
    errno.ENAMETOOLONG: "check the path",
    errno.ELOOP: "check the path",
    errno.EMFILE: "let more files be open (ulimit -n)",
}


def storage_error(error: OSError, path: Path) -> StorageError:
    """What the operating system said, as one of our errors."""
    return StorageError(
        (error.strerror or str(error)).lower(),
        where=path,
        hint=_HINTS.get(error.errno or 0, "choose a place with room that you may write to"),
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
