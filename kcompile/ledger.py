"""What a long job has finished so far, on disk: an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Self, cast

from kcompile.errors import StorageError
from kcompile.files import storage_error

VARIABLE = "KCOMPILE_STATE"
"""Environment variable that names the folder of unfinished jobs."""

_LINES, _LOCK = "runs.jsonl", "lock"
_KEPT_DAYS = 30


def state_folder() -> Path | None:
    """Where unfinished jobs are kept; None where there is no home folder.

    ``$KCOMPILE_STATE``, else ``kcompile`` in ``$XDG_STATE_HOME``, else ``~/.local/state/kcompile``.
    """
    if own := os.environ.get(VARIABLE):
        return Path(own).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    # What is not absolute is to be ignored (XDG base directory specification).
    if base and Path(base).is_absolute():
        return Path(base) / "kcompile"
    try:
        return Path.home() / ".local" / "state" / "kcompile"
    except RuntimeError:
        return None


class Ledger:
    """The finished pieces of one job, in a folder that is named after all that they depend on.

    Args:
        folder: of the job, made where it is missing.

    Raises:
        StorageError: it cannot be made or written to.
    """

    kind = "job"
    """What the folders of such jobs begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stream: IO[str] | None = None
        self.trouble: str | None = None
        """Why nothing more is kept, once something could not be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, folder) from error

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """The ledger of the job that ``facts`` describe.

        None where there is no place for one, or where another process writes it at this moment.
        Those that nobody came back to for a month are removed.
        """
        root = state_folder()
        if root is None:
            return None
        content = json.dumps(facts, sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()[:24]
        try:
            _remove_old(root)
            ledger = cls(root / f"{cls.kind}-{key}")
        except StorageError:
            return None
        if not ledger.locked():
            ledger.close()
            return None
        return ledger

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was added, in order; a line that was cut is left out."""
        try:
            text = (self.folder / _LINES).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return
        for line in text.splitlines():
            try:
                found: Any = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield cast("dict[str, Any]", found)

    def append(self, values: Mapping[str, Any]) -> None:
        """Adds a finished piece."""
        line = json.dumps(dict(values))
        if self.trouble is not None:
            return
        with self._trying():
            try:
                if self._stream is None:
                    _end_last_line(self.folder / _LINES)
                    self._stream = (self.folder / _LINES).open("a", encoding="utf-8")
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError as error:
                raise storage_error(error, self.folder) from error

    def clear(self) -> None:
        """Forgets the pieces that an earlier run had finished."""
        self._forget(_LINES)

    def _forget(self, *names: str) -> None:
        for name in names:
            with suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _trying(self) -> Generator[None]:
        """What cannot be kept is no reason to stop: the answers are all the same."""
        try:
            yield
        except StorageError as error:
            self.trouble = str(error)

    def close(self) -> None:
        """Lets another process have it."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None
        with suppress(OSError):
            os.close(self._lock)

    def remove(self) -> None:
        """Forgets everything: the job is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def locked(self) -> bool:
        """Whether this process has it now, and no other."""
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking it, another process may have removed it.
            found = (self.folder / _LOCK).stat()
            os.utime(self._lock)
        except (ImportError, OSError):
            return False
        return found.st_ino == os.fstat(self._lock).st_ino


def _end_last_line(path: Path) -> None:
    """What was cut in the middle of a line must not swallow the next one."""
    with suppress(FileNotFoundError), path.open("rb+") as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")


def _remove_old(root: Path) -> None:
    oldest = time.time() - _KEPT_DAYS * 24 * 3600
    with suppress(OSError):
        for folder in root.glob("*-*"):
            with suppress(OSError):
                if (folder / _LOCK).stat().st_mtime < oldest:
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Removes a job's folder, unless another process has it."""
    with suppress(StorageError):
        ledger = Ledger(folder)
        if ledger.locked():
            ledger.remove()
        else:
            ledger.close()


_AGAIN = "run the same command again to go on from here"

_done: ContextVar[list[Ledger] | None] = ContextVar("_done", default=None)
"""Jobs that are done, closed, but not yet to be forgotten; None: they are forgotten at once."""


@contextmanager
def kept(ledger: Ledger | None) -> Generator[None]:
    """Keeps a job's ledger where the block is left in the middle, and removes it at its end.

    Args:
        ledger: None: there is none.
    """
    try:
        yield
    except BaseException as error:
        if ledger is not None:
            ledger.close()
            _add_note(error, [ledger])
        raise
    if ledger is not None:
        _forget(ledger)


@contextmanager
def result_in_hand() -> Generator[None]:
    """Keeps the ledgers of jobs that end within the block until the block has ended, too.

    What they found is still to be written, or is a part of something larger: where that fails or
    is interrupted, it need not be found again.
    """
    done: list[Ledger] = []
    token = _done.set(done)
    try:
        yield
    except BaseException as error:
        _add_note(error, done)
        raise
    finally:
        _done.reset(token)
    around = _done.get()
    if around is not None:
        around.extend(done)
        return
    for ledger in done:
        _remove(ledger.folder)


def _forget(ledger: Ledger) -> None:
    """Removes the ledger of a job that is done, or leaves that to a block around."""
    around = _done.get()
    if around is None:
        ledger.remove()
    else:
        ledger.close()  # thousands of them may wait
        around.append(ledger)


def _add_note(error: BaseException, ledgers: Sequence[Ledger]) -> None:
    """Says that jobs can be gone on with, or why not."""
    trouble = next((ledger.trouble for ledger in ledgers if ledger.trouble is not None), None)
    note = _AGAIN if trouble is None else f"finished work could not be kept: {trouble}"
    if ledgers and not {note, _AGAIN} & set(getattr(error, "__notes__", ())):
        error.add_note(note)
