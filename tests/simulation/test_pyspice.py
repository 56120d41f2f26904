"""PySpice when it, or the library that it needs, is not there."""

from __future__ import annotations

import ctypes.util
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from kcompile.errors import MissingExtra, SimulatorNotFound
from kcompile.simulation import find_pyspice
from kcompile.simulation.pyspice import LIBRARY_VARIABLE


def test_without_pyspice_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'kcompile\[pyspice\]'") as caught:
        find_pyspice()
    assert caught.value.exit_status == 2


def test_without_the_library_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(SimulatorNotFound, match="no libngspice"):
        find_pyspice()
    monkeypatch.setenv(LIBRARY_VARIABLE, str(tmp_path / "none.so"))
    with pytest.raises(SimulatorNotFound, match=LIBRARY_VARIABLE):
        find_pyspice()


@pytest.mark.skipif(importlib.util.find_spec("PySpice") is None, reason="PySpice is not installed")
def test_a_library_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libngspice.so"
    library.write_bytes(b"no library")
    monkeypatch.setenv(LIBRARY_VARIABLE, str(library))
    with pytest.raises(SimulatorNotFound, match="cannot load"):
        find_pyspice()


def test_nothing_imports_pyspice_unless_asked() -> None:
    script = "import sys, kcompile.simulation; sys.exit(any('PySpice' in m for m in sys.modules))"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
