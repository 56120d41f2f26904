"""The installed wheel works outside the checkout, with nothing but its own dependencies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from installation import ROOT, Installation

import kcompile

# One worker builds and installs the wheel, and runs all that needs it.
pytestmark = pytest.mark.xdist_group("wheel")

COMPILED = {
    "kcompile/kernels/libkcompile_kernels.so",
    "kcompile/devices/libkcompile_devices.so",
}

KERNEL = """\
import numpy as np
from kcompile.ir import EdgeBatch, Graph, Phase, Phi, derivative
from kcompile.kernels import compiled_phase, suites
from kcompile.kernels.library import suite

random = np.random.default_rng(1)
src, dst = random.integers(0, 6, (2, 30))
edges = EdgeBatch(Phi.TANH, src, dst, *random.normal(size=(4, 30)))
graph = Graph((Phase(5, 1.0, (edges,)),), 5, np.array([1]))
v = random.normal(size=(5, 7))
for name in suites():
    out = np.empty_like(v)
    compiled_phase(graph, 0, suite(v.dtype, name)).derivative(v, out)
    np.testing.assert_allclose(out.T, derivative(graph, 0, v.T), rtol=1e-12, atol=1e-12)
print(*suites())
"""


def test_wheel_holds_every_module_preset_template_and_family(installation: Installation) -> None:
    files = [*(ROOT / "kcompile").rglob("*.py"), *(ROOT / "kcompile").rglob("*.toml")]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    assert "kcompile/tasks/presets/friedman.toml" in expected
    for data in ("templates", "pdk"):
        files = [path for path in (ROOT / data).rglob("*") if path.is_file()]
        assert files
        expected |= {f"kcompile/{path.relative_to(ROOT).as_posix()}" for path in files}
    with zipfile.ZipFile(installation.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = {name.partition("/")[2] for name in wheel.namelist() if ".dist-info/" in name}
    assert held == expected | {"kcompile/py.typed", *COMPILED}
    assert "licenses/LICENSE" in metadata


def test_one_wheel_serves_every_python_and_one_platform(installation: Installation) -> None:
    _, _, python, abi, platform = installation.wheel.stem.split("-")
    assert (python, abi) == ("py3", "none")
    assert platform != "any"


def test_what_is_compiled_is_in_the_source_distribution(installation: Installation) -> None:
    expected: set[str] = set()
    for part in ("kernels", "devices"):
        sources = (ROOT / "kcompile" / part / "native").iterdir()
        expected |= {path.relative_to(ROOT).as_posix() for path in sources}
    assert {"kcompile/kernels/native/suite.cpp", "kcompile/devices/native/osdi.h"} <= expected
    (archive,) = installation.wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    assert {*expected, "CMakeLists.txt", "pyproject.toml"} <= held
    assert not [name for name in held if name.endswith((".so", ".o", ".pyc"))]


def test_the_kernel_runs_without_a_compiler(installation: Installation) -> None:
    done = subprocess.run(
        [installation.environment / "bin" / "python", "-c", KERNEL],
        cwd=installation.elsewhere, env={"PATH": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "baseline" in done.stdout.split()


def test_built_without_a_compiler_it_works_without_what_is_compiled(
    installation: Installation, checkpoint: Path, tmp_path: Path
) -> None:
    """Catches a build that wants a compiler, and code that wants the kernel or the devices."""
    bare, nowhere = tmp_path / "bare", tmp_path / "no compiler"
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q",
            "--no-build-isolation", "--no-deps", "--no-compile", "--target", bare, ROOT,
        ],
        env={**os.environ, "CC": str(nowhere), "CXX": str(nowhere)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not [name for name in COMPILED if (bare / name).exists()]

    first = f"import sys; sys.path.insert(0, {str(bare)!r})\n"
    asked = "from kcompile.kernels import chosen, suites; print(suites(), chosen())"
    told = installation.run("python", "-c", first + asked)
    assert told.stdout.strip() == "() None", told.stderr

    np.save(tmp_path / "inputs.npy", np.array([[0.7, -0.4]]))
    command = "from kcompile.cli.main import main; main()"
    verified = installation.run(
        "python", "-c", first + command,
        "verify", checkpoint, "--inputs", tmp_path / "inputs.npy", "--report", tmp_path / "report",
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr
    native = installation.run(
        "python",
        "-c",
        first + command,
        "netlist",
        checkpoint,
        "--device",
        "native",
        "-o",
        tmp_path / "deck",
    )
    assert native.returncode == 4
    assert "installed without its native devices; install it where a C compiler is" in native.stderr


def test_built_without_cxx_it_has_the_devices(tmp_path: Path) -> None:
    """Catches devices, which are C, that only a C++ compiler lets through."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        ["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja"],
        env={**os.environ, "PATH": path, "CXX": str(tmp_path / "no compiler")},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "without its compiled kernel" in done.stderr
    assert "without its devices" not in done.stderr


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
