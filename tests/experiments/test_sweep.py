"""Sweeps: the same circuits at every value, and only what answers can see."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from simulators import real_ngspice

import kcompile
from kcompile.errors import UsageError
from kcompile.experiments import Plan, parse_values
from kcompile.experiments.engines import OdeEngine
from kcompile.variations import read_variations

INPUTS = np.array([[0.3, -0.4], [1.0, 0.5]])


def test_values() -> None:
    assert parse_values("1,2.5,1e-3") == (1.0, 2.5, 1e-3)
    assert parse_values("0:1:5") == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert parse_values("1:100:3:log") == pytest.approx((1, 10, 100))
    for bad in ("", "a", "1:2", "1:2:1", "1:2:3:lin", "0:1:3:log:x", "-1:1:3:log"):
        with pytest.raises(UsageError, match="names no values"):
            parse_values(bad)


def test_errors_grow_with_the_strength_and_vanish_without(tmp_path: Path) -> None:
    found = kcompile.sweep(
        make_model(), "mismatch.gain", (0.0, 0.01, 0.1), Plan(read_variations([]), 10),
        inputs=INPUTS,
    )  # fmt: skip
    errors = [point.spreads["rms_error"].mean for point in found.points]
    assert errors[0] == 0.0
    assert errors[2] == pytest.approx(10 * errors[1], rel=0.3)
    assert found.header() == ("mismatch.gain", "rms error", "max error", "failed")
    assert [row[0] for row in found.rows()] == ["0", "0.01", "0.1"]
    files = found.write(tmp_path)
    assert {file.name for file in files} == {"sweep.json", "sweep.png"}
    said = json.loads((tmp_path / "sweep.json").read_text())
    assert [point["value"] for point in said["points"]] == [0.0, 0.01, 0.1]


def test_a_long_sweep_has_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    opened: list[int] = []
    kcompile.sweep(
        make_model(), "mismatch.gain", np.linspace(0.01, 0.1, 20).tolist(),
        Plan(read_variations([]), 1), inputs=INPUTS,
        on_progress=lambda *_: opened.append(len(list(Path("/dev/fd").iterdir()))),
    )  # fmt: skip
    assert max(opened) - min(opened) < 5
    assert not list(tmp_path.iterdir())


def test_an_interrupted_sweep_goes_on_with_its_finished_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    plan, values = Plan(read_variations([]), 3), (0.01, 0.02, 0.03)
    whole = kcompile.sweep(make_model(), "mismatch.gain", values, plan, inputs=INPUTS)

    def stop(_part: str, done: int, _total: int) -> None:
        begun.append(done)
        if len(begun) == 8:
            raise KeyboardInterrupt

    begun: list[int] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        kcompile.sweep(make_model(), "mismatch.gain", values, plan, inputs=INPUTS, on_progress=stop)
    assert caught.value.__notes__ == ["run the same command again to go on from here"]
    assert len(list(tmp_path.iterdir())) == 3
    worked: list[int] = []
    real = OdeEngine.answer
    monkeypatch.setattr(
        OdeEngine, "answer", lambda self, drawn: (worked.append(1), real(self, drawn))[1]
    )
    resumed = kcompile.sweep(make_model(), "mismatch.gain", values, plan, inputs=INPUTS)
    assert 0 < len(worked) <= 3
    assert list(resumed.rows()) == list(whole.rows())
    assert not list(tmp_path.iterdir())


def test_what_the_equations_do_not_know_wants_spice() -> None:
    plan = Plan(read_variations([]), 1)
    for key in ("scale", "c0", "device.roff", "temperature"):
        with pytest.raises(UsageError, match="do not know"):
            kcompile.sweep(make_model(), key, (1.0, 2.0), plan, inputs=INPUTS)
    with pytest.raises(UsageError, match="no effect"):
        kcompile.sweep(make_model(), "mismach.gain", (1.0,), plan, inputs=INPUTS)


def test_devices_without_a_temperature_are_not_swept_over_it() -> None:
    options = kcompile.CompileOptions(device="switch")
    plan = Plan(read_variations([]), 1, engine="spice", options=options)
    with pytest.raises(UsageError, match="devices of switch know no temperature"):
        kcompile.sweep(make_model(), "temperature", (0.0, 80.0), plan, inputs=INPUTS)


def test_spice_sweeps_devices_and_scales() -> None:
    real_ngspice()
    plan = Plan(
        read_variations([]), 1, engine="spice", options=kcompile.CompileOptions(device="switch")
    )
    for given in (plan, replace(plan, variations=read_variations(["device.roff=1e9"]))):
        leaky = kcompile.sweep(make_model(), "device.roff", (1e3, 1e6), given, inputs=INPUTS)
        errors = [point.spreads["rms_error"].mean for point in leaky.points]
        assert errors[0] > 50 * errors[1]
    scales = kcompile.sweep(make_model(), "scale", (1e-15, 1.0), plan, inputs=INPUTS)
    one, other = (point.spreads["rms_error"].mean for point in scales.points)
    assert one == pytest.approx(other, rel=1e-2)
