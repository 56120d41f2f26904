"""Monte Carlo goes on where it stopped, and with circuits of the same job alone."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from plans import INPUTS, SOME, same
from simulators import real_ngspice

import kcompile
from kcompile import ledger, resources
from kcompile.experiments import Plan, montecarlo
from kcompile.experiments.engines import Answer, OdeEngine, SpiceEngine

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
FRIEDMAN = GOLDEN / "friedman" / "model.safetensors"


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    model, plan = make_model(), Plan(SOME, runs=40, alone=0)
    whole = kcompile.montecarlo(model, plan, inputs=INPUTS)
    assert not list(tmp_path.iterdir())

    def stop(stage: str, done: int, total: int) -> None:
        if done == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        kcompile.montecarlo(model, plan, inputs=INPUTS, on_progress=stop)
    assert "again" in caught.value.__notes__[0]
    begun: list[int] = []
    real = OdeEngine.answer

    def count(self, drawn):
        begun.append(drawn.chance.index)
        return real(self, drawn)

    monkeypatch.setattr(OdeEngine, "answer", count)
    resumed = kcompile.montecarlo(model, plan, inputs=INPUTS)
    assert same(whole, resumed)
    assert len(set(begun)) == 25
    assert not list(tmp_path.iterdir())


def test_work_that_cannot_be_kept_is_not_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def stop(_part: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_end_last_line", full)
    with pytest.raises(KeyboardInterrupt) as caught:
        kcompile.montecarlo(make_model(), Plan(SOME, runs=3), inputs=INPUTS, on_progress=stop)
    (note,) = caught.value.__notes__
    assert note.startswith("finished work could not be kept: ")
    assert "no space left on device" in note.lower()


def test_other_plans_do_not_share_what_was_finished(tmp_path: Path) -> None:
    model, plan = make_model(), Plan(SOME, runs=2)
    keys = set()
    for changed in (
        plan, replace(plan, seed=1), replace(plan, tolerance=1e-4),
        replace(plan, variations=SOME.only(["mismatch"])),
    ):  # fmt: skip
        keys.add(identity(model, changed))
    assert len(keys) == 4


def identity(model, plan: Plan) -> str:
    chosen = montecarlo._samples(model, INPUTS, None, None, 0)
    return json.dumps(montecarlo._Run(model, plan, chosen, montecarlo._silent).identity())


def test_other_targets_are_another_job() -> None:
    """Circuits are kept with their metric, which belongs to the targets."""
    model, keys = kcompile.load(FRIEDMAN), set()
    for shift in (0.0, 0.1):
        chosen = montecarlo._samples(model, None, 8, None, 0)
        assert chosen.targets is not None
        chosen = replace(chosen, targets=chosen.targets + shift)
        run = montecarlo._Run(model, Plan(SOME, runs=2), chosen, montecarlo._silent)
        keys.add(json.dumps(run.identity()))
    assert len(keys) == 2


@pytest.mark.parametrize(("stage", "left"), [("one effect alone", 25), ("SPICE", 1)])
def test_all_that_was_finished_is_kept(
    stage: str, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Circuits, checks in SPICE, and draws of single effects."""
    real_ngspice()
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    model, plan = make_model(), Plan(SOME, runs=20, checks=3, alone=10)
    whole = kcompile.montecarlo(model, plan, inputs=INPUTS)
    effects = len(SOME.active)

    def stop(at: str, done: int, total: int) -> None:
        if at == stage and done == total - left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kcompile.montecarlo(model, plan, inputs=INPUTS, on_progress=stop)
    solved: list[int] = []
    simulated: list[int] = []
    solve, simulate = OdeEngine.answer, SpiceEngine.answer

    def count(self, drawn):
        solved.append(drawn.chance.index)
        return solve(self, drawn)

    def watch(self, drawn, finer=1):
        simulated.append(drawn.chance.index)
        return simulate(self, drawn, finer)

    monkeypatch.setattr(OdeEngine, "answer", count)
    monkeypatch.setattr(SpiceEngine, "answer", watch)
    resumed = kcompile.montecarlo(model, plan, inputs=INPUTS)
    assert same(whole, resumed)
    assert resumed.checks == whole.checks
    assert resumed.sensitivities == whole.sensitivities
    if stage == "SPICE":
        assert set(simulated) == {19}
        assert len(solved) == effects * 10
    else:
        assert simulated == []
        assert len(solved) == left
    assert list(tmp_path.iterdir()) == []


def test_a_circuit_that_failed_in_spice_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_ngspice()
    monkeypatch.setenv("KCOMPILE_STATE", str(tmp_path))
    asked: list[int] = []

    def fails(self, drawn, finer=1):
        asked.append(drawn.chance.index)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return Answer(np.full((len(INPUTS), 2), np.nan), None, "sample 0: out of time")

    monkeypatch.setattr(SpiceEngine, "answer", fails)
    plan = Plan(SOME, runs=3, engine="spice")
    with pytest.raises(KeyboardInterrupt):
        kcompile.montecarlo(make_model(), plan, inputs=INPUTS)
    found = kcompile.montecarlo(make_model(), plan, inputs=INPUTS)
    assert asked == [0, 1, 2, 0, 1, 2]
    assert [circuit.problem for circuit in found.circuits] == ["sample 0: out of time"] * 3


def test_other_targets_heads_and_families_do_not_share_what_was_finished(tmp_path: Path) -> None:
    real_ngspice()
    family = tmp_path / "pdk" / "switch"
    shutil.copytree(resources.data_folder("pdk") / "switch", family)
    keys = set()
    for roff in ("1e9", "1e3"):
        path = family / "family.toml"
        path.write_text(path.read_text().replace("default = 1e9", f"default = {roff}"))
        options = kcompile.CompileOptions(device="switch", pdk=tmp_path / "pdk")
        plan = Plan(SOME, runs=2, engine="spice", options=options)
        chosen = montecarlo._samples(make_model(), INPUTS, None, None, 0)
        for targets in (None, np.zeros(3), np.ones(3)):
            run = montecarlo._Run(
                make_model(), plan, replace(chosen, targets=targets), montecarlo._silent
            )
            keys.add(json.dumps(run.identity(), sort_keys=True))
    assert len(keys) == 6
