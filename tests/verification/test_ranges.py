"""``-O3`` from end to end: ranges are found, watched and widened, and the bound is stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model

import kcompile
from kcompile.compiler import CompileOptions, compile_model
from kcompile.devices import library
from kcompile.ir import derivative
from kcompile.passes import Approximation, VoltageRange
from kcompile.reference import solve
from kcompile.verification import approximated, ranges, verify_model

INPUTS = np.array([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]])
IDEAL = CompileOptions(device="ideal", opt_level=3)


@pytest.fixture(scope="module")
def model():
    return make_model(nodes=(4, 4), phi="tanh")


def narrow(model, width: float = 0.01) -> Approximation:
    """Ranges that every trajectory leaves."""
    found = tuple(
        VoltageRange(np.full(p.nodes, -width), np.full(p.nodes, width)) for p in model.graph.phases
    )
    return Approximation(found, 1e-4)


def test_a_network_of_tanh_passes_with_few_devices(model, ngspice):
    report = verify_model(model, IDEAL, inputs=INPUTS, tolerance=1e-2, ngspice=ngspice.path)
    assert report.passed, report.reason
    assert report.compile.opt_level == 3
    assert report.compile.elements == {"B": 20, "C": 8}  # a table for each pair, ground included
    total = sum(step.error_bound for step in report.compile.passes)
    allowed = report.allowed * ranges.SHARE / model.graph.duration
    assert 0 < total <= allowed * (1 + 1e-9)
    assert any(f"within {total:.3g}" in note for note in report.notes)
    assert not any("left the voltage ranges" in note for note in report.notes)


def test_the_circuit_follows_the_network_everywhere_near_its_trajectories(model):
    initial = model.initial_voltages(INPUTS)
    compiled = compile_model(model, approximated(model, IDEAL, initial))
    reference = solve(model.graph, initial, 1e-3)
    for sample in range(3):
        for k, phase in enumerate(model.graph.phases):
            v = reference.at(sample, k, np.linspace(0, phase.duration, 50))
            off = np.abs(derivative(model.graph, k, v) - derivative(compiled.graph, k, v))
            assert 0 < off.max() <= compiled.error_bound


def test_samples_that_leave_the_ranges_run_again_in_a_wider_circuit(model, ngspice):
    options = replace(IDEAL, approximation=narrow(model))
    report = verify_model(model, options, inputs=INPUTS, ngspice=ngspice.path)
    assert report.passed, report.reason
    assert any(
        note.startswith("3 samples (0, 1, 2) left the voltage ranges of -O3 and ran again")
        for note in report.notes
    )
    assert not any("widest" in note for note in report.notes)
    assert [sample.index for sample in report.samples] == [0, 1, 2]
    assert report.evidence is not None
    assert report.evidence.sample == 0


def test_only_those_that_left_run_again(model, ngspice):
    initial = model.initial_voltages(INPUTS)
    options = approximated(model, IDEAL, initial[:1])
    report = verify_model(model, options, inputs=INPUTS, ngspice=ngspice.path)
    assert report.passed, report.reason
    assert any(note.startswith("2 samples (1, 2) left the voltage ranges") for note in report.notes)


def test_a_simulation_says_which_samples_left(model, ngspice):
    options = approximated(model, IDEAL, model.initial_voltages(INPUTS[:1]))
    said = [
        kcompile.simulate(given, INPUTS, ngspice=ngspice.path, **settings).left_ranges
        for given, settings in (
            (compile_model(model, options), {}), (model, {"options": IDEAL}), (model, {}),
        )
    ]  # fmt: skip
    assert said == [(1, 2), (), ()]


def test_what_could_not_be_mended_is_said(model, ngspice, monkeypatch):
    monkeypatch.setattr(ranges, "ATTEMPTS", 0)
    options = replace(IDEAL, approximation=narrow(model))
    report = verify_model(model, options, inputs=INPUTS[:1], ngspice=ngspice.path)
    assert any("sample 0 left the widest ranges too" in note for note in report.notes)


def test_many_samples_in_sessions(model, ngspice, monkeypatch, tmp_path):
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    inputs = np.random.default_rng(0).normal(size=(12, 2))
    options = approximated(model, IDEAL, model.initial_voltages(inputs[:2]))
    report = verify_model(model, options, inputs=inputs, ngspice=ngspice.path)
    assert report.passed, report.reason
    assert any("left the voltage ranges of -O3 and ran again" in note for note in report.notes)


@pytest.mark.skipif(library() is None, reason="built without compiled devices")
@pytest.mark.parametrize("family", ["native", "native-pair"])
def test_compiled_devices_compute_the_same_tables(model, ngspice, family):
    if "osdi" not in ngspice.features:
        pytest.skip("this ngspice loads no compiled devices")
    options = approximated(model, IDEAL, model.initial_voltages(INPUTS))
    plain = kcompile.simulate(model, INPUTS, ngspice=ngspice.path, options=options)
    other = replace(options, device=family)
    compiled = kcompile.simulate(model, INPUTS, ngspice=ngspice.path, options=other)
    exact = solve(model.graph, model.initial_voltages(INPUTS), 1e-6).outputs
    assert np.abs(plain.outputs - exact).max() > 1e-7
    np.testing.assert_allclose(compiled.outputs, plain.outputs, atol=2e-5)


def test_given_decks_need_no_ranges(model, ngspice, tmp_path, monkeypatch):
    kcompile.write_netlist(model, tmp_path / "deck", inputs=INPUTS[0], options=IDEAL)
    text = (tmp_path / "deck" / "layer1.cir").read_text()
    assert "-O3: every node's current is within" in text
    assert "*tanh(" not in text
    monkeypatch.setattr(ranges, "solve", None)
    report = verify_model(
        model, IDEAL, inputs=INPUTS[0], ngspice=ngspice.path, deck=tmp_path / "deck"
    )
    assert report.passed, report.reason
    assert report.compile.opt_level == 3


def test_the_margin_grows_with_the_samples_that_are_not_solved(model):
    few = model.initial_voltages(np.random.default_rng(0).normal(size=(ranges.PROBES, 2)) / 3)
    many = np.repeat(few, 100, axis=0)
    one, other = (approximated(model, IDEAL, initial).approximation for initial in (few, many))
    assert one is not None
    assert other is not None
    for narrower, wider in zip(one.ranges, other.ranges, strict=True):
        assert wider.holds(narrower)
        grown = (wider.high - wider.low) / (narrower.high - narrower.low)
        assert (grown > 1.2).all()


def test_exact_levels_and_given_approximations_are_left_alone(model, monkeypatch):
    monkeypatch.setattr(ranges, "solve", None)
    initial = model.initial_voltages(INPUTS)
    given = replace(IDEAL, approximation=narrow(model))
    for options in (given, CompileOptions(), CompileOptions(opt_level=2)):
        assert approximated(model, options, initial) is options
    assert ranges.exact(given).opt_level == 2
    assert ranges.exact(CompileOptions()) == CompileOptions()


def test_a_tighter_tolerance_makes_tighter_tables(model):
    initial = model.initial_voltages(INPUTS)
    bounds = [
        compile_model(model, approximated(model, IDEAL, initial, tolerance)).error_bound
        for tolerance in (1e-1, 1e-2, 1e-3)
    ]
    assert bounds[0] > 5 * bounds[1] > 25 * bounds[2] > 0
