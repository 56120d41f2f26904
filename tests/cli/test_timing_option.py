"""``--timing`` on the command line: what it writes, what the report says, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import layer, write_network
from commands import refused, run

from kcompile.simulation import Ngspice
from kcompile.verification import load_report


@pytest.fixture
def two_layers(tmp_path: Path) -> Path:
    """Two layers of 2 and 3 nodes."""
    np.save(tmp_path / "x.npy", np.array([[0.8, -0.6], [0.2, 1.1]]))
    return write_network(
        tmp_path / "two.safetensors",
        layer("tanh_affine", nodes=2, duration=0.5, spread=0.6),
        layer("tanh_affine", nodes=3, duration=0.4, spread=0.6),
        outputs=(1, 2, 3), seed=5,
    )  # fmt: skip


def test_netlist_writes_the_gates(two_layers: Path, tmp_path: Path) -> None:
    words = ("--single-deck", "--timing", "skew=0.01", "--timing", "seed=2")
    done = run("netlist", two_layers, *words, "-o", tmp_path / "deck")
    assert done.status == 0, done.stderr
    text = (tmp_path / "deck" / "run.cir").read_text()
    assert "* timing: skew 0.01, seed 2 (times: fractions of the shortest layer)" in text
    assert text.count("\nVg") == 5


def test_verify_says_what_the_timing_does(
    two_layers: Path, tmp_path: Path, ngspice: Ngspice
) -> None:
    words = ("--single-deck", "--timing", "late=0.05", "--inputs", tmp_path / "x.npy")
    done = run("verify", two_layers, *words, "--report", tmp_path / "report")
    assert done.status == 0, done.stderr
    assert "SPICE from perfect timing" in done.stdout
    section = json.loads((tmp_path / "report" / "report.json").read_text())["timing"]
    assert section["values"] == {"late": 0.05}
    assert section["gates"] == 2
    assert section["shortest_layer_s"] == pytest.approx(0.4e-15)
    assert section["ode"]["max_abs"] == pytest.approx(section["spice"]["max_abs"], rel=0.02)
    assert section["ode"]["relative"] > 0.01
    again = load_report(tmp_path / "report")
    assert again.timing is not None
    assert again.timing.values == {"late": 0.05}


def test_without_timing_reports_have_no_such_section(
    two_layers: Path, tmp_path: Path, ngspice: Ngspice
) -> None:
    words = ("--single-deck", "--timing", "seed=3", "--inputs", tmp_path / "x.npy")
    done = run("verify", two_layers, *words, "--json", tmp_path / "r.json")
    assert done.status == 0, done.stderr
    assert "timing" not in json.loads((tmp_path / "r.json").read_text())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--timing", "dead=0.1"), "--timing: layers have a timing only in one transient"),
        (("--single-deck", "--timing", "dead"), "--timing: 'dead' is not NAME=VALUE"),
        (("--single-deck", "--timing", "dead=x"), "--timing: 'dead=x' is not NAME=VALUE"),
        (("--single-deck", "--timing", "jitter=1"), "timing: there is no 'jitter'; there are"),
        (("--single-deck", "--timing", "rise=2"), "timing: rise is 2.0; give a number from 0"),
        (("--single-deck", "--timing", "seed=0.5"), "timing: seed is 0.5; give a whole number"),
        (("--single-deck", "--timing", "dead=nan"), "timing: dead is nan"),
    ],
)
@pytest.mark.parametrize("command", ["netlist", "verify"])
def test_what_is_refused_in_one_line(
    two_layers: Path, tmp_path: Path, command: str, words: tuple[str, ...], said: str
) -> None:
    assert refused(tmp_path, 2, command, two_layers.name, *words).startswith(said)


def test_a_deck_of_layers_has_no_timing_to_be_judged_by(two_layers: Path, tmp_path: Path) -> None:
    assert run("netlist", two_layers, "-o", tmp_path / "deck").status == 0
    words = ("--deck", "deck", "--timing", "late=0.1")
    said = refused(tmp_path, 2, "verify", two_layers.name, *words)
    assert said.startswith("--timing: layers have a timing only in one transient")
