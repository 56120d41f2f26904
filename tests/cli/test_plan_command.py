"""``kcompile plan`` as a user meets it."""

from __future__ import annotations

import json

import pytest
from checkpoints import rewrite
from commands import run


def test_it_recommends_a_scale_that_it_then_finds_good(checkpoint, inputs, tmp_path):
    told = tmp_path / "plan.json"
    common = (checkpoint, "--inputs", inputs, "--draws", "4", "--json", told)
    done = run("plan", *common)
    assert done.status == 0, done.stderr
    found = json.loads(told.read_text())
    assert "within all limits" in done.stdout
    assert found["options"] in done.stdout
    assert "BROKEN" not in done.stdout
    again = run("plan", *common, *found["options"].split())
    assert again.status == 0
    assert "this scale" in again.stdout
    assert "BROKEN" not in again.stdout
    second = json.loads(told.read_text())
    assert second["figures"] == found["figures"]
    assert second["recommended"] is False


def test_the_papers_scale_is_beyond_any_limit(checkpoint, inputs):
    done = run("plan", checkpoint, "--inputs", inputs, "--draws", "2", "--scale", "1e-15")
    assert done.status == 1
    assert "beyond the limits" in done.stdout
    assert "BROKEN" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--v0", "0.1"], "three units"),
        (["--v0", "0.1", "--scale", "1e-9"], "exclude"),
        (["--swing", "0"], "--swing"),
        (["--temperature", "-300"], "temperature"),
        (["--noise-density", "-1"], "noise-density"),
        (["--samples", "0"], "--samples"),
    ],
)
def test_options_out_of_range(checkpoint, arguments, complaint):
    done = run("plan", checkpoint, *arguments)
    assert done.status == 2
    assert complaint in done.complaint
    assert done.stdout == ""


def test_a_network_without_signal_is_no_success(checkpoint, tmp_path):
    told = tmp_path / "plan.json"

    def silence(_description, tensors):
        tensors["phase.0.batch.0.params"][:] = 0.0

    done = run("plan", rewrite(checkpoint, silence), "--draws", "2", "--json", told)
    assert done.status == 1
    assert "no signal" in done.stdout
    assert "inputs: 0 V only" in done.stderr
    assert "no scale can be recommended" in done.stderr
    assert json.loads(told.read_text())["within_limits"] is False
