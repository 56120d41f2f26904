"""Monte Carlo: repeatable, and in SPICE the same circuits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from plans import INPUTS, SOME, same
from simulators import every_ngspice, real_ngspice

import kcompile
from kcompile.errors import UsageError
from kcompile.experiments import Plan
from kcompile.experiments.engines import OdeEngine, SpiceEngine
from kcompile.ir import Fill
from kcompile.reference import solve
from kcompile.variations import draw, read_variations

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
FRIEDMAN = GOLDEN / "friedman" / "model.safetensors"


def test_the_same_plan_gives_the_same_circuits_however_many() -> None:
    model = make_model()
    plan = Plan(SOME, runs=30, alone=0)
    few, many = (
        kcompile.montecarlo(model, replace(plan, runs=runs), inputs=INPUTS) for runs in (10, 30)
    )
    assert same(few, replace(many, circuits=many.circuits[:10]))
    other = kcompile.montecarlo(model, replace(plan, seed=1), inputs=INPUTS)
    assert not same(many, other)
    assert many.spreads["rms_error"].count == 30
    assert many.failed == 0


def test_without_effects_circuits_are_the_ideal_one() -> None:
    found = kcompile.montecarlo(make_model(), Plan(read_variations([]), runs=3), inputs=INPUTS)
    assert [c.max_error for c in found.circuits] == [0.0, 0.0, 0.0]
    assert found.sensitivities == ()


def test_the_fast_answers_are_those_of_the_reference() -> None:
    model = make_model(phi="tanh")
    engine = OdeEngine(model, INPUTS, 1e-3)
    for index in range(5):
        drawn = draw(model, SOME, 0, index)
        exact = solve(drawn.model.graph, drawn.initial_voltages(INPUTS), 1e-6)
        assert engine.answer(drawn).outputs == pytest.approx(exact.outputs, abs=1e-4)


def test_circuits_get_the_steps_that_they_want() -> None:
    """Steps are settled at the ideal network; a circuit with steeper devices wants more."""
    model = make_model(phi="tanh")
    wild = read_variations(["mismatch.gain=20", "leakage.conductance=3", "leakage.hold=30"])
    engine = OdeEngine(model, INPUTS, 1e-3)
    asked = engine.steps
    found = kcompile.montecarlo(model, Plan(wild, runs=6, alone=0), inputs=INPUTS)
    for circuit in found.circuits:
        drawn = draw(model, wild, 0, circuit.index)
        answer = engine.answer(drawn)
        exact = solve(drawn.model.graph, drawn.initial_voltages(INPUTS), 1e-6).outputs
        assert answer.outputs == pytest.approx(exact, abs=1e-3 * max(1, np.abs(exact).max()))
        assert answer.moved == circuit.solver_error
    assert engine.steps == asked


def test_circuits_that_no_steps_solve_have_no_answer_and_say_why() -> None:
    stiff = read_variations(["leakage.conductance=1e5"])
    plan = Plan(stiff, runs=3, alone=0, specification="rms_error<=1e9")
    found = kcompile.montecarlo(make_model(phi="tanh"), plan, inputs=INPUTS)
    assert found.failed == 3
    assert found.yields is not None
    assert found.yields.good == 0
    assert "equal steps" in str(found.first_problem)


def test_effects_whose_circuits_run_away_have_no_bar() -> None:
    words = ["mismatch.gain=1e8", "programming.proportional=0.01", "capacitors.mismatch=0.01"]
    plan = Plan(read_variations(words), runs=10, alone=10)
    found = kcompile.montecarlo(make_model(), plan, inputs=INPUTS)
    assert found.sensitivities[0].rms_error == np.inf
    bars = found.plot().figures["effects"].axes[0].patches
    assert len(bars) == 2


def test_effects_alone_are_ranked() -> None:
    words = ["mismatch.gain=0.1", "programming.proportional=0.001", "capacitors.mismatch=0.01"]
    found = kcompile.montecarlo(make_model(), Plan(read_variations(words), 20), inputs=INPUTS)
    assert [each.effect for each in found.sensitivities] == [
        "mismatch", "capacitors", "programming",
    ]  # fmt: skip
    errors = [each.rms_error for each in found.sensitivities]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 5 * errors[2]


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_circuits_in_spice_are_the_same_circuits(phi: str) -> None:
    words = ["noise.density=1e-3", "noise.step=0.05", "leakage.hold=0.1", "stuck.on=0.05"]
    variations = read_variations([*words, "temperature.celsius=60"])
    both = kcompile.variations.Variations({**SOME.effects, **variations.effects})
    for ngspice in every_ngspice():
        plan = Plan(both, runs=20, checks=4, ngspice=ngspice.path, alone=0)
        found = kcompile.montecarlo(make_model(phi=phi), plan, inputs=INPUTS)
        assert len(found.checks) == 4
        assert found.agreed, found.checks
        assert max(check.difference for check in found.checks) > 0


def test_a_circuit_that_is_another_in_spice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real_ngspice()
    real = SpiceEngine.answer

    def other(self, drawn, finer=1):
        wrong = draw(make_model(), SOME, 99, drawn.chance.index)
        return real(self, wrong, finer)

    monkeypatch.setattr(SpiceEngine, "answer", other)
    found = kcompile.montecarlo(make_model(), Plan(SOME, runs=5, checks=2), inputs=INPUTS)
    assert not found.agreed


def test_a_deck_whose_steps_are_too_coarse_is_simulated_finer() -> None:
    real_ngspice()
    plan = Plan(SOME, runs=2, checks=2, tolerance=3e-7)
    found = kcompile.montecarlo(make_model(phi="tanh"), plan, inputs=INPUTS)
    assert found.agreed, found.checks
    assert max(check.finer for check in found.checks) > 1


def test_spice_answers_for_every_circuit_where_asked() -> None:
    real_ngspice()
    plan = Plan(SOME, runs=3, engine="spice")
    by_spice = kcompile.montecarlo(make_model(), plan, inputs=INPUTS)
    by_ode = kcompile.montecarlo(make_model(), replace(plan, engine="ode"), inputs=INPUTS)
    for one, other in zip(by_spice.circuits, by_ode.circuits, strict=True):
        assert one.max_error == pytest.approx(other.max_error, abs=0.04)  # a level of the read-out
        assert one.max_error > 0


def test_device_parameters_want_spice() -> None:
    variations = read_variations(["device.roff=1e3"])
    with pytest.raises(UsageError, match="use --engine spice"):
        kcompile.montecarlo(make_model(), Plan(variations), inputs=INPUTS)
    real_ngspice()
    plan = Plan(
        variations, runs=1, engine="spice", options=kcompile.CompileOptions(device="switch")
    )
    leaky = kcompile.montecarlo(make_model(), plan, inputs=INPUTS)
    tight = kcompile.montecarlo(
        make_model(), replace(plan, variations=read_variations([])), inputs=INPUTS
    )
    assert leaky.circuits[0].max_error > 5 * tight.circuits[0].max_error


def test_circuits_that_run_away_are_counted() -> None:
    """A conductance that is negative by more than anything holds it: no answer."""
    model = make_model()
    found = kcompile.montecarlo(
        model, Plan(read_variations(["mismatch.gain=1e8"]), runs=10, alone=0), inputs=INPUTS
    )
    assert found.failed > 0
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["failed"] == found.failed


def test_the_report_has_everything(tmp_path: Path) -> None:
    plan = Plan(read_variations(["mismatch.gain=0.02", "mismatch.offset=0.01"]), runs=20,
                specification="mse<=1")  # fmt: skip
    found = kcompile.montecarlo(FRIEDMAN, plan)
    files = found.write(tmp_path / "report")
    assert {file.name for file in files} == {"montecarlo.json", "circuits.png"}
    said = json.loads((tmp_path / "report" / "montecarlo.json").read_text())
    assert said["schema"] == "kcompile.montecarlo/1"
    assert said["yields"]["share"] == 1.0
    assert len(said["circuits"]) == 20
    assert {"mse", "max_error", "rms_error"} == set(said["spreads"])
    assert said["ideal_metric"] < said["spreads"]["mse"]["mean"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"runs": 0}, "--runs"),
        ({"engine": "verilog"}, "ode or spice"),
        ({"tolerance": 0}, "between"),
        (
            {
                "variations": read_variations(["temperature.celsius=80"]),
                "options": kcompile.CompileOptions(temperature=60.0),
            },
            "two temperatures",
        ),
    ],
)
def test_plans_out_of_range(fields: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Plan(**{"variations": SOME, **fields})


def test_thermal_devices_follow_the_temperature_by_themselves() -> None:
    """A differential pair at 80 degrees does what the law with a flatter tanh says."""
    real_ngspice()
    variations = read_variations(["temperature.celsius=80", "mismatch.gain=0.01"])
    bjt = kcompile.CompileOptions(device="bjt", scale=kcompile.Scale(0.25, 1e-5, 1e-12))
    plan = Plan(variations, runs=2, checks=2, options=bjt)
    found = kcompile.montecarlo(make_model(phi="tanh"), plan, inputs=INPUTS)
    assert found.agreed, found.checks
    cold = replace(plan, variations=variations.without(["temperature"]))
    assert (
        found.circuits != kcompile.montecarlo(make_model(phi="tanh"), cold, inputs=INPUTS).circuits
    )


def test_a_circuit_far_out_is_told_and_does_not_squeeze_the_others() -> None:
    found = kcompile.montecarlo(make_model(), Plan(SOME, runs=200, alone=0), inputs=INPUTS)
    first = replace(found.circuits[0], rms_error=100.0)
    odd = replace(found, circuits=(first, *found.circuits[1:]))
    for each, label in ((found, None), (odd, "1 more further out")):
        axes = each.plot().figures["circuits"].axes[0]
        legend = axes.get_legend()
        assert legend is not None
        labels = [text.get_text() for text in legend.get_texts()]
        assert (label in labels) == (label is not None)
        assert axes.get_xlim()[1] < 10


def test_timing_is_another_for_every_circuit_and_the_same_in_spice() -> None:
    real_ngspice()
    words = ["timing.skew=0.02", "timing.dead=0.05", "timing.leak=0.01", "mismatch.gain=0.02"]
    plan = Plan(read_variations(words), runs=4, checks=2, alone=0)
    found = kcompile.montecarlo(make_model(phi="tanh"), plan, inputs=INPUTS)
    assert found.agreed, found.checks
    assert len({circuit.rms_error for circuit in found.circuits}) == 4
    with pytest.raises(UsageError, match="one transient"):
        Plan(read_variations([*words, "noise.density=1e-3"]))


def test_inputs_that_are_repeated_are_set_by_the_converter_once() -> None:
    real_ngspice()
    model = make_model(nodes=(3, 5, 5), fill=Fill.REPEAT, residual=1)
    plan = Plan(read_variations(["input.offset=0.2", "input.noise=0.1"]), runs=2, checks=2)
    found = kcompile.montecarlo(model, plan, inputs=INPUTS)
    assert found.agreed, found.checks


def test_bounded_levels_are_bounded_near_each_circuits_own_trajectories() -> None:
    real_ngspice()
    options = kcompile.CompileOptions(device="ideal", opt_level=3)
    plan = Plan(SOME, runs=2, checks=2, alone=0, options=options)
    assert kcompile.montecarlo(make_model(phi="tanh"), plan, inputs=INPUTS).agreed


def test_samples_that_nobody_has_are_not_replaced_by_zeros() -> None:
    with pytest.raises(UsageError, match="no test samples"):
        kcompile.montecarlo(make_model(), Plan(SOME, runs=1), samples=8)


def test_temperatures_that_only_one_side_would_know_are_refused() -> None:
    bjt = kcompile.CompileOptions(device="bjt")
    with pytest.raises(UsageError, match="programmed for 27"):
        Plan(read_variations(["temperature.celsius=80", "temperature.nominal=60"]), options=bjt)
    with pytest.raises(UsageError, match=r"temperature\.celsius"):
        Plan(SOME, checks=1, options=replace(bjt, temperature=80.0))


def test_timing_wants_layers_that_wires_can_join() -> None:
    """A residual, or repeated voltages, would be dropped without a word."""
    plan = Plan(read_variations(["timing.overlap=0.01"]), runs=1)
    for model in (
        make_model(nodes=(3, 3, 3), residual=0),
        make_model(nodes=(3, 5), fill=Fill.REPEAT),
        make_model(nodes=(3, 2, 3)),
    ):
        with pytest.raises(UsageError, match=r"no wire|already|charged"):
            kcompile.montecarlo(model, plan, inputs=INPUTS)


def test_a_single_circuit_has_no_interval() -> None:
    found = kcompile.montecarlo(make_model(), Plan(SOME, runs=1), inputs=INPUTS)
    assert "nan" not in str(found.table())
