"""The examples run as they stand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from simulators import built_devices, real_ngspice

from kcompile.verification.circuits import LAYER_VERSION

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"


def test_the_script_shows_the_same_answer_at_every_scale():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "scale_and_devices.py"],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == "friedman: 6 nodes, 84 edges"
    assert len(lines) == 7
    assert all(": pass, error " in line for line in lines[1:])
    ends = {line.split("inference")[1].split(",")[1] for line in lines[1:4]}
    assert len(ends) == 1  # the same number of time points


def test_the_notebook_runs(tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    shutil.copytree(CHECKOUT / "golden" / "friedman", tmp_path / "golden" / "friedman")
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    text = "".join(str(out.get("text", "")) + str(out.get("data", {})) for out in outputs)
    assert "one_sided" in text
    assert "'fail'" in text  # the leaky diodes
    assert "image/png" in text or "<img" in text
    assert (folder / "deck" / "run.cir").is_file()


def test_the_script_tells_what_came_back(tmp_path):
    """On a network that is compared with itself nothing did."""
    model = CHECKOUT / "golden" / "friedman" / "model.safetensors"
    done = subprocess.run(
        [sys.executable, EXAMPLES / "recovered.py", model, model, "--runs", "3", "--vary",
         EXAMPLES / "large_devices.toml", "--vary", EXAMPLES / "small_devices.toml"],
        capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path,
    )  # fmt: skip
    before, after, better, recovered = done.stdout.splitlines()
    assert before.removeprefix("before") == after.removeprefix("after")
    assert "over 3 circuits of 64 samples" in before
    assert better == "better by 0 +- 0 (95 %, paired over circuits)"
    assert recovered == "recovered: 0.0% of what was lost (0.0% to 0.0%, bootstrap)"


def test_the_script_trains_with_few_bits(tmp_path):
    """What it trained is not trained again, and tells the same."""
    model = CHECKOUT / "golden" / "friedman" / "model.safetensors"
    command = (sys.executable, EXAMPLES / "quantisation.py", "friedman", model, "--bits", "4",
               "--epochs", "1", "--picture", "bits.png")  # fmt: skip
    told = [
        subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path
        ).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert told[0].startswith("4 bits: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bits.png", "quantised"]


def test_the_script_sweeps_timing(tmp_path):
    built_devices()
    chosen = real_ngspice()
    if "osdi" not in chosen.features or chosen.version < LAYER_VERSION:
        pytest.skip("the ngspice here loads no compiled devices of a layer")
    command = (sys.executable, EXAMPLES / "layer_timing.py", "--device", "native", "--samples", "1",
               "-o", tmp_path / "timing.png")  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    found = {(row[0], row[1]): [float(word) for word in row[2:]] for row in rows}
    for engine in ("ode", "spice"):
        assert found["late", engine][-1] > 20 * found["late", engine][0]
        assert max(found["dead", engine]) < 0.1 * min(found["late", engine])
    assert (tmp_path / "timing.png").read_bytes().startswith(b"\x89PNG")
