"""The private folder that a job runs in: links to the deck's files, and the job's own texts."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from kcompile.errors import DeckError, StorageError
from kcompile.files import is_file, is_folder, storage_error
from kcompile.simulation.job import Job
from kcompile.simulation.process import STDERR, STDOUT

_PROBE = 64 * 1024


def make_work_folder(job: Job, parent: Path | None = None) -> Path:
    """A new folder (mode 0700) with everything that the job needs.

    The deck's files are linked to, for a deck can have hundreds of megabytes; those that the job
    replaces or that the simulator will write are not, so that no link is ever written through.
    Hidden files stay behind: a ``.spiceinit`` would change the answer.

    Args:
        job: what is to run.
        parent: where the folder is made; by default where temporary files go.

    Raises:
        DeckError: the deck folder or its entry is missing.
        StorageError: the folder cannot be made or filled.
    """
    _require_deck(job)
    own = {*job.files, *job.waveforms, STDOUT, STDERR}
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="kcompile-", dir=parent))
        for name, text in job.files.items():
            with (folder / name).open("x", encoding="utf-8", newline="") as stream:
                stream.write(text)
        for entry in sorted(job.deck.resolve().iterdir()):
            if entry.name not in own and not entry.name.startswith(".") and entry.suffix != ".raw":
                (folder / entry.name).symlink_to(entry)
    except OSError as error:
        if folder is not None:
            remove(folder)
        raise storage_error(error, parent or Path(_temporary())) from error
    except BaseException:
        if folder is not None:
            remove(folder)
        raise
    return folder


def make_self_contained(folder: Path) -> None:
    """Puts copies in the place of links, so that the folder outlives the deck.

    Where there is no room for a copy the link stays.
    """
    for entry in sorted(folder.iterdir()):
        if not entry.is_symlink():
            continue
        copy = folder / f".{entry.name}.copy"
        try:
            if entry.is_dir():
                shutil.copytree(entry, copy)
                entry.unlink()
            else:
                shutil.copy(entry, copy)
            copy.replace(entry)
        except (OSError, shutil.Error):
            remove(copy)


def remove(path: Path) -> None:
    """Removes a folder (its links, never what they point to) or a file, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def require_room(folder: Path) -> None:
    """Nothing, where a little more can be written into ``folder``.

    ngspice does not say that the disk is full (it fills what is left, and ends with status 0), and
    a quota shows in no statistics: so we try.

    Raises:
        StorageError: the disk is full or the quota is used up.
    """
    probe = folder / ".room"
    try:
        with probe.open("xb") as stream:
            stream.write(bytes(_PROBE))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise storage_error(error, folder.parent) from error
    finally:
        remove(probe)


def _require_deck(job: Job) -> None:
    if not is_folder(job.deck):
        raise DeckError(
            "no such deck folder", where=job.deck, hint="write one with kcompile netlist"
        )
    for name in (*(() if job.layers else (job.entry,)), *(layer.deck for layer in job.layers)):
        if name not in job.files and not is_file(job.deck / name):
            raise DeckError(f"the deck folder has no {name}", where=job.deck, hint="write it again")


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise StorageError(
            "there is no folder for temporary files", hint="set TMPDIR to one with room"
        ) from error
