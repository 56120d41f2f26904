"""What ``kcompile doctor`` says of the compiled kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from kcompile import kernels
from kcompile.kernels import library


def told(folder: Path) -> dict[str, str]:
    facts = folder / "facts.json"
    run("doctor", "--json", facts)
    return json.loads(facts.read_text())["compiled kernel"]


def test_it_names_the_suite_that_runs_and_all_that_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    found = kernels.suites()
    if not found:
        pytest.skip("built without a compiler")
    said = told(tmp_path)
    assert said["version"] == found[0]
    assert all(name in said["note"] for name in found)
    monkeypatch.setenv(kernels.VARIABLE, "none")
    assert told(tmp_path)["version"] == "none"


def test_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_suites", lambda real: {})
    said = told(tmp_path)
    assert said["version"] == "missing"
    assert "C++ compiler" in said["note"]


def test_a_name_that_no_kernel_has_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a doctor that ends with the very error it is asked about."""
    monkeypatch.setenv(kernels.VARIABLE, "magic")
    if kernels.suites():
        assert "'magic'" in told(tmp_path)["note"]
