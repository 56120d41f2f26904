"""The measurements run and mean what they say; how long anything takes is not asserted."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from simulators import real_ngspice

from benchmarks import __main__ as program
from benchmarks import (
    commands,
    emission,
    growth,
    kernels,
    large,
    naive,
    simulations,
    solves,
)
from benchmarks.measuring import QUICK, Result, one_core, run_child
from benchmarks.networks import mixed_relu
from benchmarks.plain import PlainLayer
from kcompile.ir import derivative

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_measured_in_one_run(tmp_path: Path) -> None:
    real_ngspice()  # required in CI
    versions = [simulator.version for simulator in simulations.simulators()]
    report = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(report)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(report.read_text())
    assert all(
        list(entry) == ["name", "ours", "baseline", "ratio", "unit", "what"] for entry in results
    )
    names = [entry["name"] for entry in results]
    assert len(set(names)) == len(names)
    for version in versions:
        assert f"simulate -O2 / -O0, ngspice {version}" in names
        assert f"ngspice {version}: where the time goes" in done.stdout
    assert {"kcompile --help / python -c pass", "write edges / one looped jinja2 template"} <= set(
        names
    )
    assert {
        "dv/dt / plain torch",
        "dv/dt and gradients / plain torch",
        "train friedman-s / odeint_adjoint on plain torch",
        "reference / torchdiffeq on plain torch",
    } <= set(names)
    assert {
        "write edges / PySpice objects",
        "mnist-shaped, construct ideal -O0 / PySpice objects: time",
        "12 inputs of 2 nodes, sessions / a process each",
    } <= set(names)
    for version in versions:
        assert f"mnist-shaped, ideal -O2 / naive, ngspice {version}" in names
        assert f"ngspice {version}: mnist-shaped, 11864 edges" in done.stdout
    assert "CPU time of a Newton iteration against edges" in done.stdout
    assert "4 of 4 layers (8842960 edges): " in done.stdout
    for entry in results:
        assert entry["ours"] > 0
        assert entry["ratio"] == pytest.approx(entry["baseline"] / entry["ours"])
        assert f"| {entry['name']} | " in done.stdout


def test_a_comparison_of_different_answers_is_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    void = Result("a / b", 1.0, 10.0, "s", "what was done", "the answers are 0.5 apart")
    assert void.ratio is None
    report = tmp_path / "bench.json"
    monkeypatch.setattr(commands, "results", lambda *_: iter([void]))
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "commands", "--output", str(report)])
    assert program.main() == 1
    entry = json.loads(report.read_text())[0]
    assert entry["ratio"] is None
    assert entry["what"] == "ERROR: the answers are 0.5 apart; what was done"
    assert "| a / b | 1 | 10 | s | ERROR |" in capsys.readouterr().out


def test_without_a_gpu_its_part_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "bench.json"
    monkeypatch.setattr(kernels, "has_gpu", lambda: False)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "gpu", "--output", str(report)])
    assert program.main() == 0
    assert json.loads(report.read_text()) == []
    assert "no CUDA device: the part gpu is left out" in capsys.readouterr().err


def test_solves_of_both_ways_have_the_same_gradients() -> None:
    ours, plain, _ = kernels._ways(6, "cpu", double=True)
    for mine, theirs in zip(ours.solve(), plain.solve(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_an_interruption_leaves_no_half_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_):
        yield Result("a", 1.0, 1.0, "s", "")
        raise KeyboardInterrupt

    report = tmp_path / "bench.json"
    monkeypatch.setattr(commands, "results", interrupted)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "commands", "--output", str(report)])
    assert program.main() == 130
    assert not report.exists()


def test_ways_that_write_something_else_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emission, "_looped", lambda circuit: list(emission._ours(circuit))[:-1])
    first = next(emission.results(QUICK, lambda _: None))
    assert first.error == "the texts differ"


def test_a_naive_deck_of_another_network_voids_its_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, task = real_ngspice(), large._task(QUICK, None)
    monkeypatch.setitem(naive._FUNCTIONS, "relu", "1.1*max(0,{})")
    first = next(large._on(program, task, large.FEWEST, tmp_path, lambda _: None, []))
    assert first.error is not None
    assert "of the range" in first.error


def test_a_fitted_exponent_is_that_of_the_points(tmp_path: Path) -> None:
    points = [growth.Point(10**k, k, 3.0 * 10 ** (1.2 * (k - 6)), 1.0, 0.0) for k in (3, 4, 6)]
    assert growth.fit(points) == pytest.approx((1.2, 3.0))
    assert growth.fit(points[:1]) is None
    growth.draw({"native": points, "ideal": points[:1]}, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes()[:4] == b"\x89PNG"


def test_the_plain_form_is_the_circuits() -> None:
    """A baseline that computes something else would be no baseline."""
    checkpoint = mixed_relu(5)
    (batch,) = checkpoint.phases[0].batches
    plain = PlainLayer(batch.src, batch.dst, torch.as_tensor(batch.params).double())
    v = np.random.default_rng(0).normal(size=(3, checkpoint.phases[0].nodes))
    expected = derivative(checkpoint.model().graph, 0, v)
    found = plain(0.0, torch.as_tensor(v)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_other_numbers_make_every_comparison_of_the_kernel_void(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = PlainLayer.forward
    monkeypatch.setattr(PlainLayer, "forward", lambda self, t, v: 1.2 * right(self, t, v))
    for result in kernels._compare(QUICK, lambda _: None, "cpu", "one core"):
        assert result.error is not None
        assert "apart" in result.error
    assert "apart" in (solves.training(QUICK, lambda _: None, "one core").error or "")
    assert "off" in (solves.reference(QUICK, lambda _: None, "one core").error or "")


def test_the_process_gets_its_cores_back() -> None:
    before = os.sched_getaffinity(0), torch.get_num_threads()
    inside: list[int] = []

    def interrupted() -> None:
        with one_core():
            inside.extend((len(os.sched_getaffinity(0)), torch.get_num_threads()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert inside == [1, 1]
    assert (os.sched_getaffinity(0), torch.get_num_threads()) == before


def test_a_child_is_measured(tmp_path: Path) -> None:
    busy = "x = b'x' * 40_000_000; sum(range(3_000_000)); print('done')"
    idle = run_child([sys.executable, "-c", "pass"], tmp_path)
    usage = run_child([sys.executable, "-c", busy], tmp_path, timeout=60)
    assert usage.said == "done\n"
    assert usage.memory - idle.memory == pytest.approx(40e6, rel=0.2)
    assert usage.cpu > idle.cpu


HANG = """\
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
time.sleep(60)
"""


def test_a_child_that_fails_or_hangs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="status 3: no good"):
        run_child([sys.executable, "-c", "print('no good'); raise SystemExit(3)"], tmp_path)
    lock = tmp_path / "lock"
    with pytest.raises(RuntimeError, match="more than 3 s"):
        run_child([sys.executable, "-c", HANG, lock], tmp_path, timeout=3)
    with lock.open("w") as stream:
        for _ in range(1000):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
        else:
            pytest.fail("the child outlived its measurement")
