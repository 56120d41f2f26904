"""A simulator that is missing or misbehaves: what the user hears, and what is left behind."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Done, files, run
from simulators import fake_ngspice, wrapped_ngspice

from kcompile.simulation import Ngspice, locate

LOG = {"simulator.out", "simulator.err"}


def kept_folder(text: str, scratch: Path) -> Path:
    """The one work folder that is left, which ``text`` names: decks and log are in it."""
    match = re.search(r"\(see ([^()]+)\)", text)
    assert match is not None, text
    folder = Path(match[1])
    assert list(scratch.iterdir()) == [folder]
    found = {path.name for path in folder.iterdir()}
    assert {"run.cir", "layer1.cir", "inputs.inc"} | LOG <= found
    # What is kept outlives the folder that the decks were written into.
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert "C1 n1 0" in (folder / "layer1.cir").read_text()
    return folder


def failed(done: Done, scratch: Path, status: int = 4) -> str:
    """The complaint of a verification without a result, its folder seen and removed."""
    assert done.status == status, done
    assert re.search(r"verdict +fail", done.stdout)
    shutil.rmtree(kept_folder(done.complaint, scratch))
    return done.complaint


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (["signal 11"], "the simulator crashed (SIGSEGV)"),
        (["raw good layer1.raw", "signal 6"], "the simulator crashed (SIGABRT)"),
        (["raw good layer1.raw", "signal 9"], "the simulator was killed (SIGKILL)"),
        (["raw good layer1.raw", "say Error: no!", "exit 1"], 'status 1; it said: "Error: no!"'),
        (["exit 0"], "layer1.raw: the simulator wrote no raw file"),
        (["raw empty layer1.raw"], "layer1.raw: the raw file is empty"),
        (["raw foreign layer1.raw"], "layer1.raw: it is no raw file"),
        (["raw truncated layer1.raw"], "layer1.raw: cut after 3 points"),
        (["raw nan layer1.raw"], "node n1 is not finite"),
        (["noise 20", "say doAnalyses: TRAN:  Timestep too small", "exit 1"], "Timestep too small"),
        (["say can't allocate 4 bytes.", "signal 6"], "can't allocate 4 bytes"),
    ],
)
def test_a_simulator_without_a_result(
    tmp_path: Path, checkpoint: Path, scratch: Path, behaviour: list[str], words: str
) -> None:
    fake = fake_ngspice(tmp_path, *behaviour)
    report = tmp_path / "report"
    done = run("verify", checkpoint, "--ngspice", fake, "--report", report)
    assert words in failed(done, scratch)
    said = json.loads((report / "report.json").read_text())
    assert said["verdict"] == "fail"
    assert words in said["reason"]
    assert said["summary"]["failed"] == 1
    assert said["summary"]["max_abs_error"] is None
    assert said["samples"][0]["status"] not in ("ok", "mismatch")


def test_a_simulator_that_hangs(tmp_path: Path, checkpoint: Path, scratch: Path) -> None:
    lock = tmp_path / "lock"
    fake = fake_ngspice(tmp_path, f"lock {lock}", "raw good layer1.raw", "hang")
    done = run("verify", checkpoint, "--ngspice", fake, "--timeout", "0.7")
    assert "the time limit" in failed(done, scratch)
    assert lock.exists()


def test_a_run_that_stops_early_fails(tmp_path: Path, checkpoint: Path, scratch: Path) -> None:
    fake = fake_ngspice(tmp_path, "raw early layer1.raw")
    done = run("verify", checkpoint, "--ngspice", fake)
    assert "ends at 8e-16 of 1e-15 s" in failed(done, scratch, status=1)


def test_noise_is_not_listened_to(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice
) -> None:
    """Warnings, errors that are none, odd bytes, megabytes: the waveforms alone decide."""
    noise = (
        "for k in 1 2 3; do echo 'Error: fatal, simulation(s) aborted' >&2; done;"
        "echo 'Warning: singular matrix' >&2; echo 'n2 = 99'; echo 'Total iterations = 7';"
        "printf 'odd \\377\\000\\033[2J bytes\\n' >&2; printf '\\377\\n';"
        "head -c 3000000 /dev/zero | tr '\\000' x >&2"
    )
    quiet = run("verify", checkpoint)
    program = wrapped_ngspice(tmp_path, ngspice, before=noise, after="echo harmless >&2")
    done = run("verify", checkpoint, "--ngspice", program)
    assert done.status == 0, done
    shown = re.findall(r"largest error +\S+", done.stdout)
    assert shown
    assert re.findall(r"largest error +\S+", quiet.stdout) == shown
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("head -c 2000 layer1.raw > cut; mv cut layer1.raw", "layer1.raw: cut after"),
        (": > layer1.raw", "the raw file is empty"),
        ("rm layer1.raw", "wrote no raw file"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("exit 1", "status 1"),
    ],
)
def test_a_good_run_that_is_spoilt(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice, after: str, words: str
) -> None:
    program = wrapped_ngspice(tmp_path, ngspice, after=after)
    done = run("verify", checkpoint, "--ngspice", program)
    assert words in failed(done, scratch)


def test_read_outs_that_contradict_the_waveforms(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice
) -> None:
    program = wrapped_ngspice(tmp_path, ngspice, after="echo 'n2 = 0.25'")
    done = run("verify", checkpoint, "--ngspice", program)
    assert done.status == 1
    assert "the decks print n2 = 0.25, the waveform ends at" in done.complaint


def test_a_circuit_that_does_not_converge(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice
) -> None:
    deck = tmp_path / "deck"
    assert run("netlist", checkpoint, "-o", deck).status == 0
    layer = deck / "layer1.cir"
    layer.write_text(layer.read_text().replace("* Edges.", "Bx 0 n1 I=1e15*exp(v(n1))"))
    before = files(deck)
    done = run("verify", checkpoint, "--deck", deck)
    complaint = failed(done, scratch, status=1)
    assert "imestep too small" in complaint
    assert files(deck) == before


def test_one_sample_of_three_is_lost(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice
) -> None:
    np.save(tmp_path / "x.npy", [[0.1, 0.2], [0.666, 0.2], [0.3, 0.4]])
    program = wrapped_ngspice(
        tmp_path, ngspice, before="if grep -q 0.666 inputs.inc; then kill -SEGV $$; fi"
    )
    arguments = ("verify", checkpoint, "--inputs", tmp_path / "x.npy")
    done = run(
        *arguments, "--ngspice", program, "--json", tmp_path / "j.json",
        "--outputs", tmp_path / "out.npz",
    )  # fmt: skip
    complaint = failed(done, scratch, status=1)
    assert complaint.startswith("sample 1: the simulator crashed (SIGSEGV)")
    said = json.loads((tmp_path / "j.json").read_text())
    assert [sample["status"] for sample in said["samples"]] == ["ok", "crashed", "ok"]
    assert said["summary"]["failed"] == 1
    with np.load(tmp_path / "out.npz") as stored:
        assert np.isnan(stored["spice"]).tolist() == [[False], [True], [False]]
    assert run(*arguments).status == 0


def test_a_first_failure_is_forgiven(
    tmp_path: Path, checkpoint: Path, scratch: Path, ngspice: Ngspice
) -> None:
    once = tmp_path / "once"
    before = f'if [ ! -e "{once}" ]; then touch "{once}"; kill -SEGV $$; fi'
    program = wrapped_ngspice(tmp_path, ngspice, before=before)
    assert run("verify", checkpoint, "--ngspice", program).status == 0
    assert once.exists()
    assert list(scratch.iterdir()) == []


def hide_every_ngspice(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(locate, "_LOCAL", Path("no", "such", "place"))
    monkeypatch.delenv(locate.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(folder))


def test_no_simulator_at_all(
    tmp_path: Path, checkpoint: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_every_ngspice(monkeypatch, tmp_path)
    before = files(tmp_path)
    done = run("verify", checkpoint, "--report", tmp_path / "report", cwd=tmp_path)
    assert done.status == 4
    assert "make ngspice" in done.complaint
    assert "package manager" in done.complaint
    assert files(tmp_path) == before
    assert run("netlist", checkpoint, cwd=tmp_path).status == 0
    doctor = run("doctor", "--json", tmp_path / "doctor.json")
    assert doctor.status == 4
    assert "make ngspice" in doctor.complaint
    assert re.search(r"ngspice +missing +make ngspice", doctor.stdout)
    assert json.loads((tmp_path / "doctor.json").read_text())["ngspice"]["version"] == "missing"


@pytest.mark.parametrize("content", ["#!/bin/sh\necho hello\n", "#!/nowhere/sh\n", "", None])
def test_a_program_that_is_no_simulator(
    tmp_path: Path, checkpoint: Path, scratch: Path, content: str | None
) -> None:
    program = tmp_path / "ngspice"
    program.write_text(content or "")
    program.chmod(0o644 if content is None else 0o755)
    done = run("verify", checkpoint, "--ngspice", program)
    assert done.status == 4
    assert done.complaint.startswith(f"{program}: ")
    assert list(scratch.iterdir()) == []


def test_the_variable_names_no_simulator(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(locate.VARIABLE, str(tmp_path / "nowhere"))
    done = run("verify", checkpoint)
    assert done.status == 4
    assert locate.VARIABLE in done.complaint


def test_a_simulator_that_vanishes_while_it_is_needed(
    tmp_path: Path, checkpoint: Path, scratch: Path
) -> None:
    fake = fake_ngspice(tmp_path, "exit 1")
    fake.write_text(
        fake.read_text().replace("exec ", f'[ "$2" = probe.cir ] && rm "{fake}"\nexec ')
    )
    done = run("verify", checkpoint, "--ngspice", fake)
    assert done.status == 4
    assert "cannot be started" in done.complaint
    assert list(scratch.iterdir()) == []
