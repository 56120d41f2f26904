"""Which simulators can load compiled devices, and what is said of those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import write_network
from commands import run
from simulators import every_ngspice

from kcompile.compiler import CompileOptions
from kcompile.errors import SimulatorNotFound, UsageError
from kcompile.simulation import Ngspice, PySpice
from kcompile.verification.circuits import require_osdi

NATIVE = ("native", "native-pair", "native-edge")


def simulator(version: int, *features: str) -> Ngspice:
    return Ngspice(Path("/somewhere/ngspice"), version, frozenset(features), "")


@pytest.mark.parametrize("device", [None, "ideal", "switch"])
def test_other_families_need_none(device: str | None) -> None:
    require_osdi(CompileOptions(device=device), simulator(39))


@pytest.mark.parametrize("device", NATIVE)
def test_one_without_osdi(device: str) -> None:
    with pytest.raises(SimulatorNotFound) as caught:
        require_osdi(CompileOptions(device=device), simulator(39, "xspice"))
    assert str(caught.value) == (
        "/somewhere/ngspice: this ngspice 39 loads no compiled devices (OSDI), which "
        f"{device} is made of; use --device ideal, or a current one (make ngspice)"
    )


def test_one_that_is_too_old_for_a_whole_layer() -> None:
    """Catches a deck whose element is cut after its 20th node."""
    for version, device in ((44, "native-pair"), (44, "native-edge"), (45, "native")):
        require_osdi(CompileOptions(device=device), simulator(version, "osdi"))
    with pytest.raises(SimulatorNotFound, match="needs 45; use --device native-pair, or"):
        require_osdi(CompileOptions(device="native"), simulator(44, "osdi"))


@pytest.mark.parametrize("device", NATIVE)
def test_pyspice(device: str) -> None:
    program = PySpice("libngspice.so", 47, frozenset({"klu"}), "")
    with pytest.raises(UsageError, match="--simulator: PySpice loads no compiled devices"):
        require_osdi(CompileOptions(device=device), program)
    require_osdi(CompileOptions(device="ideal"), program)


def test_a_family_of_ones_own_is_known_by_its_grain(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "family.toml").write_text(
        'title = "Mine"\ndefault_level = 2\ngrain = "layer"\nforms = []\n'
    )
    with pytest.raises(SimulatorNotFound, match="which mine is made of"):
        require_osdi(CompileOptions(device="mine", pdk=tmp_path), simulator(44, "osdi"))


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    """Catches a run of every sample that ends with whatever ngspice makes of an unknown model."""
    old = next((each for each in every_ngspice() if "osdi" not in each.features), None)
    if old is None:
        pytest.skip("every ngspice here has OSDI")
    network = write_network(tmp_path / "net.safetensors")
    done = run("verify", network, "--device", "native", "--ngspice", old.path)
    assert done.status == 4
    assert "loads no compiled devices (OSDI)" in done.complaint
