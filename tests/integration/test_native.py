"""Compiled devices in a real ngspice: their networks end at the voltages of the ideal sources.

Both are simulated at the same, fine time points, where nothing but Newton's tolerance is between
them: far less than between either and the ODE.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkpoints import layer, network
from simulators import built_devices, every_ngspice

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.frontend import Model, load
from kcompile.ir import LAWS, FloatArray
from kcompile.simulation import Ngspice, Session, Transient
from kcompile.simulation.process import ProcessGroups, environment
from kcompile.verification.circuits import LAYER_VERSION, written
from kcompile.verification.golden import find_cases
from kcompile.verification.simulate import simulate_compiled

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES = {case.name: case for case in find_cases(GOLDEN)}
NATIVE = ("native", "native-pair", "native-edge")
FINE = Transient(500, 1e-9, 7000.0)
COARSE = Transient(8, 1e-9, 1e12)
LARGE = 1000
"""Edges from which on fewer time points and one family must do."""
FULL, DIAGONAL = 1e-6, 1e-5
"""By how much of their range final voltages may differ from those of the ideal sources."""

INPUT = np.array([0.8, -0.6])


@pytest.fixture(scope="session")
def program() -> Ngspice:
    """An ngspice that loads compiled devices of every grain."""
    built_devices()
    for each in every_ngspice():
        if "osdi" in each.features and each.version >= LAYER_VERSION:
            return each
    pytest.skip("no ngspice here loads compiled devices")


def model_of(law: str, **more) -> Model:
    """Two layers of 2 and 3 nodes with ground, parameters of both signs."""
    layers = (
        layer(law, nodes=2, duration=0.5, spread=0.6, **more),
        layer(law, nodes=3, duration=0.4, spread=0.6),
    )
    return network(*layers, outputs=(1, 2, 3), seed=5).model()


def finals(compiled: Compiled, initial: FloatArray, program: Ngspice, folder: Path) -> FloatArray:
    """The final voltages of all layers, one behind the other, software units."""
    deck = written(compiled, folder).session_deck()
    volts = initial * compiled.scale.v0
    with Session(program, deck, ProcessGroups(), folder) as session:
        fine = FINE if compiled.model.graph.edges < LARGE else COARSE
        result = session.run("sample 0", volts, fine, timeout=60)
    assert result.ok, result.reason
    waves = [result.waveforms[each.waveform].voltages(each.nodes) for each in deck.layers]
    return np.concatenate([wave[-1] for wave in waves]) / compiled.scale.v0


def compare(
    model: Model, inputs: FloatArray, options: CompileOptions, program: Ngspice, folder: Path
) -> None:
    """Sees that all compiled families end where ``ideal`` does."""
    (initial,) = model.initial_voltages(inputs[None])

    def final(device: str, **parameters: float) -> FloatArray:
        asked = replace(options, device=device, parameters=parameters, opt_level=None)
        place = folder / f"{device}{len(parameters)}"
        return finals(compile_model(model, asked), initial, program, place)

    ideal = final("ideal")
    extent = np.ptp(ideal)
    assert extent > 0.05
    for device in NATIVE if model.graph.edges < LARGE else NATIVE[:1]:
        found = {"full": final(device), "diagonal": final(device, diagonal=1)}
        for jacobian, allowed in (("full", FULL), ("diagonal", DIAGONAL)):
            error = np.abs(found[jacobian] - ideal).max()
            assert error <= allowed * extent, (device, jacobian)


@pytest.mark.parametrize("law", sorted(law for law in LAWS if not law.startswith("published_")))
def test_every_law(program: Ngspice, tmp_path: Path, law: str) -> None:
    """Those of the published code are diff laws with their rows the other way round."""
    compare(model_of(law), INPUT, CompileOptions(), program, tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_every_golden_network(program: Ngspice, tmp_path: Path, name: str) -> None:
    model, scale = load(CASES[name].folder / "model.safetensors"), CASES[name].options.scale
    with np.load(CASES[name].folder / "expected.npz") as expected:
        inputs = expected["inputs"][0]
    compare(model, inputs, CompileOptions(scale=scale), program, tmp_path)


# --- Single decks -------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["shift_relu", "tanh_affine", "leaky_relu_diff", "identity_affine"])
def test_gated_in_a_single_deck(program: Ngspice, law: str) -> None:
    """Catches a gate that does not multiply, and layers that share a device."""
    model = network(
        layer(law, nodes=3, duration=0.5, spread=0.6),
        layer(law, nodes=3, duration=0.4, spread=0.6, fill="zero"),
        outputs=(1, 2, 3), seed=5,
    ).model()  # fmt: skip

    def outputs(device: str, **parameters: float) -> FloatArray:
        options = CompileOptions(device=device, single_deck=True, parameters=parameters)
        compiled = compile_model(model, options)
        settings = {**compiled.circuit.options, "reltol": FINE.reltol, "trtol": FINE.trtol}
        circuit = replace(compiled.circuit, options=settings, steps=FINE.steps)
        fine = replace(compiled, circuit=circuit)
        found, _ = simulate_compiled(fine, INPUT, ngspice=program.path)
        return found[0]

    ideal = outputs("ideal")
    assert np.abs(ideal).max() > 0.05
    for device in NATIVE:
        assert np.abs(outputs(device) - ideal).max() < FULL, device
        assert np.abs(outputs(device, diagonal=1) - ideal).max() < DIAGONAL, device


# --- Decks as they are delivered ----------------------------------------------------------------


def bare(program: Ngspice, deck: str, folder: Path) -> dict[str, float]:
    """What ``ngspice -b DECK`` prints, in an environment that no init file reaches."""
    done = subprocess.run(
        [program.path, "-b", deck],
        cwd=folder, env=environment(folder.parent), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stderr.lower(), done.stderr
    pairs = re.findall(r"^\s*(n\d+)\s+=\s+(\S+)", done.stdout, re.M)
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("single_deck", [False, True], ids=["layers", "single"])
@pytest.mark.parametrize("device", NATIVE)
def test_a_bare_ngspice_runs_the_decks(
    program: Ngspice, tmp_path: Path, device: str, single_deck: bool
) -> None:
    """Catches a library that is loaded after the first circuit, at which ngspice 47 crashes."""
    model = model_of("shift_relu")
    options = CompileOptions(device=device, single_deck=single_deck)
    compiled = compile_model(model, options)
    (initial,) = model.initial_voltages(INPUT[None])
    deck = tmp_path / "deck"
    compiled.write(deck, initial)
    expected, _ = simulate_compiled(compiled, INPUT, ngspice=program.path)
    printed = bare(program, "run.cir", deck)
    found = [printed[f"n{node}"] for node in (1, 2, 3)]
    np.testing.assert_allclose(found, expected[0], atol=1e-9)
    for number in (1, 2):
        if not single_deck:
            nodes = bare(program, f"layer{number}.cir", deck)
            assert len(nodes) == number + 1
