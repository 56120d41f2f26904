"""Disks that are full, folders that cannot be written, streams that nobody reads."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest
from checkpoints import layer, write_network
from commands import files, finish, run, start

from kcompile.errors import StorageError
from kcompile.files import filled
from kcompile.simulation import Ngspice


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A disk of 96 kilobytes, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "size=96k"):
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    unmount(folder)


@pytest.fixture
def read_only(tmp_path: Path) -> Generator[Path]:
    """A folder that cannot be written to, also by root where it can be mounted."""
    folder = tmp_path / "read-only"
    folder.mkdir(0o500)
    if not os.access(folder, os.W_OK):
        yield folder
        folder.chmod(0o700)
    elif mounted(folder, "size=96k,ro"):
        yield folder
        unmount(folder)
    else:
        pytest.skip("root writes everywhere, and nothing can be mounted here")


def mounted(folder: Path, options: str) -> bool:
    mount = shutil.which("mount")
    if mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", options, "kcompile-test", folder]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A network whose decks want more than the small disk has."""
    return write_network(tmp_path / "large.safetensors", layer(nodes=20))


def test_decks_on_a_full_disk(checkpoint: Path, large: Path, disk: Path) -> None:
    deck = disk / "some" / "deck"
    done = run("netlist", large, "-o", deck)
    assert done.status == 5
    assert done.complaint.startswith(f"{deck}/layer1.cir: no space left on device; ")
    assert list(disk.iterdir()) == []
    # An earlier netlist stays as it was, whole.
    assert run("netlist", checkpoint, "-o", deck).status == 0
    before = files(disk)
    assert run("netlist", large, "-o", deck).status == 5
    assert files(disk) == before


def test_results_on_a_full_disk(
    tmp_path: Path, checkpoint: Path, disk: Path, ngspice: Ngspice
) -> None:
    (disk / "filler").write_bytes(bytes(96 << 10))
    before = files(disk)
    for option, target in (("--report", disk / "report"), ("--json", disk / "report.json")):
        done = run("verify", checkpoint, option, target)
        assert done.status == 5
        assert str(target) in done.complaint
        assert "no space left" in done.complaint
        # What was found out is shown all the same.
        assert "verdict" in done.stdout
        assert files(disk) == before
    done = run("inspect", checkpoint, "--graphml", disk / "graph.xml")
    assert done.status == 5
    assert files(disk) == before


def test_work_on_a_full_disk(
    checkpoint: Path, scratch: Path, disk: Path, ngspice: Ngspice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    for room in (0, 4, 12, 24):
        (disk / "filler").unlink(missing_ok=True)
        (disk / "filler").write_bytes(bytes((96 - room) << 10))
        done = run("verify", checkpoint)
        assert done.status == 5, (room, done)
        assert "no space left" in done.complaint
        assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_folder_that_cannot_be_written(
    checkpoint: Path, read_only: Path, ngspice: Ngspice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (
        ("netlist", checkpoint, "-o", read_only),
        ("netlist", checkpoint, "-o", read_only / "deck"),
        ("netlist", checkpoint, "-o", read_only.parent / "deck", "--json", read_only / "f"),
        ("inspect", checkpoint, "--json", read_only / "facts.json"),
        ("verify", checkpoint, "--report", read_only / "report"),
        ("verify", checkpoint, "--outputs", read_only / "out.npz"),
        ("doctor", "--json", read_only / "doctor.json"),
    ):
        done = run(*arguments)
        assert done.status == 5
        assert str(read_only) in done.complaint
        assert list(read_only.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(read_only))
    assert run("verify", checkpoint).status == 5


def test_a_file_where_a_folder_should_be(
    tmp_path: Path, checkpoint: Path, ngspice: Ngspice
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for arguments in (
        ("netlist", checkpoint, "-o", file),
        ("netlist", checkpoint, "-o", file / "deck"),
        ("verify", checkpoint, "--report", file),
        ("verify", checkpoint, "--outputs", file / "out.npz"),
        ("inspect", checkpoint, "--graphml", file / "graph.xml"),
        ("inspect", checkpoint, "--json", tmp_path),
    ):
        before = files(tmp_path)
        done = run(*arguments)
        assert done.status == 5, done
        assert str(tmp_path) in done.complaint
        assert files(tmp_path) == before


def test_a_file_that_cannot_be_read(tmp_path: Path, checkpoint: Path) -> None:
    checkpoint.chmod(0)
    if os.access(checkpoint, os.R_OK):
        pytest.skip("root reads everything")
    assert run("netlist", checkpoint, "-o", tmp_path / "deck").status == 5


def every_path(checkpoint: Path, path: Path) -> list[tuple[object, ...]]:
    """Commands that are to read or write at ``path``."""
    return [
        ("inspect", path),
        ("verify", path),
        ("netlist", checkpoint, "-o", path),
        ("netlist", checkpoint, "--inputs", path),
        ("netlist", checkpoint, "--pdk", path),
        ("netlist", checkpoint, "--config", path),
        ("verify", checkpoint, "--deck", path),
        ("verify", checkpoint, "--ngspice", path),
        ("golden", "--folder", path),
        ("inspect", checkpoint, "--json", path),
        ("inspect", checkpoint, "--graphml", path),
    ]


def test_a_name_that_the_system_refuses(tmp_path: Path, checkpoint: Path) -> None:
    before = files(tmp_path)
    for arguments in every_path(checkpoint, tmp_path / ("x" * 5000)):
        done = run(*arguments, cwd=tmp_path)
        assert done.status == 5, (arguments[0], done)
        assert "name too long" in done.complaint
        assert files(tmp_path) == before


def test_a_folder_that_may_not_be_searched(tmp_path: Path, checkpoint: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0)
    try:
        if os.access(closed, os.X_OK):
            pytest.skip("root may search everything")
        for arguments in every_path(checkpoint, closed / "inner"):
            done = run(*arguments, cwd=tmp_path)
            assert done.status == 5, (arguments[0], done)
            assert str(closed) in done.complaint
            assert "permission denied" in done.complaint
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize("limit", [0, 500, 3000])
def test_a_quota(tmp_path: Path, checkpoint: Path, limit: int) -> None:
    """What a limit on the size of files leaves: the deck that was there, and nothing else."""
    assert run("netlist", checkpoint, "-o", tmp_path / "deck", "--device", "diode").status == 0
    before = files(tmp_path)
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    for target in ("deck", "other"):
        done = finish(start("netlist", checkpoint, "-o", tmp_path / target, preexec_fn=limited))
        assert done.status == 5
        assert done.complaint.startswith(f"{tmp_path / target}/layer1.cir: file too large")
        assert files(tmp_path) == before


def test_filled_moves_everything_or_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"

    def fill(error: type[BaseException] | None, **texts: str) -> None:
        with filled(folder) as staging:
            for name, text in texts.items():
                (staging / name).write_text(text)
            assert set(texts).isdisjoint(files(folder)) or error
            if error is not None:
                raise error

    with pytest.raises(KeyboardInterrupt):
        fill(KeyboardInterrupt, new="half")
    assert list(tmp_path.iterdir()) == []
    fill(None, one="1", two="2")
    with pytest.raises(ZeroDivisionError):
        fill(ZeroDivisionError, one="3", three="3")
    assert files(folder) == {"one": b"1", "two": b"2"}
    (folder / "kept").write_text("mine")
    with pytest.raises(StorageError) as caught:
        fill(OSError)
    assert str(caught.value).startswith(f"{folder}: ")
    assert set(files(folder)) == {"one", "two", "kept"}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("inspect", "{}"), ("netlist", "{}", "-o", "deck"), ("doctor",)]
)
def test_printing_to_a_full_disk(
    tmp_path: Path, checkpoint: Path, arguments: tuple[str, ...]
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    words = [text.format(checkpoint) for text in arguments]
    with full.open("w") as stream:
        done = finish(start(*words, stdout=stream, cwd=tmp_path))
        assert done.status == 5
        assert done.complaint.startswith("standard output: no space left on device; ")
        assert finish(start(*words, stderr=stream, cwd=tmp_path)).status == 0


def test_a_reader_that_leaves_changes_no_status(checkpoint: Path, ngspice: Ngspice) -> None:
    for more, status in (((), 0), (("--tolerance", "1e-12"), 1)):
        reading, writing = os.pipe()
        os.close(reading)
        process = start("verify", checkpoint, *more, stdout=writing)
        os.close(writing)
        done = finish(process)
        assert done.status == status
        assert "Error" not in done.stderr


def test_streams_that_are_closed_or_narrow(
    tmp_path: Path, checkpoint: Path, ngspice: Ngspice
) -> None:
    for number in (1, 2):
        closed = start(
            "verify",
            checkpoint,
            "--json",
            tmp_path / "j.json",
            preexec_fn=partial(os.close, number),
        )
        assert finish(closed).status == 0
        assert json.loads((tmp_path / "j.json").read_text())["verdict"] == "pass"
    done = finish(start("verify", checkpoint, "--scale", "1e-6", env={"PYTHONIOENCODING": "ascii"}))
    assert done.status == 0
    assert "inference time" in done.stdout
    assert "1 \\xb5s" in done.stdout
