"""``kcompile sample`` does what its contract says; ``--data`` of the commands that take samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run
from digits import IMAGES, write_digits
from flows import FRIEDMAN, PUBLISHED, flow, write_classifier, write_flow
from published import FOLDER

import kcompile
from kcompile.errors import UsageError
from kcompile.frontend import Checkpoint, PhaseRecord, Samples, save_checkpoint
from kcompile.simulation import Ngspice


def test_the_file_the_pictures_and_the_json(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.safetensors", "pinwheel")
    done = run(
        "sample", "flow.safetensors", "-n", "30", "--seed", "4", "--plots", "plots",
        "-o", "out/s.npz", "--json", "facts.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.status == 0, done
    with np.load(tmp_path / "out" / "s.npz") as stored:
        arrays = dict(stored)
    assert {name: values.shape for name, values in arrays.items()} == {
        "samples": (30, 2), "log_density": (30,), "start": (30, 2),
    }  # fmt: skip
    drawn = kcompile.sample(tmp_path / "flow.safetensors", 30, seed=4)
    np.testing.assert_array_equal(arrays["samples"], drawn.samples)
    said = json.loads((tmp_path / "facts.json").read_text())
    assert (said["task"], said["samples"], said["seed"]) == ("pinwheel", 30, 4)
    assert said["mean_log_density"] == pytest.approx(arrays["log_density"].mean())
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["samples.png", "states.png"]
    for file in ("out/s.npz", "plots/samples.png", "plots/states.png"):
        assert f"wrote {file}" in done.stdout


def test_without_a_name_the_file_is_called_after_the_network(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.safetensors", "twomoon")
    first = run("sample", "flow.safetensors", "-n", "3", cwd=tmp_path)
    assert first.status == 0, first
    content = (tmp_path / "flow-samples.npz").read_bytes()
    run("sample", "flow.safetensors", "-n", "3", cwd=tmp_path)
    assert (tmp_path / "flow-samples.npz").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "flow-samples.npz", "flow.safetensors",
    ]  # fmt: skip


@PUBLISHED
def test_a_published_network(tmp_path: Path) -> None:
    done = run("sample", FOLDER / "circle" / "model.pth", "-n", "200", cwd=tmp_path)
    assert done.status == 0, done
    with np.load(tmp_path / "circle-samples.npz") as stored:
        radius = np.linalg.norm(stored["samples"], axis=1)
    near = (np.abs(radius - 1.0) < 0.25) | (np.abs(radius - 0.5) < 0.25)
    assert near.mean() > 0.95


def test_wrong_inputs(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.safetensors", "pinwheel")
    write_classifier(tmp_path / "net.safetensors")
    assert "generates no samples" in refused(tmp_path, 2, "sample", FRIEDMAN)
    assert "generates no samples" in refused(tmp_path, 2, "sample", "net.safetensors")
    assert "0 samples" in refused(tmp_path, 2, "sample", "flow.safetensors", "-n", "0")
    assert "--plots" in refused(tmp_path, 2, "sample", "flow.safetensors", "--data", ".")
    (tmp_path / "file").write_text("")
    for option, place in (("-o", "file/s.npz"), ("--plots", "file"), ("--json", "file/s.json")):
        done = run("sample", "flow.safetensors", "-n", "2", option, place, cwd=tmp_path)
        assert done.status == 5
        assert "samples" not in done.stdout  # it is said before they are drawn
    assert "is a folder" in refused(tmp_path, 2, "sample", "flow.safetensors", "-o", ".")


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ("pinwheel", "pinwheel is drawn, not read; leave --data out"),
        ("potential1", "potential1 is a formula, not data; leave --data out"),
        ("gauss", "there are no data of gauss; leave --data out"),
        ("genmnist", "here: holds no mnist"),
    ],
)
def test_data_that_a_picture_cannot_use_are_refused_before_samples_are_drawn(
    task: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flow(tmp_path / "flow.safetensors", task)
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(kcompile, "sample", None)
    said = refused(
        tmp_path, 2, "sample", "flow.safetensors", "-n", "2", "--plots", "plots", "--data", "here"
    )
    assert complaint in said


def carrying(path: Path) -> Path:
    """A network of 784 nodes that carries a black sample."""
    samples = Samples(np.zeros((1, 784)), np.zeros(1, dtype=np.int64))
    phases = (PhaseRecord(784, 1.0, ()),)
    save_checkpoint(path, Checkpoint(phases, 784, [1, 2], task="mnist", samples=samples))
    return path


def test_netlist_takes_the_folders_first_test_sample(tmp_path: Path) -> None:
    """Catches --data that loses against the samples in the checkpoint."""
    checkpoint, digits = carrying(tmp_path / "net.safetensors"), write_digits(tmp_path / "digits")
    done = run("netlist", checkpoint, "--data", digits, "-o", tmp_path / "deck")
    assert done.status == 0, done
    expected = tmp_path / "expected"
    kcompile.write_netlist(checkpoint, expected, inputs=IMAGES[3].ravel() / 255.0)
    assert (tmp_path / "deck/inputs.inc").read_text() == (expected / "inputs.inc").read_text()
    again = tmp_path / "again"
    kcompile.write_netlist(checkpoint, again, data=str(digits))
    assert (again / "inputs.inc").read_text() == (expected / "inputs.inc").read_text()


def test_verify_takes_the_folders_test_samples(tmp_path: Path, ngspice: Ngspice) -> None:
    checkpoint, digits = carrying(tmp_path / "net.safetensors"), write_digits(tmp_path / "digits")
    out = tmp_path / "out.npz"
    done = run(
        "verify", checkpoint, "--data", digits, "--samples", "2", "--outputs", out, "--jobs", "1"
    )
    assert done.status == 0, done
    with np.load(out) as stored:
        np.testing.assert_allclose(stored["inputs"], IMAGES[3:5].reshape(2, -1) / 255.0)


@pytest.mark.parametrize("command", ["verify", "netlist"])
def test_a_folder_that_nobody_would_look_into(tmp_path: Path, command: str) -> None:
    """Catches --data that is silently ignored."""
    write_flow(tmp_path / "flow.safetensors", "pinwheel")
    write_classifier(tmp_path / "any.safetensors", task=None)
    carrying(tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", np.zeros(784))
    write_digits(tmp_path / "digits")
    data = ("--data", "digits")
    assert "starts from draws" in refused(tmp_path, 2, command, "flow.safetensors", *data)
    assert "--inputs" in refused(tmp_path, 2, command, "any.safetensors", *data)
    both = (*data, "--inputs", "x.npy")
    assert "exclude each other" in refused(tmp_path, 2, command, "net.safetensors", *both)
    assert "no mnist" in refused(tmp_path, 2, command, "net.safetensors", "--data", ".")
    with pytest.raises(UsageError, match="starts from draws"):
        kcompile.simulate(flow("pinwheel"), data=tmp_path)
