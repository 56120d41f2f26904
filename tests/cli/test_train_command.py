"""``kcompile train`` as a user meets it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kcompile.cli.train import train
from kcompile.errors import StorageError, UsageError
from kcompile.frontend import load

MAIN = [sys.executable, "-c", "from kcompile.cli.main import main; main()"]


def test_trains_every_seed_into_its_own_file(tmp_path: Path) -> None:
    output, facts = tmp_path / "net.safetensors", tmp_path / "facts.json"
    arguments = ["friedman", "--epochs", "1", "--seeds", "2", "--seed", "7"]
    done = CliRunner().invoke(train, [*arguments, "-o", str(output), "--json", str(facts)])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "facts.json", "net-seed7.safetensors", "net-seed8.safetensors",
    ]  # fmt: skip
    said = json.loads(facts.read_text())
    assert list(said) == ["task", "size", "parameters", "seeds", "mean", "sd"]
    assert (said["task"], said["size"], said["parameters"]) == ("friedman", "s", 168)
    assert [run["seed"] for run in said["seeds"]] == [7, 8]
    for run in said["seeds"]:
        model = load(tmp_path / f"net-seed{run['seed']}.safetensors")
        assert model.training["test_metric_converged"] == run["test_metric_converged"]
        assert f"{run['test_metric_converged']:.3e} converged" in done.stdout
    assert re.search(r"friedman-s, seed 8: epoch 1/1, loss \S+, 0 s to go", done.stderr)


def test_unknown_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(train, ["juggling"])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "unknown task 'juggling'; tasks: friedman"
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "net.safetensors"
    done = CliRunner().invoke(train, ["friedman", "-o", str(output)])
    assert isinstance(done.exception, StorageError)
    assert "epoch" not in done.stderr


def test_what_was_trained_stays_when_interrupted(tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    process = subprocess.Popen(
        [*MAIN, "train", "friedman", "--epochs", "100", "-o", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "epoch 10/100" in first
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    epoch = load(output).training["epochs_done"]
    assert 10 <= epoch < 100
    assert f"{output} holds epoch " in rest
    assert rest.endswith("kcompile: interrupted\n")
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MAIN, "train", "friedman", "--epochs", "3", "-o", str(tmp_path / "net")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown.decode()
    assert b"epoch 3/3, loss " in shown
    assert output.startswith(f"{tmp_path / 'net'}: 168 parameters, seed 0, test mse ")
