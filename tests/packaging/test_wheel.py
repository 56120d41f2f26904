"""The installed wheel works outside the checkout, with nothing but its own dependencies."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from installation import ROOT, Installation

import kcompile

# One worker builds and installs the wheel, and runs all that needs it.
pytestmark = pytest.mark.xdist_group("wheel")


def test_wheel_holds_every_module_template_and_family(installation: Installation) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kcompile").rglob("*.py")}
    for data in ("templates", "pdk"):
        files = [path for path in (ROOT / data).rglob("*") if path.is_file()]
        assert files
        expected |= {f"kcompile/{path.relative_to(ROOT).as_posix()}" for path in files}
    with zipfile.ZipFile(installation.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = {name.partition("/")[2] for name in wheel.namelist() if ".dist-info/" in name}
    assert held == expected | {"kcompile/py.typed"}
    assert "licenses/LICENSE" in metadata


def test_command_and_package_tell_the_same_version(installation: Installation) -> None:
    done = installation.run("kcompile", "--version")
    assert done.returncode == 0, done.stderr
    assert kcompile.__version__ in done.stdout
    told = "from importlib.metadata import version; print(version('kcompile'))"
    assert installation.run("python", "-c", told).stdout.strip() == kcompile.__version__


def test_data_comes_from_the_installation(installation: Installation) -> None:
    program = (
        "from kcompile.resources import data_folder\n"
        "for name in ('templates', 'pdk'): print(data_folder(name))"
    )
    done = installation.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_relative_to(installation.environment)


def test_neither_torch_nor_pyspice_comes_along(installation: Installation) -> None:
    program = (
        "from importlib.util import find_spec\n"
        "print([name for name in ('torch', 'sklearn', 'PySpice', 'pytest') if find_spec(name)])"
    )
    assert installation.run("python", "-c", program).stdout.strip() == "[]"


def test_netlist_writes_decks(installation: Installation, checkpoint: Path, tmp_path: Path) -> None:
    deck = tmp_path / "deck"
    done = installation.run("kcompile", "netlist", checkpoint, "-o", deck)
    assert done.returncode == 0, done.stderr
    assert {"run.cir", "inputs.inc", "layer1.cir"} <= {path.name for path in deck.iterdir()}


def test_verify_passes_and_reports(
    installation: Installation, checkpoint: Path, tmp_path: Path
) -> None:
    inputs, report = tmp_path / "inputs.npy", tmp_path / "report"
    np.save(inputs, np.array([[0.7, -0.4], [-1.0, 0.5]]))
    done = installation.run(
        "kcompile", "verify", checkpoint, "--inputs", inputs, "--report", report
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((report / "report.json").read_text())
    assert told["verdict"] == "pass"
    assert told["summary"]["samples"] == 2
    assert 0 < told["summary"]["peak"] < 10
    assert told["provenance"]["kcompile"] == kcompile.__version__
    assert list(report.glob("*.png"))


def test_training_says_what_to_install(installation: Installation, tmp_path: Path) -> None:
    done = installation.run("kcompile", "train", "friedman", "-o", tmp_path / "model.kc")
    assert done.returncode == 2
    assert "kcompile[train]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
