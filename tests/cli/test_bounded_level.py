"""``-O 3`` on the command line: the bound is said and kept, and the plain levels stay exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from kcompile.simulation import Ngspice

NETWORK = Path(__file__).parents[2] / "golden" / "tanh-diff-neighbourhood" / "model.safetensors"


@pytest.mark.parametrize("deck", [(), ("--single-deck",)], ids=["layers", "single-deck"])
def test_verify_states_the_bound(tmp_path: Path, ngspice: Ngspice, deck: tuple[str, ...]) -> None:
    facts = tmp_path / "facts.json"
    done = run(
        "verify", NETWORK, "-O", "3", "--tolerance", "1e-2", "--json", facts,
        "--ngspice", ngspice.path, *deck,
    )  # fmt: skip
    assert done.status == 0, done
    assert "-O3: every node's current is within" in done.stderr
    said = json.loads(facts.read_text())
    bounds = {step["name"]: step["error_bound"] for step in said["compile"]["passes"]}
    assert bounds["tabulate-pairs"] > 0
    assert [name for name, bound in bounds.items() if bound > 0] in (
        ["tabulate-pairs"], ["drop-negligible", "tabulate-pairs"],
    )  # fmt: skip
    assert said["compile"]["elements"]["B"] < 60 < said["model"]["edges"]


def test_netlist_writes_tables_and_says_where_they_hold(tmp_path: Path) -> None:
    done = run("netlist", NETWORK, "-O", "3", "-o", tmp_path / "deck")
    assert done.status == 0, done
    assert "near the trajectories" in done.stderr
    text = (tmp_path / "deck" / "layer1.cir").read_text()
    assert "pwl(" in text
    assert "near the trajectories" in text
    plain = run("netlist", NETWORK, "-o", tmp_path / "plain")
    assert "-O3" not in plain.stderr
    assert "pwl(" not in (tmp_path / "plain" / "layer1.cir").read_text()
