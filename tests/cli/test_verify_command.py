"""``kcompile verify`` does what its contract says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import INPUTS, answers
from commands import files, run

import kcompile
from kcompile.ir import FloatArray
from kcompile.simulation import Ngspice
from kcompile.verification import load_report

KEYS: dict[str, Any] = {
    "schema": None,
    "verdict": None,
    "reason": None,
    "model": ["path", "sha256", "law", "nodes", "edges", "phases", "task"],
    "scale": ["time_unit_s", "voltage_unit_v", "current_unit_a", "capacitance_unit_f"],
    "compile": [
        "opt_level", "passes", "device_family", "elements", "deck_bytes", "deck_sha256", "seconds",
    ],
    "simulator": [
        "name", "version", "options", "jobs", "seconds", "calibration_seconds", "time_points",
        "iterations", "calibration", "acceleration",
    ],
    "reference": [
        "method", "rtol", "atol", "convergence_error", "training_solver_error", "seconds",
    ],
    "samples": None,
    "summary": [
        "samples", "failed", "max_abs_error", "rms_error", "peak", "tolerance", "max_wave_error",
        "inference_time_s", "task_metrics",
    ],
    "energy": None,
    "provenance": ["kcompile", "ngspice", "torch", "seed", "command"],
}  # fmt: skip


def test_verify_reports_what_it_promises(
    tmp_path: Path, checkpoint: Path, inputs: Path, ngspice: Ngspice
) -> None:
    report, outputs, facts = tmp_path / "a" / "report", tmp_path / "out.npz", tmp_path / "j.json"
    arguments = (
        "verify", checkpoint, "--inputs", inputs, "--report", report, "--outputs", outputs,
        "--json", facts, "-O", "2", "--scale", "1e-12", "--jobs", "1", "--seed", "5",
        "--tolerance", "2e-3",
    )  # fmt: skip
    done = run(*arguments)
    assert done.status == 0, done
    said = json.loads((report / "report.json").read_text())
    assert json.loads(facts.read_text()) == said
    for key, inner in KEYS.items():
        assert key in said
        if inner is not None:
            assert list(said[key]) == inner
    assert (said["schema"], said["verdict"], said["reason"]) == ("kcompile.report/1", "pass", None)
    assert said["model"]["path"] == str(checkpoint)
    assert said["model"]["sha256"] == kcompile.load(checkpoint).sha256
    counts = [said["model"][key] for key in ("law", "nodes", "edges", "phases", "task")]
    assert counts == ["shift_relu", 3, 24, 1, None]
    assert said["scale"] == {
        "time_unit_s": 1e-12, "voltage_unit_v": 1.0, "current_unit_a": 1.0,
        "capacitance_unit_f": 1e-12,
    }  # fmt: skip
    names = [entry["name"] for entry in said["compile"]["passes"]]
    assert names == ["fold-ground", "merge-equal", "drop-dead", "group-pairs", "order-edges"]
    for entry in said["compile"]["passes"]:
        assert list(entry) == ["name", "edges_before", "edges_after", "error_bound"]
        assert entry["error_bound"] == 0.0
    assert said["compile"]["passes"][0]["edges_before"] == 24
    assert said["compile"]["passes"][-1]["edges_after"] == 6
    assert said["compile"]["elements"] == {"B": 6, "C": 3}
    assert said["simulator"]["name"] == "ngspice"
    assert said["simulator"]["version"] == str(ngspice.version)
    assert said["simulator"]["jobs"] == 1
    assert said["simulator"]["options"]["chgtol"] == pytest.approx(1e-14)
    assert said["simulator"]["time_points"] >= 3 * 200
    assert said["simulator"]["iterations"] > said["simulator"]["time_points"]
    assert said["reference"]["convergence_error"] < 2e-4
    assert said["reference"]["training_solver_error"] is None
    assert said["summary"]["inference_time_s"] == pytest.approx(1e-12, rel=1e-9)
    assert said["provenance"]["kcompile"] == kcompile.__version__
    assert f"ngspice-{ngspice.version}" in said["provenance"]["ngspice"]
    assert said["provenance"]["seed"] == 5
    assert said["provenance"]["command"] == shlex.join(["kcompile", *map(str, arguments)])
    check_numbers(said, outputs, answers(checkpoint, INPUTS))
    check_table(done.stdout, report)
    assert load_report(report).to_dict() == said


def check_numbers(said: dict[str, Any], outputs: Path, expected: FloatArray) -> None:
    """The errors are those of the outputs, and the reference is the ODE's solution."""
    with np.load(outputs) as stored:
        assert set(stored.files) == {"inputs", "spice", "reference"}
        np.testing.assert_array_equal(stored["inputs"], INPUTS)
        # As exact as it says, and far more so than the comparison needs.
        close = 1.2 * said["reference"]["convergence_error"] + 1e-8
        assert close < 1e-2 * said["summary"]["tolerance"]
        np.testing.assert_allclose(stored["reference"], expected, rtol=0, atol=close)
        assert stored["spice"].shape == stored["reference"].shape == (3, 1)
        error = abs(stored["spice"] - stored["reference"])
        peak = abs(stored["reference"]).max()
    summary = said["summary"]
    assert summary["max_abs_error"] == error.max()
    assert summary["rms_error"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
    assert (summary["samples"], summary["failed"]) == (3, 0)
    assert (summary["peak"], summary["tolerance"]) == (peak, 2e-3)
    assert summary["max_wave_error"] >= error.max() * 0.999
    assert [sample["index"] for sample in said["samples"]] == [0, 1, 2]
    for sample, row in zip(said["samples"], error, strict=True):
        assert list(sample) == [
            "index", "status", "max_abs_error", "rms_error", "seconds",
            "attempts", "earlier", "steps",
        ]  # fmt: skip
        assert sample["status"] == "ok"
        assert sample["max_abs_error"] == row.max()


def check_table(stdout: str, report: Path) -> None:
    for label, value in (
        ("samples", "3, 0 failed"),
        ("inference time", "1 ps"),
        ("verdict", "pass"),
    ):
        assert re.search(rf"^ {label} +{value} *$", stdout, re.M), stdout
    written = [line.removeprefix("wrote ") for line in stdout.splitlines() if "wrote" in line]
    assert written == [
        str(report / name)
        for name in ("report.json", "report.html", "waveforms.png", "error.png", "outputs.png")
    ]
    assert Path(written[1]).read_text().startswith("<!DOCTYPE html>")
    for name in written[2:]:
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    assert set(files(report)) == {Path(name).name for name in written}


def test_verify_says_its_notes(tmp_path: Path, checkpoint: Path, ngspice: Ngspice) -> None:
    done = run("verify", checkpoint, "--json", tmp_path / "j.json")
    notes = [line.removeprefix("note: ") for line in done.stderr.splitlines()]
    assert notes == json.loads((tmp_path / "j.json").read_text())["notes"]
    assert "inputs: 0 V only, for there are no test samples; give some with --inputs" in notes
    deck = tmp_path / "deck"
    assert run("netlist", checkpoint, "-o", deck).status == 0
    done = run("verify", checkpoint, "--deck", deck)
    assert f"note: decks as they lie in {deck}\n" in done.stderr


def test_a_deck_is_judged_in_its_own_units(
    tmp_path: Path, checkpoint: Path, inputs: Path, ngspice: Ngspice
) -> None:
    deck, units = tmp_path / "deck", ("--v0", "0.1", "--i0", "1e-5", "--c0", "1e-12")
    assert run("netlist", checkpoint, "-o", deck, "--inputs", inputs, *units).status == 0
    arguments = ("verify", checkpoint, "--deck", deck, "--inputs", inputs)
    assert run(*arguments, *units).status == 0
    done = run(*arguments)
    assert done.status == 1
    assert "where 1e-15 s are planned (are scale and durations those of the deck?)" in (
        done.complaint
    )
    # The same times, another voltage.
    done = run(*arguments, "--v0", "0.2", "--i0", "2e-5", "--c0", "1e-12")
    assert done.status == 1
    assert "is off by" in done.complaint


def test_verify_takes_the_first_samples(
    tmp_path: Path, checkpoint: Path, inputs: Path, ngspice: Ngspice
) -> None:
    out = tmp_path / "out.npz"
    for count in (1, 2):
        done = run("verify", checkpoint, "--inputs", inputs, "--samples", count, "--outputs", out)
        assert done.status == 0
        with np.load(out) as stored:
            np.testing.assert_array_equal(stored["inputs"], INPUTS[:count])


def test_a_report_replaces_an_older_one(
    tmp_path: Path, checkpoint: Path, inputs: Path, ngspice: Ngspice
) -> None:
    report = tmp_path / "report"
    report.mkdir()
    (report / "mine.txt").write_text("mine")
    for tolerance, status in (("1e-3", 0), ("1e-8", 1)):
        arguments = ("--inputs", inputs, "--report", report, "--tolerance", tolerance)
        assert run("verify", checkpoint, *arguments).status == status
        assert json.loads((report / "report.json").read_text())["summary"]["tolerance"] == float(
            tolerance
        )
    assert (report / "mine.txt").read_text() == "mine"
