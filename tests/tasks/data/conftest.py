"""A cache of our own for every test, and a machine without clients: nobody's own are used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import Machine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that fetched sets are looked for in, which is not there yet."""
    folder = tmp_path / "cache of data"
    monkeypatch.setenv("KCOMPILE_DATA", str(folder))
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine whose registries' clients are those that a test makes."""
    folder = tmp_path / "a machine"
    (folder / "programs").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(folder / "programs"))
    scratch = folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield Machine(folder, monkeypatch)
    assert not list(scratch.iterdir())
