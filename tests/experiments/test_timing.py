"""Timing among the variations: what hurts, and what contradicts itself."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model
from simulators import real_ngspice

import kcompile
from kcompile.errors import UsageError
from kcompile.experiments import Plan
from kcompile.ir import Fill
from kcompile.timing import Timing
from kcompile.variations import read_variations

INPUTS = np.array([[0.3, -0.4], [1.0, 0.5]])


def test_a_sweep_finds_that_late_gates_hurt_and_dead_time_does_not() -> None:
    plan = Plan(read_variations([]), 1)

    def errors(key: str) -> list[float]:
        found = kcompile.sweep(make_model(phi="tanh"), key, (0.0, 0.01, 0.02), plan, inputs=INPUTS)
        return [point.spreads["max_error"].mean for point in found.points]

    late, dead = errors("timing.late"), errors("timing.dead")
    assert late[0] == dead[0] == 0.0
    assert late[2] == pytest.approx(2 * late[1], rel=0.1)
    assert max(dead) < 1e-2 * late[1]


def test_one_circuit_is_verified_with_its_timing() -> None:
    report = kcompile.verify(
        make_model(phi="tanh"), inputs=INPUTS, ngspice=real_ngspice().path,
        variations=read_variations(["timing.late=0.05", "mismatch.gain=0.02"]),
    )  # fmt: skip
    assert report.verdict == "pass", report.reason
    assert report.timing is not None
    assert report.timing.values["late"] == 0.05
    assert report.variations["from_ideal"]["max_abs_error"] > 0.01


def test_two_timings_are_one_too_many() -> None:
    options = kcompile.CompileOptions(single_deck=True, timing=Timing(dead=0.1))
    with pytest.raises(UsageError, match="--vary timing.NAME=VALUE"):
        Plan(read_variations([]), 1, options=options)
    with pytest.raises(UsageError, match="two timings"):
        kcompile.verify(
            make_model(), inputs=INPUTS, options=options,
            variations=read_variations(["timing.late=0.05"]),
        )  # fmt: skip


def test_what_no_wire_can_do_has_no_timing() -> None:
    model = make_model(nodes=(3, 4), fill=Fill.REPEAT)
    plan = Plan(read_variations(["timing.dead=0.1"]), 1)
    with pytest.raises(UsageError, match="repeats voltages on new nodes"):
        kcompile.montecarlo(model, plan, inputs=INPUTS, resume=False)
