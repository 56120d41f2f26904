"""Simulators for tests: the real one where it is there or required, and ones that misbehave."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from kcompile.devices import library
from kcompile.errors import SimulatorNotFound
from kcompile.simulation import Ngspice, find_ngspice

FAKE = Path(__file__).with_name("fake_ngspice.py")


def real_ngspice() -> Ngspice:
    """The ngspice that kcompile chooses; required in CI, else the test is skipped without it."""
    try:
        return find_ngspice()
    except SimulatorNotFound as error:
        if os.environ.get("CI") or os.environ.get("KCOMPILE_REQUIRE_NGSPICE") == "1":
            pytest.fail(f"ngspice is required here: {error}")
        pytest.skip(str(error))


def built_devices() -> Path:
    """The library of compiled devices; required in CI, else the test is skipped without it."""
    found = library()
    if found is None and os.environ.get("CI"):
        pytest.fail("kcompile was built without a C compiler, which is required here")
    if found is None:
        pytest.skip("built without a C compiler")
    return found


def every_ngspice() -> list[Ngspice]:
    """The chosen ngspice, and those of ``.tools`` and of the system where they are others."""
    found = [real_ngspice()]
    local = Path(__file__).resolve().parents[2] / ".tools" / "ngspice" / "bin" / "ngspice"
    for path in (local if local.is_file() else None, shutil.which("ngspice")):
        if path is not None and Path(path).resolve() not in [n.path.resolve() for n in found]:
            found.append(find_ngspice(path))
    return found


def fake_ngspice(folder: Path, *behaviour: str) -> Path:
    """A program that answers like ngspice and then does as told (see ``fake_ngspice.py``)."""
    told = folder / "behaviour"
    told.write_text("\n".join(behaviour))
    return _program(folder, f'exec "{sys.executable}" -I -S "{FAKE}" --behaviour "{told}" "$@"')


def wrapped_ngspice(folder: Path, real: Ngspice, before: str = "", after: str = "") -> Path:
    """The real ngspice with shell commands before and after each run of a deck."""
    return _program(
        folder,
        f'if [ "$2" != run.cir ]; then exec "{real.path}" "$@"; fi',
        before,
        f'"{real.path}" "$@"',
        "status=$?",
        after,
        "exit $status",
    )


def _program(folder: Path, *lines: str) -> Path:
    program = folder / "bin" / "ngspice"
    program.parent.mkdir(exist_ok=True)
    program.write_text("\n".join(("#!/bin/sh", *lines, "")))
    program.chmod(0o755)
    return program
