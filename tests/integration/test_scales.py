"""The answer in software units does not depend on the scale, nor does the simulator's work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published import FOLDER
from simulators import real_ngspice

import kcompile

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SCALES = (1.0, 1e-9, 1e-15)
PHYSICAL = kcompile.Scale(v0=0.1, i0=1e-5, c0=1e-12)


def compare(model, inputs, units, **options):
    simulator = real_ngspice()
    runs = [
        kcompile.simulate(model, inputs, scale=unit, ngspice=simulator.path, **options)
        for unit in units
    ]
    points = [[result.time_points for result in run.results] for run in runs]
    assert all(p == points[0] for p in points)
    for run in runs[1:]:
        np.testing.assert_allclose(run.outputs, runs[0].outputs, rtol=0, atol=1e-6)
    return runs


@pytest.mark.parametrize("device", ["ideal", "switch"])
def test_time_scales_of_a_trained_network(device):
    model = kcompile.load(GOLDEN / "friedman" / "model.safetensors")
    assert model.samples is not None
    runs = compare(model, model.samples.inputs[:2], (*SCALES, PHYSICAL), device=device)
    ends = [run.results[0].waveforms["layer1.raw"].time[-1] for run in runs]
    np.testing.assert_allclose(ends, [1.0, 1e-9, 1e-15, 1e-8], rtol=1e-12)


def test_time_scales_of_a_single_deck():
    case = GOLDEN / "single-deck-tanh"
    model = kcompile.load(case / "model.safetensors")
    inputs = np.load(case / "expected.npz")["inputs"]
    compare(model, inputs, (*SCALES, PHYSICAL), single_deck=True)


@pytest.mark.parametrize("name", ["twomoon", "circle", "potential2"])
def test_time_scales_of_published_networks(name):
    path = FOLDER / name / "model.pth"
    if not path.is_file():
        pytest.skip(f"no published checkpoint at {path}")
    inputs = np.random.default_rng(0).standard_normal((1, 2))
    compare(kcompile.load(path), inputs, SCALES)
