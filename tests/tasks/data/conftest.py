"""A cache of our own for every test: nobody's real one is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that fetched sets are looked for in, which is not there yet."""
    folder = tmp_path / "cache of data"
    monkeypatch.setenv("KCOMPILE_DATA", str(folder))
    return folder
