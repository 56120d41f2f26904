"""What a verification has found so far, on disk: an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self, cast

import numpy as np

from kcompile.errors import StorageError
from kcompile.files import storage_error, write_text, written
from kcompile.verification.simulate import SampleRun

VARIABLE = "KCOMPILE_STATE"
"""Environment variable that names the folder of unfinished verifications."""

_SETTINGS, _RUNS, _LOCK = "settings.json", "runs.jsonl", "lock"
_REFERENCE, _PLAIN = "reference.npz", "plain"
_KEPT_DAYS = 30


def state_folder() -> Path | None:
    """Where unfinished verifications are kept; None where there is no home folder.

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


class Journal:
    """The finished samples of one verification, in a folder that is named after all it depends on.

    Args:
        folder: of the verification, made where it is missing.

    Raises:
        StorageError: it cannot be made or written to.
    """

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
        """The journal of the verification that ``facts`` describe.

        None where there is no place for one, or where another process writes it at this moment.
        Journals that nobody came back to for a month are removed.
        """
        root = state_folder()
        if root is None:
            return None
        content = json.dumps(facts, sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()[:24]
        try:
            _remove_old(root)
            journal = cls(root / f"verify-{key}")
        except StorageError:
            return None
        if not journal.locked():
            journal.close()
            return None
        return journal

    def settings(self) -> dict[str, Any] | None:
        """What was decided before the first sample, or None."""
        try:
            found: Any = json.loads((self.folder / _SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def decide(self, settings: Mapping[str, Any]) -> None:
        """Keeps what was decided; samples of other settings are forgotten."""
        with suppress(OSError):
            (self.folder / _RUNS).unlink(missing_ok=True)
        with self._trying():
            write_text(self.folder / _SETTINGS, json.dumps(dict(settings)) + "\n")

    def reference(self) -> dict[str, Any] | None:
        """The numbers of the golden solution, or None."""
        try:
            with (self.folder / _REFERENCE).open("rb") as stream:
                arrays = np.load(stream, allow_pickle=False)
                found: dict[str, Any] = {name: arrays[name] for name in arrays.files}
            plain: Any = json.loads(str(found.pop(_PLAIN)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return found | cast("dict[str, Any]", plain) if isinstance(plain, dict) else None

    def keep_reference(self, numbers: Mapping[str, Any]) -> None:
        """Keeps the numbers of the golden solution."""
        arrays: dict[str, Any] = {
            name: value for name, value in numbers.items() if isinstance(value, np.ndarray)
        }
        plain = {name: value for name, value in numbers.items() if name not in arrays}
        arrays[_PLAIN] = np.array(json.dumps(plain))
        with self._trying(), written(self.folder / _REFERENCE) as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def clear(self) -> None:
        """Forgets what an earlier run had found."""
        for name in (_SETTINGS, _RUNS, _REFERENCE):
            with suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)

    def runs(self) -> dict[int, SampleRun]:
        """The finished samples, by their numbers; a line that was cut is left out."""
        found: dict[int, SampleRun] = {}
        try:
            text = (self.folder / _RUNS).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return found
        for line in text.splitlines():
            try:
                values: dict[str, Any] = json.loads(line)
                values["outputs"] = np.array(values["outputs"], dtype=np.float64)
                run = SampleRun(**values)
            except (ValueError, TypeError, KeyError):
                continue
            found[run.index] = run
        return found

    def add(self, run: SampleRun) -> None:
        """Adds a finished sample."""
        values = {name: getattr(run, name) for name in SampleRun.__slots__}
        line = json.dumps(values | {"outputs": run.outputs.tolist()})
        if self.trouble is not None:
            return
        with self._trying():
            try:
                if self._stream is None:
                    _end_last_line(self.folder / _RUNS)
                    self._stream = (self.folder / _RUNS).open("a", encoding="utf-8")
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError as error:
                raise storage_error(error, self.folder) from error

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
        """Forgets everything: the verification is done."""
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
    for folder in root.glob("verify-*"):
        with suppress(OSError, StorageError):
            if (folder / _LOCK).stat().st_mtime < oldest:
                journal = Journal(folder)
                if journal.locked():
                    journal.remove()
                else:
                    journal.close()
