"""``kcompile netlist`` does what its contract says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from checkpoints import INPUTS, answers, layer, write_network
from commands import run

from kcompile.frontend import Samples, load_checkpoint, save_checkpoint
from kcompile.simulation import Ngspice


def parameters(deck: Path) -> list[float]:
    """The input voltages of a deck."""
    text = (deck / "inputs.inc").read_text()
    return [float(value) for value in re.findall(r"^\.param x\d+=(\S+)$", text, re.M)]


def test_netlist_names_its_folder_after_the_checkpoint(tmp_path: Path, checkpoint: Path) -> None:
    done = run("netlist", checkpoint, cwd=tmp_path)
    assert done.status == 0
    deck = tmp_path / "small-deck"
    assert sorted(path.name for path in deck.iterdir()) == ["inputs.inc", "layer1.cir", "run.cir"]
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"small-deck: 3 files, 3 C, \d+ G, 24 I, \d+ R, \d+ S, \d+ V", first)
    assert second == "run it: ngspice -b small-deck/run.cir"
    device, inputs = done.stderr.splitlines()
    assert device == "note: device family switch at -O0 (Fig. 5 drawn out, up to 20000 edges)"
    assert inputs.startswith("note: inputs: 0 V only, for there are no test samples; ")
    # Nobody gave a sample, and there is no test split: 0 V.
    assert parameters(deck) == [0.0, 0.0]
    published = tmp_path / "moons" / "model.safetensors"
    published.parent.mkdir()
    checkpoint.rename(published)
    assert run("netlist", published, cwd=tmp_path).status == 0
    assert (tmp_path / "moons-deck" / "run.cir").is_file()


def test_netlist_counts_what_it_writes(tmp_path: Path, checkpoint: Path) -> None:
    facts, deck = tmp_path / "facts.json", tmp_path / "a" / "deck"
    done = run("netlist", checkpoint, "-o", deck, "--json", facts, "-O", "2")
    assert done.status == 0
    said = json.loads(facts.read_text())
    assert list(said) == [
        "folder", "entry", "files", "elements", "deck_bytes", "deck_sha256", "device_family",
        "opt_level",
    ]  # fmt: skip
    assert said["folder"] == str(deck)
    assert said["entry"] == "run.cir"
    assert sorted(said["files"]) == sorted(path.name for path in deck.iterdir())
    assert said["elements"] == {"B": 6, "C": 3}
    letters = re.findall(r"^([A-Z])\w+ ", (deck / "layer1.cir").read_text(), re.M)
    assert {letter: letters.count(letter) for letter in set(letters)} == said["elements"]
    sizes = [(deck / name).stat().st_size for name in said["files"] if name != "inputs.inc"]
    assert said["deck_bytes"] == sum(sizes)
    assert re.fullmatch("[0-9a-f]{64}", said["deck_sha256"])
    assert (said["device_family"], said["opt_level"]) == ("ideal", 2)


def test_netlist_takes_a_sample(tmp_path: Path, checkpoint: Path, inputs: Path) -> None:
    deck = tmp_path / "deck"
    assert run("netlist", checkpoint, "-o", deck, "--inputs", inputs).status == 0
    assert parameters(deck) == INPUTS[0].tolist()
    np.savez(tmp_path / "x.npz", inputs=INPUTS[1], other=np.zeros(3))
    assert run("netlist", checkpoint, "-o", deck, "--inputs", tmp_path / "x.npz").status == 0
    assert parameters(deck) == INPUTS[1].tolist()
    arguments = ("-o", deck, "--inputs", inputs, "--v0", "0.1")
    assert run("netlist", checkpoint, *arguments).status == 0
    assert parameters(deck) == pytest.approx((0.1 * INPUTS[0]).tolist(), rel=1e-15)


def test_netlist_takes_the_first_test_sample(tmp_path: Path, checkpoint: Path) -> None:
    found = load_checkpoint(checkpoint)
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    fields["samples"] = Samples(INPUTS, np.zeros((3, 1)))
    save_checkpoint(checkpoint, type(found)(**fields))
    assert run("netlist", checkpoint, "-o", tmp_path / "deck").status == 0
    assert parameters(tmp_path / "deck") == INPUTS[0].tolist()


def test_netlist_draws_for_generative_tasks(tmp_path: Path, checkpoint: Path) -> None:
    found = load_checkpoint(checkpoint)
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    save_checkpoint(checkpoint, type(found)(**(fields | {"task": "twomoon"})))
    drawn: list[list[float]] = []
    for seed in ("0", "0", "1"):
        assert run("netlist", checkpoint, "-o", tmp_path / "deck", "--seed", seed).status == 0
        drawn.append(parameters(tmp_path / "deck"))
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == np.random.default_rng(0).standard_normal((1, 2))[0].tolist()


def test_netlist_obeys_its_options(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.safetensors", layer(), layer(duration=0.5))
    deck = tmp_path / "deck"

    def text(*arguments: str) -> str:
        done = run("netlist", path, "-o", deck, *arguments)
        assert done.status == 0, done
        return "".join(file.read_text() for file in sorted(deck.glob("*.cir")))

    assert sorted(p.name for p in deck.parent.glob("deck/*.cir")) == []
    assert "ron=1e-06 roff=1000000000.0" in text()
    assert sorted(p.name for p in deck.glob("*.cir")) == ["layer1.cir", "layer2.cir", "run.cir"]
    assert "ron=0.5 roff=20000.0" in text("--param", "ron=0.5", "--param", "roff=2e4")
    units = ("--v0", "0.1", "--i0", "1e-5", "--c0", "1e-12")
    scaled = text(*units, "--param", "roff=2e4")
    assert f"roff={2e4 * (0.1 / 1e-5)!r}" in scaled
    assert "C1 n1 0 1e-12 " in scaled
    assert "one software time unit is 1e-08 s" in scaled or "time unit is 1.0" in scaled
    stops = re.findall(r"^\.tran \S+ (\S+) ", scaled, re.M)
    assert [float(stop) for stop in stops] == pytest.approx([1e-8, 5e-9])
    assert "C1 n1 0 1e-09 " in text("--scale", "1e-9")
    assert "C1 n1 0 1.0 " in text("--scale", "1")
    single = text("--single-deck", "--device", "diode")
    assert sorted(p.name for p in deck.glob("*.cir")) == ["run.cir"]
    assert ".model rectifier d" in single
    assert len(re.findall(r"^Vg\d ", single, re.M)) == 2
    assert "device family diode at -O0" in single


def test_a_deck_runs_as_netlist_says(
    tmp_path: Path, checkpoint: Path, inputs: Path, ngspice: Ngspice
) -> None:
    done = run("netlist", checkpoint, "-o", tmp_path / "deck", "--inputs", inputs)
    command = shlex.split(done.stdout.splitlines()[-1].removeprefix("run it: "))
    assert command[:2] == ["ngspice", "-b"]
    said = subprocess.run(
        [ngspice.path, *command[1:]],
        cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
    ).stdout  # fmt: skip
    # The read-out comes last; after it only ngspice takes its leave.
    last, goodbye = said.rstrip().splitlines()[-2:]
    assert re.fullmatch(r"ngspice-\S+ done", goodbye)
    assert last.startswith("n2 = ")
    expected = answers(checkpoint, INPUTS[:1])[0, 0]
    assert float(last.partition("=")[2]) == pytest.approx(expected, abs=1e-4)


def test_a_family_of_ones_own(tmp_path: Path, checkpoint: Path, ngspice: Ngspice) -> None:
    """A folder with a description and a row template is all that a family needs."""
    folder = tmp_path / "pdk" / "mine"
    folder.mkdir(parents=True)
    (folder / "family.toml").write_text(
        'title = "a copy of the ideal one"\ndefault_level = 1\n'
        "[parameters.gain]\ndefault = 1.0\nunit = ''\ndescription = 'times the current'\n"
        '[[forms]]\ntemplate = "row.j2"\nphi = ["relu"]\ncontrol = "diff"\n'
    )
    (folder / "row.j2").write_text(
        "B{{ e }} {{ s }} {{ d }} I={{ gain }}*{{ w }}*uramp({{ c }}+{{ a }}*v({{ s }},{{ d }}))\n"
    )
    own = ("--pdk", tmp_path / "pdk", "--device", "mine")
    done = run("netlist", checkpoint, "-o", tmp_path / "deck", *own)
    assert done.status == 0, done
    assert "device family mine at -O1" in done.stderr
    assert "I=1.0*" in (tmp_path / "deck" / "layer1.cir").read_text()
    np.save(tmp_path / "x.npy", INPUTS)
    arguments = ("verify", checkpoint, *own, "--inputs", tmp_path / "x.npy")
    assert run(*arguments).status == 0
    assert run(*arguments, "--param", "gain=1.2").status == 1
