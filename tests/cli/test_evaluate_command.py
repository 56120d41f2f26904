"""``kcompile evaluate`` does what its contract says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import files, refused, run
from digits import LABELS, write_digits
from flows import FRIEDMAN, write, write_classifier, write_flow

import kcompile
from kcompile.frontend import Checkpoint, PhaseRecord, load_checkpoint, save_checkpoint
from kcompile.frontend.records import BatchRecord


def test_the_json_contract(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    done = run("evaluate", FRIEDMAN, "--limit", "40", "--json", facts)
    assert done.status == 0, done
    said = json.loads(facts.read_text())
    assert {"task", "metric", "value", "samples", "seconds"} <= set(said)
    assert (said["task"], said["metric"], said["samples"]) == ("friedman", "mse", 40)
    assert 0 < said["value"] < 0.01
    assert said["value"] == kcompile.evaluate(FRIEDMAN, limit=40).value
    assert f"friedman: mse {said['value']:.5g} on 40 test samples" in done.stdout


def test_what_it_was_trained_with_and_is_asked_without_is_said(tmp_path: Path) -> None:
    found = load_checkpoint(FRIEDMAN)
    varied = {**found.training, "variations": {"quantisation": {"bits": 3}}}
    save_checkpoint(tmp_path / "net", replace(found, training=varied))
    done = run("evaluate", tmp_path / "net", "--limit", 10)
    assert done.status == 0, done
    assert "note: it was trained with quantisation, and is asked without; " in done.stderr
    assert "trained with" not in run("evaluate", FRIEDMAN, "--limit", 10).stderr


def test_accuracies_are_shares_and_data_is_taken_from_the_folder(tmp_path: Path) -> None:
    """Catches per cents, and a cache that is preferred to the folder."""
    checkpoint = write_classifier(tmp_path / "net.safetensors")
    done = run(
        "evaluate", checkpoint, "--data", write_digits(tmp_path / "digits"),
        "--json", tmp_path / "facts.json",
    )  # fmt: skip
    assert done.status == 0, done
    said = json.loads((tmp_path / "facts.json").read_text())
    assert said["samples"] == 3 == len(LABELS) - 3
    assert said["value"] in (0.0, 1 / 3, 2 / 3, 1.0)
    assert said["metric"] == "accuracy"


@pytest.mark.parametrize("task", [None, "juggling"])
def test_unknown_tasks_are_answered_with_the_known_ones(tmp_path: Path, task: str | None) -> None:
    write_classifier(tmp_path / "net.safetensors", task)
    complaint = refused(tmp_path, 2, "evaluate", "net.safetensors", "--json", "facts.json")
    assert "friedman" in complaint
    assert "twomoon" in complaint


def test_wrong_inputs(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.safetensors", "pinwheel")
    write_flow(tmp_path / "wide.safetensors", "pinwheel", nodes=3)
    write_classifier(tmp_path / "net.safetensors")
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").write_text("no checkpoint")
    assert "--limit" in refused(tmp_path, 2, "evaluate", "flow.safetensors", "--limit", "0")
    assert "--data" in refused(tmp_path, 2, "evaluate", "flow.safetensors", "--data", "empty")
    assert "holds no mnist" in refused(
        tmp_path, 2, "evaluate", "net.safetensors", "--data", "empty"
    )
    assert "no such" in refused(tmp_path, 2, "evaluate", "net.safetensors", "--data", "none")
    assert "takes 3" in refused(tmp_path, 3, "evaluate", "wide.safetensors")
    assert "no such file" in refused(tmp_path, 2, "evaluate", "none")
    refused(tmp_path, 3, "evaluate", "junk")


def test_equations_that_do_not_converge_are_content(tmp_path: Path) -> None:
    """Catches a traceback where a network explodes."""
    batch = BatchRecord("canonical_identity", [0, 0], [1, 2], [[1e6] * 2, [0.0] * 2, [1e6] * 2,
                                                            [0.0] * 2])  # fmt: skip
    wild = Checkpoint((PhaseRecord(2, 1.0, (batch,)),), 2, [1, 2], task="pinwheel")
    write(tmp_path / "net.safetensors", wild)
    refused(tmp_path, 3, "evaluate", "net.safetensors", "--limit", "2")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    before = files(tmp_path)
    done = run("evaluate", FRIEDMAN, "--limit", "2", "--json", "/proc/none/facts.json")
    assert done.status == 5
    assert files(tmp_path) == before
