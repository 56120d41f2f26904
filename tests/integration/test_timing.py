"""Imperfect timing in a real ngspice against the ODE with the same gates."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from checkpoints import layer, network, write_network
from commands import run
from simulators import built_devices, every_ngspice

import kcompile
from kcompile import Model, Report, Timing
from kcompile.frontend import Model as FrontendModel
from kcompile.ir import Graph, Phase
from kcompile.simulation import Ngspice
from kcompile.verification.circuits import LAYER_VERSION

EFFECTS = {
    "rise": Timing(rise=0.3),
    "dead": Timing(dead=0.5),
    "overlap": Timing(overlap=0.2),
    "late": Timing(late=0.1),
    "skew": Timing(skew=0.05, seed=3),
    "charge": Timing(charge=0.05),
    "leak": Timing(leak=0.2),
    "all": Timing(rise=0.05, overlap=0.02, late=0.01, skew=0.05, charge=0.01, leak=0.02, seed=3),
}
HARMLESS = ("rise", "dead")
INPUT = np.array([[0.8, -0.6], [0.2, 1.1]])


@pytest.fixture(scope="module", params=["chosen", "other"])
def program(request: pytest.FixtureRequest) -> Ngspice:
    """The chosen ngspice, then another version where there is one."""
    found = every_ngspice()
    if request.param == "other" and len(found) < 2:
        pytest.skip("there is one ngspice only")
    return found[0 if request.param == "chosen" else 1]


@lru_cache
def model_of(law: str) -> Model:
    """Two layers of 2 and 3 nodes with ground, parameters of both signs."""
    layers = (
        layer(law, nodes=2, duration=0.5, spread=0.6),
        layer(law, nodes=3, duration=0.4, spread=0.6),
    )
    return network(*layers, outputs=(1, 2, 3), seed=5).model()


def verified(law: str, timing: Timing, program: Ngspice, **options) -> Report:
    return kcompile.verify(
        model_of(law), inputs=INPUT, single_deck=True, timing=timing, ngspice=program.path,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("law", ["tanh_affine", "relu_diff"])
@pytest.mark.parametrize("name", EFFECTS)
def test_ngspice_does_what_the_ode_does(program: Ngspice, name: str, law: str) -> None:
    report = verified(law, EFFECTS[name], program, device="ideal")
    assert report.verdict == "pass", report.reason
    assert report.summary.max_abs_error is not None
    assert report.summary.max_abs_error < 0.1 * report.allowed
    assert report.summary.max_wave_error is not None
    assert report.summary.max_wave_error < report.allowed
    section = report.timing
    assert section is not None
    assert section.spice is not None
    assert section.spice.max_abs == pytest.approx(section.ode.max_abs, abs=report.allowed / 10)
    if name in HARMLESS:
        assert section.ode.max_abs < 1e-2 * report.allowed
    else:
        # The effects are far larger than what is between the engines.
        assert section.ode.max_abs > 2 * report.allowed


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("device", ["ideal", "switch", "diode"])
def test_every_family_has_gates_for_rows(program: Ngspice, device: str, level: int) -> None:
    report = verified("relu_affine", EFFECTS["all"], program, device=device, opt_level=level)
    assert report.verdict == "pass", report.reason
    report = verified("leaky_relu_diff", EFFECTS["all"], program, device=device, opt_level=level)
    assert report.verdict == "pass", report.reason


@pytest.mark.parametrize("law", ["tanh_diff", "relu_affine"])
def test_transistors_have_gates_for_rows(program: Ngspice, law: str) -> None:
    """Nearly ideal ones: what is left is the devices' own error."""
    report = verified(law, EFFECTS["skew"], program, device="bjt", tolerance=1e-2)
    assert report.verdict == "pass", report.reason
    assert report.timing is not None
    assert report.timing.ode.max_abs > 2 * report.allowed


@pytest.mark.parametrize("device", ["native", "native-pair", "native-edge"])
@pytest.mark.parametrize("law", ["tanh_affine", "relu_diff"])
def test_compiled_devices_have_gates_for_rows(device: str, law: str) -> None:
    built_devices()
    able = [n for n in every_ngspice() if "osdi" in n.features and n.version >= LAYER_VERSION]
    if not able:
        pytest.skip("no ngspice here loads compiled devices")
    for timing in (EFFECTS["skew"], EFFECTS["all"]):
        report = verified(law, timing, able[0], device=device)
        assert report.verdict == "pass", report.reason
        assert report.summary.max_abs_error is not None
        assert report.summary.max_abs_error < 0.1 * report.allowed


def test_charge_moves_nodes_without_edges_by_q_over_c(program: Ngspice) -> None:
    capacitance = np.array([1.0, 2.0])
    graph = Graph((Phase(2, 0.5, ()), Phase(2, 0.4, ())), 2, [1, 2], capacitance)
    found = kcompile.simulate(
        FrontendModel(graph, "conductance"), INPUT, device="ideal", single_deck=True,
        timing=Timing(charge=0.05, skew=0.1), ngspice=program.path,
    )  # fmt: skip
    np.testing.assert_allclose(found.outputs, INPUT + 2 * 0.05 / capacitance, atol=1e-7)


def test_a_gate_that_somebody_moved_fails(tmp_path: Path) -> None:
    """What passes as it lies no longer does where one gate opens half an overlap later."""
    checkpoint = write_network(
        tmp_path / "net.safetensors",
        layer("tanh_affine", nodes=2, duration=0.5, spread=0.6),
        layer("tanh_affine", nodes=3, duration=0.4, spread=0.6),
        outputs=(1, 2, 3), seed=5,
    )  # fmt: skip
    np.save(tmp_path / "x.npy", INPUT[0])
    common = ("--inputs", tmp_path / "x.npy", "--device", "ideal")
    timing = ("--timing", "skew=0.05", "--timing", "seed=3")
    written = run("netlist", checkpoint, *common, "--single-deck", *timing, "-o", tmp_path / "deck")
    assert written.status == 0
    judged = ("verify", checkpoint, *common, "--deck", tmp_path / "deck")
    assert run(*judged, *timing).status == 0
    # Without its timing the same deck is one of another circuit.
    assert run(*judged).status == 1
    deck = tmp_path / "deck" / "run.cir"
    text = deck.read_text()
    match = re.search(r"^Vg2_3 .*pwl\((.*)\)$", text, re.M)
    assert match is not None
    words = match[1].split()
    words[2::2] = [repr(float(word) + 2e-17) for word in words[2::2]]
    deck.write_text(text.replace(match[1], " ".join(words)))
    report = tmp_path / "report.json"
    assert run(*judged, *timing, "--json", report).status == 1
    assert "times the" in json.loads(report.read_text())["reason"]
