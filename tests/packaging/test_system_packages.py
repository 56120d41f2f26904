"""What set-up installs of the system, against an apt-get that does what the test says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from installation import ROOT

SCRIPT = ROOT / "scripts" / "system_packages.sh"


class Machine:
    """A PATH on which only a few programs are: those of the test, and what every system has."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.calls = folder / "calls"
        self.calls.touch()
        for name in ("env", "uname"):
            (self.programs / name).symlink_to(Path("/usr/bin") / name)
        self.program("id", "echo 0")

    def program(self, name: str, script: str = "exit 0") -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.calls}"\n{script}\n')
        path.chmod(0o755)

    def run(self, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", SCRIPT, what],
            env={"PATH": str(self.programs), **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def installed(self) -> list[str]:
        lines = [line for line in self.calls.read_text().splitlines() if " install " in line]
        return [word for line in lines for word in line.split()[1:] if word in PACKAGES]


PACKAGES = ("g++", "ngspice", "libngspice0", "chromium-headless-shell")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("what", "packages"),
    [
        ("compiler", ["g++"]),
        ("ngspice", ["ngspice", "libngspice0"]),
        ("browser", ["chromium-headless-shell"]),
    ],
)
def test_root_installs_what_is_missing(machine: Machine, what: str, packages: list[str]) -> None:
    machine.program("apt-get")
    done = machine.run(what)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.installed() == packages


@pytest.mark.parametrize(
    ("what", "program"),
    [
        ("compiler", "g++"),
        ("compiler", "clang++"),
        ("compiler", "c++"),
        ("ngspice", "ngspice"),
        ("browser", "chromium"),
        ("browser", "google-chrome"),
    ],
)
def test_what_is_there_is_left_alone(machine: Machine, what: str, program: str) -> None:
    machine.program("apt-get")
    machine.program(program)
    assert machine.run(what).returncode == 0
    assert machine.calls.read_text() == ""


@pytest.mark.parametrize(
    ("what", "variable"),
    [("compiler", "CXX"), ("ngspice", "KCOMPILE_NGSPICE"), ("browser", "KCOMPILE_BROWSER")],
)
def test_a_program_that_the_user_names_is_enough(
    machine: Machine, what: str, variable: str
) -> None:
    machine.program("apt-get")
    assert machine.run(what, **{variable: "/opt/some/program"}).returncode == 0
    assert machine.calls.read_text() == ""


def test_lists_that_cannot_be_updated_are_no_obstacle(machine: Machine) -> None:
    machine.program("apt-get", 'test "$1" != update')
    done = machine.run("compiler")
    assert done.returncode == 0
    assert done.stderr == ("warning: apt-get update failed; trying with the lists that are there\n")
    assert machine.installed() == ["g++"]


@pytest.mark.parametrize("what", ["compiler", "ngspice", "browser"])
@pytest.mark.parametrize("obstacle", ["no root", "no apt-get", "apt-get fails"])
def test_what_cannot_be_installed_is_one_warning(
    machine: Machine, what: str, obstacle: str
) -> None:
    """Catches set-up that ends where the package works without: it goes on and says what to do."""
    if obstacle != "no apt-get":
        machine.program("apt-get", "exit 1" if obstacle == "apt-get fails" else "exit 0")
    if obstacle == "no root":
        machine.program("id", "echo 1000")
    done = machine.run(what)
    assert done.returncode == 0
    warning = done.stderr.strip().splitlines()[-1]
    assert warning.startswith("warning: no ")
    named = {"compiler": "g++", "ngspice": "ngspice", "browser": "Chromium"}
    assert named[what] in warning


def test_an_argument_that_it_does_not_know_is_an_error(machine: Machine) -> None:
    assert machine.run("everything").returncode == 2
