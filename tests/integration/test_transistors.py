"""Networks of transistors: near ideal parameters they pass, and real ones show by how much not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from circuits import make_model
from simulators import every_ngspice

import kcompile
from benchmarks import device_transfer
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.lower import preset_names
from kcompile.simulation import Ngspice
from kcompile.units import Scale

NETWORK = Path("golden/tanh-diff-neighbourhood/model.safetensors")
SCALE = Scale(0.1, 1e-5, 1e-12)
SUITABLE = {
    "bjt:sky130": Scale(0.25, 1e-6, 1e-11),
    "bjt:2n3904": Scale(0.1, 1e-4, 1e-8),
}
"""Units at which a preset makes sense."""


def verified(ngspice: Ngspice | None, **options: Any) -> kcompile.Report:
    return kcompile.verify(
        NETWORK, scale=options.pop("scale", SCALE), device=options.pop("device", "bjt"),
        ngspice=None if ngspice is None else ngspice.path, **options,
    )  # fmt: skip


def error(report: kcompile.Report) -> float:
    assert report.summary.failed == 0
    assert report.summary.max_abs_error is not None
    return report.summary.max_abs_error


def test_near_ideal_parameters_pass_far_within_the_tolerance() -> None:
    for ngspice in every_ngspice():
        report = verified(ngspice)
        assert report.passed, report.reason
        assert error(report) < 0.02 * report.allowed


def test_a_real_gain_fails_by_what_bases_take() -> None:
    """A current of beta/(beta + 1) of what it should be: errors are as 1/beta."""
    for ngspice in every_ngspice():
        found = [verified(ngspice, parameters={"bf": beta}) for beta in (1e2, 1e3)]
        assert [report.verdict for report in found] == ["fail", "fail"]
        assert error(found[0]) / error(found[1]) == pytest.approx(10.0, rel=0.1)


def test_mirrors_of_transistors_need_an_early_voltage(ngspice: Ngspice) -> None:
    given = [{"mirrors": 1.0, "vaf": volts} for volts in (1e2, 1e6)]
    real, ideal = (verified(ngspice, parameters=parameters) for parameters in given)
    assert error(real) > 100 * real.allowed
    assert ideal.passed, ideal.reason


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.startswith("bjt")])
def test_presets_are_simulated_and_judged(ngspice: Ngspice, preset: str) -> None:
    report = verified(ngspice, device=preset, scale=SUITABLE[preset])
    assert report.compile.device_family == preset
    assert report.allowed < error(report) < 100 * report.allowed


def test_more_current_than_a_preset_is_made_for_is_worse(ngspice: Ngspice) -> None:
    errors = [
        error(verified(ngspice, device="bjt:sky130", scale=Scale(0.25, i0, 1e-9)))
        for i0 in (1e-6, 1e-3)
    ]
    assert errors[1] > 1.5 * errors[0]


def steep(a: float, b: float) -> Model:
    """One edge ``tanh(a*v_s + b*v_d)``."""
    edge = EdgeBatch("tanh", [1], [2], 0.5, a, b, 0.0)
    return Model(validate(Graph((Phase(2, 1.0, (edge,)),), 2, [1, 2])), "tanh")


@pytest.mark.parametrize("mirrors", [0.0, 1.0])
@pytest.mark.parametrize("a", [100.0, 1000.0, -1000.0])
def test_arguments_beyond_the_supplies_saturate_a_pair(a: float, mirrors: float) -> None:
    """Without a limit to its drive, the base would open its junction to the collector."""
    for ngspice in every_ngspice():
        for b in (-a, 0.5 * a):
            report = kcompile.verify(
                steep(a, b), inputs=np.array([[1.0, 0.0], [-1.0, 0.0]]), device="bjt",
                parameters={"mirrors": mirrors}, scale=SCALE, ngspice=ngspice.path,
            )  # fmt: skip
            assert report.passed, report.reason
            assert error(report) < 2e-4


@pytest.mark.parametrize("mirrors", [0.0, 1.0])
def test_so_they_do_in_a_network(mirrors: float) -> None:
    gentle = make_model(phi="tanh", nodes=(5,))
    (layer,) = gentle.graph.phases
    edges = replace(layer.batches[0], a=300.0, b=-300.0)
    graph = replace(gentle.graph, phases=(replace(layer, batches=(edges,)),))
    model = replace(gentle, graph=validate(graph))
    for ngspice in every_ngspice():
        report = kcompile.verify(
            model, inputs=np.array([[0.8, -1.3], [2.0, 0.1]]), device="bjt",
            parameters={"mirrors": mirrors}, scale=SCALE, ngspice=ngspice.path,
        )  # fmt: skip
        assert report.passed, report.reason


@pytest.mark.parametrize(("resistance", "value"), [("re", 2.0), ("rb", 2e6)])
@pytest.mark.usefixtures("ngspice")
def test_the_limit_leaves_room_for_what_resistances_drop(
    monkeypatch: pytest.MonkeyPatch, resistance: str, value: float
) -> None:
    """2 V of 1 A of tail, 40 of the argument: at 20 the pair is half way."""
    monkeypatch.setattr(device_transfer, "LIMIT", 60.0)
    setting = device_transfer.Setting(parameters={resistance: value})
    curve = device_transfer.transfer(setting, Scale(1.0, 1.0, 1e-15))
    assert curve.destination[[0, -1]] == pytest.approx([-1.0, 1.0], abs=1e-4)
    middle = np.interp(20.0, curve.x, curve.destination)
    assert middle == pytest.approx(0.5, abs=0.1)


@pytest.mark.usefixtures("ngspice")
def test_transfer_measures_any_familys_edge(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--device", "diode:1n4148", "--phi", "relu", "--sweep", "is=1e-3,1e-2"]
    assert device_transfer.main(given) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "**`diode:1n4148`, relu: is [i0]**"
    assert [line.split(" | ")[2].strip(" |") for line in said[4:6]] == ["1.0e-03", "9.9e-03"]


@pytest.mark.usefixtures("ngspice")
def test_transfer_says_in_one_line_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert device_transfer.main(["--device", "nosuch", "--sweep", "x=1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
