"""``--help``, ``kcompile inspect`` and ``kcompile doctor`` do what their contract says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import networkx as nx
import pytest
from checkpoints import layer, write_network
from commands import run

import kcompile
from kcompile.cli.main import COMMANDS
from kcompile.lower import family_names
from kcompile.simulation import Ngspice


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_every_command_explains_itself(command: str, word: str) -> None:
    done = run(command, word)
    assert done.status == 0
    assert done.stderr == ""
    assert done.stdout.startswith(f"Usage: kcompile {command} ")
    # Nothing is cut off, and every option has its words.
    assert "..." not in done.stdout.replace("[OPTIONS]", "").replace("[NAMES]...", "")
    for line in re.findall(r"^  --?\S.*$", done.stdout, re.M):
        assert len(line) > 30 or line.strip().endswith(("PATH", "]", "FLOAT", "TEXT", "RANGE")), (
            line
        )


def test_the_program_explains_itself() -> None:
    done = run("--help")
    assert (done.status, done.stderr) == (0, "")
    assert all(f"  {command} " in done.stdout for command in COMMANDS)
    done = run("--version")
    assert (done.status, done.stdout) == (0, f"kcompile, version {kcompile.__version__}\n")


def test_inspect_says_what_is_in_it(tmp_path: Path) -> None:
    path = write_network(
        tmp_path / "net.safetensors",
        layer("tanh_diff"), layer("shift_relu", duration=0.25, residual=0), outputs=(3, 1),
    )  # fmt: skip
    facts = tmp_path / "facts.json"
    done = run("inspect", path, "--json", facts)
    assert done.status == 0
    assert done.stderr == ""
    said = json.loads(facts.read_text())
    model = kcompile.load(path)
    for key, value in {
        "name": "net", "path": str(path), "sha256": model.sha256, "law": "tanh_diff, shift_relu",
        "nodes": 3, "edges": 48, "duration": 1.25, "inputs": 2, "outputs": 2, "task": None,
    }.items():  # fmt: skip
        assert said[key] == value
        if value is not None:
            assert re.search(rf"^ {key} +{re.escape(str(value))} *$", done.stdout, re.M), key
    assert [phase["edges"] for phase in said["phases"]] == [24, 24]
    assert [phase["residual"] for phase in said["phases"]] == [None, 0]
    assert re.search(r"^ 2 +3 +24 +0\.25 +zero +layer 1 +", done.stdout, re.M)
    batch = model.graph.phases[0].batches[0]
    assert said["phases"][0]["ranges"]["a"] == [batch.a.min(), batch.a.max()]
    costs = {(cost["device_family"], cost["opt_level"]): cost for cost in said["estimates"]}
    assert {device for device, _ in costs} == {
        "ideal", "native", "native-pair", "native-edge", "bjt",
    }  # fmt: skip
    assert costs["ideal", 0]["devices"] == 48
    assert costs["ideal", 2]["devices"] == 24 + 6
    assert costs["native", 2]["devices"] == 2
    assert costs["ideal", 2]["seconds_per_sample"] < costs["ideal", 0]["seconds_per_sample"]
    assert costs["ideal", 0]["memory_bytes"] > 0
    assert said["compiling"]["memory_bytes"] > 0
    assert re.search(r"^ ideal +-O0, -O1 +48 ", done.stdout, re.M)


@pytest.mark.parametrize("number", [1, 2])
def test_inspect_exports_a_layer(tmp_path: Path, number: int) -> None:
    path = write_network(
        tmp_path / "net.safetensors", layer(), layer("relu_affine", nodes=4), outputs=(4,)
    )
    target = tmp_path / "graph.xml"
    done = run("inspect", path, "--graphml", target, "--layer", number)
    assert done.status == 0
    assert f"layer {number} as GraphML: {target}" in done.stdout
    found = nx.read_graphml(target, node_type=int, edge_key_type=int, force_multigraph=True)
    graph = kcompile.load(path).graph
    phase = graph.phases[number - 1]
    (batch,) = phase.batches
    assert found.is_directed()
    assert sorted(found) == list(range(phase.nodes + 1))
    assert found.nodes[0]["role"] == "ground"
    if number == 2:
        assert found.nodes[4]["role"] == "output"
    edges = {key: (s, d, data) for s, d, key, data in found.edges(keys=True, data=True)}
    assert len(edges) == phase.edges
    for key, (s, d, data) in edges.items():
        assert (s, d) == (batch.src[key], batch.dst[key])
        assert data["phi"] == "relu"
        for name in "wabc":
            assert data[name] == batch.column(name)[key]


def test_doctor_says_what_there_is(tmp_path: Path, ngspice: Ngspice) -> None:
    facts = tmp_path / "facts.json"
    done = run("doctor", "--json", facts)
    assert (done.status, done.stderr) == (0, "")
    said = json.loads(facts.read_text())
    assert said["kcompile"]["version"] == kcompile.__version__
    assert said["ngspice"]["version"].startswith(f"{ngspice.version} (")
    assert said["ngspice"]["note"] == str(ngspice.path)
    assert all(feature in said["ngspice"]["version"] for feature in ngspice.features)
    assert said["device families"]["version"] == ", ".join(family_names())
    assert "diode:1n4148" in said["presets"]["version"]
    for name in ("numpy", "scipy", "torch", "PySpice", "matplotlib"):
        assert re.search(rf"^ {name} +{re.escape(said[name]['version'])}", done.stdout, re.M)


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, ngspice: Ngspice) -> None:
    from importlib import metadata

    version = metadata.version

    def without(name: str) -> str:
        if name in ("torch", "PySpice"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    done = run("doctor")
    assert done.status == 0
    assert re.search(r"^ torch +missing .*pip install 'kcompile\[torch\]'", done.stdout, re.M)
    assert re.search(r"^ PySpice +missing .*pip install 'kcompile\[pyspice\]'", done.stdout, re.M)
