"""What a verification has found so far, on disk: an interrupted one goes on where it stopped."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from kcompile.files import write_text, written
from kcompile.ledger import Ledger
from kcompile.verification.simulate import SampleRun

_SETTINGS, _REFERENCE, _PLAIN = "settings.json", "reference.npz", "plain"


class Journal(Ledger):
    """The finished samples of one verification, what was decided for them, and the reference."""

    kind = "verify"

    def settings(self) -> dict[str, Any] | None:
        """What was decided before the first sample, or None."""
        try:
            found: Any = json.loads((self.folder / _SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def decide(self, settings: Mapping[str, Any]) -> None:
        """Keeps what was decided; samples of other settings are forgotten."""
        super().clear()
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
        super().clear()
        self._forget(_SETTINGS, _REFERENCE)

    def runs(self) -> dict[int, SampleRun]:
        """The finished samples, by their numbers; a line that was cut is left out."""
        found: dict[int, SampleRun] = {}
        for values in self.lines():
            try:
                values["outputs"] = np.array(values["outputs"], dtype=np.float64)
                run = SampleRun(**values)
            except (ValueError, TypeError, KeyError):
                continue
            found[run.index] = run
        return found

    def add(self, run: SampleRun) -> None:
        """Adds a finished sample."""
        values = {name: getattr(run, name) for name in SampleRun.__slots__}
        self.append(values | {"outputs": run.outputs.tolist()})
