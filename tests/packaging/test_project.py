"""The project's own files agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from installation import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = (
    "help", "setup", "verify", "test", "check", "golden", "golden-update", "bench", "ngspice",
    "browser",
)  # fmt: skip


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.mark.parametrize("extra", [None, *PROJECT["optional-dependencies"]])
def test_constraints_pin_what_the_project_asks_for(extra: str | None) -> None:
    versions = pinned()
    asked = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, asked):
        if requirement.name != "kcompile":
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_constraints_can_be_met_by_a_cpu_build() -> None:
    assert not [version for version in pinned().values() if version.local]


def test_make_help_lists_every_target_with_what_it_does() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(TARGETS) <= set(listed)


@pytest.mark.parametrize("path", sorted((ROOT / "kcompile").rglob("*.py")), ids=lambda p: p.name)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
