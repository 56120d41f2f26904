"""What ``kcompile doctor`` says of the compiled kernel and of the compiled devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run
from simulators import built_devices, every_ngspice, fake_ngspice

from kcompile import devices as native
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


def test_it_says_why_one_that_is_there_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches 'install a compiler' where there was one, and the library is for another system."""
    (tmp_path / "libkcompile_kernels.so").write_text("garbage")
    monkeypatch.setattr(kernels, "__path__", [str(tmp_path)])
    for cached in (library._load, library._suites):
        cached.cache_clear()
    try:
        said = told(tmp_path)
    finally:
        for cached in (library._load, library._suites):
            cached.cache_clear()
    assert said["version"] == "bad"
    assert f"{tmp_path}/libkcompile_kernels.so cannot be loaded: " in said["note"]
    assert said["note"].endswith("; install kcompile again, on this machine")


def test_a_bad_number_of_threads_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.THREADS, "many")
    if kernels.suites():
        assert told(tmp_path) == {
            "version": "bad",
            "note": "KCOMPILE_THREADS: 'many' is no number of threads; "
            "name a whole number from 1, or unset it",
        }


def test_a_name_that_no_kernel_has_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a doctor that ends with the very error it is asked about."""
    monkeypatch.setenv(kernels.VARIABLE, "magic")
    if kernels.suites():
        assert "'magic'" in told(tmp_path)["note"]


# --- Compiled devices ---------------------------------------------------------------------------


def devices(folder: Path, ngspice: Path) -> dict[str, str]:
    facts = folder / "facts.json"
    run("doctor", "--json", facts, "--ngspice", ngspice)
    return json.loads(facts.read_text())["compiled devices"]


def test_it_tells_of_each_ngspice_whether_it_loads_compiled_devices(tmp_path: Path) -> None:
    built_devices()
    for each in every_ngspice():
        said = devices(tmp_path, each.path)
        assert said["version"] == "built"
        words = "loads them" if "osdi" in each.features else "loads none (no OSDI): make ngspice"
        assert said["note"].endswith(f"ngspice {each.version} {words}")


def test_it_says_how_to_get_compiled_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    said = devices(tmp_path, fake_ngspice(tmp_path))
    assert said["version"] == "missing"
    assert "C compiler" in said["note"]
