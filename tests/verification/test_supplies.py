"""Energy from supplies: of made-up waveforms by arithmetic, of circuits by what they must draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from simulators import every_ngspice, real_ngspice

import kcompile
from kcompile.netlist import Family
from kcompile.simulation import Waveforms
from kcompile.units import Scale
from kcompile.verification.supplies import supply_energy

SCALE = Scale(0.1, 1e-5, 1e-12)


def wave(*names: str, columns: list[list[float]]) -> Waveforms:
    return Waveforms(names, np.array([0.0, 1.0, 4.0]), np.array(columns).T)


def family(**volts: float) -> Family:
    return Family("mine", (Path(),), volts, supplies=tuple(volts))


def test_a_source_that_gives_current_delivers_energy() -> None:
    """Areas 2 and 6 A s under two straight lines, at 5 V; the node's voltage is not a current."""
    one = wave("n1", "i(vcc)", columns=[[9.0] * 3, [-1.0, -3.0, -1.0]])
    assert supply_energy(family(vcc=5.0), {"a": one}) == pytest.approx(5.0 * 8.0)


def test_supplies_and_layers_add_up() -> None:
    one = wave("i(vcc)", "i(vee)", columns=[[-1.0] * 3, [0.5] * 3])
    two = wave("i(vee)", "i(vcc)", columns=[[0.0] * 3, [0.25] * 3])
    found = supply_energy(family(vcc=5.0, vee=-2.0), {"a": one, "b": two})
    assert found == pytest.approx(5.0 * 4.0 + 2.0 * 0.5 * 4.0 - 5.0 * 0.25 * 4.0)


def test_nothing_is_said_without_supplies_or_their_currents() -> None:
    one = wave("n1", columns=[[0.0] * 3])
    assert supply_energy(family(), {"a": one}) is None
    assert supply_energy(family(vcc=5.0), {"a": one}) is None
    assert supply_energy(family(vcc=5.0), {}) is None


@pytest.mark.parametrize("single", [False, True], ids=["layers", "single"])
@pytest.mark.parametrize("mirrors", [0, 1])
def test_a_pair_draws_its_tail_current_from_both_supplies(mirrors: int, single: bool) -> None:
    """Once itself; with mirrors of transistors also once a copy: from vcc two, into vee two."""
    model = make_model(phi="tanh")
    expected = sum(
        float(np.abs(batch.column("w")).sum()) * phase.duration
        for phase in model.graph.phases
        for batch in phase.batches
    )
    expected *= SCALE.i0 * SCALE.time_unit * (3.0 + 2.0) * (3 if mirrors else 1)
    for ngspice in every_ngspice():
        report = kcompile.verify(
            model, inputs=[[0.3, -0.2]], device="bjt", scale=SCALE, single_deck=single,
            parameters={"mirrors": mirrors, "vcc": 3.0, "vee": -2.0}, ngspice=ngspice.path,
        )  # fmt: skip
        assert report.passed, report.reason
        # Mirrors also charge the nodes: the rails see the difference of the node's currents.
        assert report.energy["measured_supply_j"] == pytest.approx(expected, rel=1e-3)
        assert report.samples[0].supply_energy_j == report.energy["measured_supply_j"]


def test_many_samples_measure_it_too() -> None:
    model, inputs = make_model(phi="tanh"), np.random.default_rng(0).normal(size=(9, 2))
    many = kcompile.verify(
        model, inputs=inputs, device="bjt", scale=SCALE, ngspice=real_ngspice().path
    )
    assert many.passed, many.reason
    assert many.simulator.acceleration is not None
    one = kcompile.verify(
        model, inputs=inputs[:1], device="bjt", scale=SCALE, ngspice=real_ngspice().path
    )
    energies = [sample.supply_energy_j for sample in many.samples]
    assert energies == pytest.approx([one.energy["measured_supply_j"]] * 9, rel=1e-6)


def test_families_without_supplies_say_nothing_of_energy() -> None:
    report = kcompile.verify(make_model(), inputs=[[0.3, -0.2]], ngspice=real_ngspice().path)
    assert "measured_supply_j" not in report.energy
    assert "supply_energy_j" not in report.to_dict()["samples"][0]
