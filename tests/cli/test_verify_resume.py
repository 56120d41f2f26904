"""``kcompile verify`` of many samples after everything was killed, or after Ctrl-C."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from commands import finish, run, start
from simulators import real_ngspice

from kcompile.errors import StorageError
from kcompile.verification import Report

TWOMOON = Path(__file__).parents[2] / "golden" / "twomoon" / "model.safetensors"


def judged(folder: Path) -> dict:
    """What a report says of the samples and of all together, without how long it took."""
    values = json.loads((folder / "report.json").read_text())
    for sample in values["samples"]:
        del sample["seconds"], sample["attempts"], sample["earlier"]
    return {key: values[key] for key in ("verdict", "samples", "summary", "compile")} | {
        "calibration": {
            name: value
            for name, value in values["simulator"]["calibration"].items()
            if name != "trials"
        },
        "compile": {k: v for k, v in values["compile"].items() if k != "seconds"},
    }


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_where_it_was(how: signal.Signals, tmp_path: Path) -> None:
    real_ngspice()
    arguments = ("verify", TWOMOON, "--samples", 250, "--seed", int(how))
    state = tmp_path / "state"
    env = {"KCOMPILE_STATE": state}
    process = start(*arguments, "--report", tmp_path / "broken", env=env)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        runs = [*state.glob("verify-*/runs.jsonl")]
        if runs and len(runs[0].read_text().splitlines()) > 40:
            break
        time.sleep(0.05)
    process.send_signal(how)
    interrupted = finish(process)
    assert interrupted.status == (130 if how is signal.SIGINT else -how)
    assert not (tmp_path / "broken").exists()
    if how is signal.SIGINT:
        assert "run the same command again" in interrupted.stderr
    again = finish(start(*arguments, "--report", tmp_path / "broken", env=env))
    assert again.status == 0
    assert "an earlier run had finished" in again.stderr
    straight = run(*arguments, "--fresh", "--report", tmp_path / "straight")
    assert straight.status == 0
    assert judged(tmp_path / "broken") == judged(tmp_path / "straight")
    assert list(state.iterdir()) == []


def test_verbose_says_what_each_simulator_does() -> None:
    real_ngspice()
    done = run("verify", TWOMOON, "--samples", 9, "-v", "--fresh")
    assert done.status == 0
    assert "simulator 1: loading the decks" in done.stderr
    assert "sample 8" in done.stderr


def test_what_was_simulated_is_kept_where_the_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_ngspice()
    state = tmp_path / "state"
    monkeypatch.setenv("KCOMPILE_STATE", str(state))
    arguments = ("verify", TWOMOON, "--samples", 250, "--report", tmp_path / "report")

    def full(self, folder):
        raise StorageError("no space left on device", where=folder)

    with monkeypatch.context() as patch:
        patch.setattr(Report, "write", full)
        failed = run(*arguments)
    assert failed.status == 5
    assert "no space left on device; run the same command again" in failed.stderr
    again = run(*arguments)
    assert again.status == 0
    assert "an earlier run had finished 249 samples" in again.stderr
    assert list(state.iterdir()) == []


def test_places_are_looked_at_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option, place in (
        ("--report", "file/report"),
        ("--outputs", "file/x.npz"),
        ("--json", "."),
    ):
        done = run("verify", TWOMOON, "--ngspice", "none", option, place, cwd=tmp_path)
        assert done.status in (2, 5)
        assert done.complaint.startswith(place)
