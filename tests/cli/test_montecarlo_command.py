"""``kcompile montecarlo`` and ``kcompile sweep``, and --vary elsewhere, as a user meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from flows import FRIEDMAN
from simulators import real_ngspice

from kcompile.errors import StorageError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture
def vary(tmp_path: Path) -> Path:
    path = tmp_path / "vary.toml"
    path.write_text("[mismatch]\ngain = 0.02\noffset = 0.01\n\n[capacitors]\nmismatch = 0.01\n")
    return path


def test_circuits_are_told_of_and_written(vary: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    done = run(
        "montecarlo", FRIEDMAN, "--vary", vary, "--vary", "stuck.open=0.001", "--runs", 40,
        "--spec", "mse<=0.05", "--json", facts, "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.status == 0, done
    said = json.loads(facts.read_text())
    assert said["variations"]["stuck"] == {"open": 0.001}
    assert said["runs"] == 40
    assert f"{said['yields']['share']:.4g}: {said['yields']['good']} of 40" in done.stdout
    assert "1. " in done.stdout
    for name in ("montecarlo.json", "circuits.png", "effects.png"):
        assert (tmp_path / "report" / name).is_file()
        assert f"wrote {tmp_path / 'report' / name}" in done.stdout


def test_disagreement_with_spice_is_status_1(vary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_ngspice()
    arguments = ("montecarlo", FRIEDMAN, "--vary", vary, "--runs", 3, "--checks", 2, "--alone", 0)
    done = run(*arguments)
    assert done.status == 0, done
    assert "2 of 2 circuits agree" in done.stdout
    from kcompile.experiments.engines import SpiceEngine

    real = SpiceEngine.answer

    def wrong(self, drawn, finer=1):
        answer = real(self, drawn, finer)
        return replace(answer, outputs=answer.outputs + 0.1)

    monkeypatch.setattr(SpiceEngine, "answer", wrong)
    done = run(*arguments)
    assert done.status == 1
    assert "disagree with their equations" in done.stderr
    assert "0 of 2 circuits agree" in done.stdout


def test_a_sweep_prints_a_line_for_every_value(tmp_path: Path) -> None:
    done = run(
        "sweep", FRIEDMAN, "--over", "quantisation.bits=3,5,8", "--runs", 1, "--report",
        tmp_path / "report", "--json", tmp_path / "facts.json",
    )  # fmt: skip
    assert done.status == 0, done
    said = json.loads((tmp_path / "facts.json").read_text())
    scores = [point["spreads"]["mse"]["mean"] for point in said["points"]]
    assert scores[0] > scores[1] > scores[2]
    assert all(line in done.stdout for line in ("quantisation.bits", f"{scores[2]:.5g}"))
    assert (tmp_path / "report" / "sweep.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("montecarlo", FRIEDMAN, "--vary", "mismach.gain=1"), "no effect 'mismach'"),
        (("montecarlo", FRIEDMAN, "--vary", "missing.toml"), "missing.toml"),
        (("montecarlo", FRIEDMAN, "--runs", "0"), "--runs"),
        (
            ("montecarlo", FRIEDMAN, "--spec", "accuracy>=1"),
            "quantities: max_error, rms_error, mse",
        ),
        (("montecarlo", FRIEDMAN, "--engine", "verilog"), "ode or spice"),
        (("sweep", FRIEDMAN, "--over", "mismatch.gain"), "write KEY=VALUES"),
        (("sweep", FRIEDMAN, "--over", "mismatch.gain=a"), "names no values"),
        (("sweep", FRIEDMAN, "--over", "scale=1,2"), "use --engine spice"),
        (("montecarlo", FRIEDMAN, "--device", "bjt"), "--checks or --engine spice"),
        (("montecarlo", FRIEDMAN, "--ngspice", "/nope"), "--checks or --engine spice"),
        (("sweep", FRIEDMAN, "--over", "mismatch.gain=0,1", "--v0", "2"), "give --engine spice"),
        (("verify", FRIEDMAN, "--vary", "noise.density=1e-3"), "kcompile montecarlo"),
        (("verify", FRIEDMAN, "--vary", "input.noise=1e-3"), "kcompile montecarlo"),
        (("netlist", FRIEDMAN, "--vary", "readout.bits=8"), "kcompile montecarlo"),
        (
            (
                "verify",
                FRIEDMAN,
                "--vary",
                "timing.overlap=0.1",
                "--vary",
                "leakage.hold=1",
                "--vary",
                "leakage.current=1",
            ),
            "one transient",
        ),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple, said: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.status == 2
    assert said in done.complaint


def test_verify_judges_the_circuit_and_tells_its_distance_from_the_ideal(
    vary: Path, tmp_path: Path
) -> None:
    real_ngspice()
    done = run(
        "verify", FRIEDMAN, "--vary", vary, "--samples", 3, "--seed", 5,
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.status == 0, done
    said = json.loads((tmp_path / "report" / "report.json").read_text())
    assert said["verdict"] == "pass"
    section = said["variations"]
    assert section["seed"] == 5
    assert section["effects"] == {
        "mismatch": {"gain": 0.02, "offset": 0.01},
        "capacitors": {"mismatch": 0.01},
    }
    assert section["from_ideal"]["max_abs_error"] > 10 * said["summary"]["max_abs_error"]
    assert section["metric"]["name"] == "mse"
    assert "from the ideal network" in done.stdout


def test_decks_say_which_imperfections_they_have(vary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deck"
    done = run("netlist", FRIEDMAN, "--vary", vary, "--vary", "noise.density=1e-4", "-o", folder)
    assert done.status == 0, done
    text = (folder / "layer1.cir").read_text()
    said = (
        "mismatch.gain=0.02, mismatch.offset=0.01, capacitors.mismatch=0.01, noise.density=0.0001"
    )
    assert f"* imperfections: {said}; seed 0, circuit 0\n" in text
    assert text.count("\nIinjected") == text.count("\nC")
    plain = tmp_path / "plain"
    run("netlist", FRIEDMAN, "-o", plain)
    assert "imperfections" not in (plain / "layer1.cir").read_text()


def test_circuits_without_an_answer_say_why(tmp_path: Path) -> None:
    real_ngspice()
    done = run(
        "montecarlo", FRIEDMAN, "--engine", "spice", "--runs", 1, "--samples", 2,
        "--timeout", 0.001,
    )  # fmt: skip
    assert done.status == 4
    assert "1 without an answer: circuit 0: sample 0" in done.stderr
    done = run(
        "sweep", FRIEDMAN, "--over", "leakage.conductance=1,1e6", "--runs", 2,
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.status == 0
    assert "circuits without an answer: circuit 0" in done.stderr


def test_circuits_that_are_all_alike_have_a_picture(tmp_path: Path) -> None:
    done = run(
        "montecarlo", FRIEDMAN, "--vary", "leakage.conductance=1e-17", "--vary",
        "leakage.spread=2", "--runs", 12, "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.status == 0, done
    assert (tmp_path / "report" / "circuits.png").is_file()


@pytest.mark.parametrize(
    "arguments", [("montecarlo", FRIEDMAN), ("sweep", FRIEDMAN, "--over", "mismatch.gain=0,1")]
)
def test_places_are_looked_at_before_the_work(arguments: tuple, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(*arguments, "--report", tmp_path / "file" / "report")
    assert done.status == 5
    assert "ETA" not in done.stderr
    assert str(tmp_path / "file") in done.complaint


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("montecarlo", ("--runs", 20, "--alone", 0)),
        ("sweep", ("--runs", 3, "--over", "mismatch.gain=0,0.01")),
    ],
)
def test_what_was_found_is_kept_where_the_report_cannot_be_written(
    command: str, more: tuple[object, ...], vary: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The disk fills up after the work: nothing is drawn again once there is room."""
    from kcompile.experiments import Experiment, Sweep
    from kcompile.experiments.engines import OdeEngine

    state = tmp_path / "state"
    monkeypatch.setenv("KCOMPILE_STATE", str(state))
    drawn: list[int] = []
    real = OdeEngine.answer

    def count(self, circuit):
        drawn.append(circuit.chance.index)
        return real(self, circuit)

    def full(self, folder):
        raise StorageError("no space left on device", where=folder)

    arguments = (command, FRIEDMAN, "--vary", vary, *more, "--report", tmp_path / "report")
    with monkeypatch.context() as patch:
        for each in (Experiment, Sweep):
            patch.setattr(each, "write", full)
        patch.setattr(OdeEngine, "answer", count)
        done = run(*arguments)
    assert done.status == 5
    assert "no space left on device; run the same command again" in done.stderr
    assert drawn
    assert list(state.iterdir())
    drawn.clear()
    monkeypatch.setattr(OdeEngine, "answer", count)
    assert run(*arguments).status == 0
    assert drawn == []
    assert list(state.iterdir()) == []
    assert (tmp_path / "report" / f"{command}.json").is_file()
