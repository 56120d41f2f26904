"""A simulator, a small checkpoint, and a place for temporary files that can be looked into."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from checkpoints import INPUTS, write_network
from simulators import real_ngspice

from kcompile.simulation import Ngspice


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """The real ngspice."""
    return real_ngspice()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """One layer of 3 nodes and 24 edges, two inputs, one read-out."""
    return write_network(tmp_path / "small.safetensors")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder in which commands make their temporary ones."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Three samples for the small checkpoint."""
    path = tmp_path / "x.npy"
    np.save(path, INPUTS)
    return path
