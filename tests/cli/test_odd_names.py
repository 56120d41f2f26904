"""A file's name is text, whatever it looks like."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from commands import run

from kcompile.simulation import Ngspice


@pytest.mark.parametrize(
    "name",
    [
        "two\nlines",
        "x\n.control\nshell touch witness\n.endc\n",
        "x\r.control\rshell touch witness\r.endc\r",
        "a b",
        "[red]x[bold]",
        ":smile:",
        "{{ 7*7 }}",
        "%s %n",
        "ünïcödé",
        os.fsdecode(b"odd\xff"),
        "'quoted\"",
        "-dash",
        "$HOME",
        "$\\frac$",
        "網",
        "\x1b[2J",
    ],
)
def test_no_name_is_a_trap(tmp_path: Path, checkpoint: Path, ngspice: Ngspice, name: str) -> None:
    """A file's name is text in decks, reports and tables, never markup, netlist or code."""
    path = checkpoint.rename(tmp_path / f"{name}.safetensors")
    assert run("netlist", "--", path, cwd=tmp_path).status == 0
    deck = tmp_path / f"{name}-deck"
    for file in ("run.cir", "layer1.cir"):
        text = (deck / file).read_bytes()
        assert text.count(b"\n.control") == (1 if file == "run.cir" else 0)
        assert b"\r" not in text
        # run.cir begins with comments only, however the name is spelled
        head = text.partition(b"\n\n")[0].split(b"\n")
        assert all(line.startswith(b"*") for line in head)
    assert run("inspect", "--", path).status == 0
    report = tmp_path / f"{name}-report"
    # Pictures take their time: only what could trouble them is drawn.
    option = "--report" if {"$", "\x1b", "\udcff", "網"} & set(name) else "--json"
    done = run("verify", option, report, "--deck", deck, "--", path, cwd=tmp_path)
    assert done.status == 0, done
    facts = report / "report.json" if option == "--report" else report
    assert json.loads(facts.read_text())["model"]["path"] == str(path)
    assert not (tmp_path / "witness").exists()
