"""The circuit's temperature: ideal devices do not know it, transistors do, as physics says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from circuits import make_model
from commands import run
from simulators import every_ngspice

import kcompile
from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.frontend import Model
from kcompile.ir import FloatArray, Graph
from kcompile.reference import solve
from kcompile.simulation import Ngspice
from kcompile.units import Scale

SCALE = Scale(0.1, 1e-5, 1e-12)
INPUT = np.array([[0.8, -0.6]])
NOMINAL = 300.15
"""27 degrees Celsius in kelvins."""


def outputs(model: Model, ngspice: Ngspice | None = None, **options: Any) -> FloatArray:
    found = kcompile.simulate(
        model, INPUT, scale=SCALE, ngspice=None if ngspice is None else ngspice.path, **options
    )
    return found.outputs


@pytest.mark.parametrize(
    ("device", "phi"), [("ideal", "tanh"), ("ideal", "relu"), ("switch", "leaky_relu")]
)
def test_ideal_devices_do_not_know_it(ngspice: Ngspice, device: str, phi: str) -> None:
    model = make_model(phi=phi)
    plain = outputs(model, ngspice, device=device)
    for celsius in (-40.0, 27.0, 125.0):
        np.testing.assert_array_equal(
            outputs(model, ngspice, device=device, temperature=celsius), plain
        )


def warmer(graph: Graph, celsius: float) -> Graph:
    """The network of which every argument is smaller by the ratio of thermal voltages."""
    ratio = NOMINAL / (celsius + 273.15)
    phases = tuple(
        replace(
            phase,
            batches=tuple(
                replace(b, a=b.a * ratio, b=b.b * ratio, c=b.c * ratio) for b in phase.batches
            ),
        )
        for phase in graph.phases
    )
    return replace(graph, phases=phases)


@pytest.mark.parametrize("celsius", [-40.0, 27.0, 125.0])
def test_a_pair_divides_its_argument_by_the_thermal_voltage(celsius: float) -> None:
    """I*tanh(u/(2*VT(T))) with u = 2*VT(27)*x: the ODE with x*VT(27)/VT(T) is what comes out."""
    model = make_model(phi="tanh")
    truth = solve(warmer(model.graph, celsius), model.initial_voltages(INPUT), 1e-8).outputs
    nominal = solve(model.graph, model.initial_voltages(INPUT), 1e-8).outputs
    for ngspice in every_ngspice():
        found = outputs(model, ngspice, device="bjt", temperature=celsius)
        assert np.abs(found - truth).max() < 2e-5
        if celsius != 27.0:
            assert np.abs(found - nominal).max() > 0.02


def test_a_single_deck_and_a_session_know_it_too(ngspice: Ngspice) -> None:
    model = make_model(phi="tanh")
    options: dict[str, Any] = {"device": "bjt", "scale": SCALE, "ngspice": ngspice.path}
    hot = outputs(model, ngspice, device="bjt", temperature=125.0)
    single = outputs(model, ngspice, device="bjt", temperature=125.0, single_deck=True)
    assert np.abs(single - hot).max() < 1e-4
    inputs = np.repeat(INPUT, 9, axis=0)
    many = kcompile.verify(model, inputs=inputs, temperature=125.0, tolerance=0.5, **options)
    assert many.simulator.acceleration is not None
    assert many.evidence is not None
    assert np.abs(many.evidence.spice - hot).max() < 1e-3


def test_the_deck_says_it(tmp_path: Path) -> None:
    done = run(
        "netlist", Path("golden/relu-diff-diode/model.safetensors"), "-o", tmp_path / "deck",
        "--device", "diode", "--temperature", "85",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    for name in ("run.cir", "layer1.cir"):
        assert "* temperature: 85.0 degrees Celsius\n" in (tmp_path / "deck" / name).read_text()
    assert " temp=85.0 " in (tmp_path / "deck" / "layer1.cir").read_text()


def test_spectre_is_told_it(tmp_path: Path) -> None:
    options = CompileOptions(device="veriloga", temperature=-40.0)
    compile_model(make_model(), options).write(tmp_path, np.zeros(2))
    text = (tmp_path / "layer1.scs").read_text()
    assert "\ntolerances options temp=-40.0 " in text
    assert "// temperature: -40.0 degrees Celsius\n" in text


def test_without_one_the_decks_say_nothing(tmp_path: Path) -> None:
    compile_model(make_model(), CompileOptions()).write(tmp_path, np.zeros(2))
    assert "temp" not in (tmp_path / "layer1.cir").read_text()


@pytest.mark.parametrize("celsius", [-273.15, -300.0, float("nan"), float("inf")])
def test_what_is_no_temperature_is_refused(celsius: float) -> None:
    with pytest.raises(UsageError, match="temperature is .* degrees Celsius.*above -273.15"):
        kcompile.compile(make_model(), temperature=celsius)
