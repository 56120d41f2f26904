"""Answers in software units do not depend on a circuit's units, and neither does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import layer, network
from published import FOLDER

import kcompile
from kcompile import Model, Report, Scale
from kcompile.simulation import Ngspice

SCALES = (1.0, 1e-9, 1e-15)
PHYSICAL = Scale(v0=0.1, i0=1e-5, c0=1e-12)
INPUT = np.array([0.8, -0.6])


def compared(model: Model | Path, scales: tuple[float | Scale, ...], **options: Any) -> None:
    """Verifies at every scale: the same read-outs after the same number of time points."""
    reports: list[Report] = []
    for scale in scales:
        report = kcompile.verify(model, scale=scale, **options)
        assert report.verdict == "pass", report.reason
        reports.append(report)
        unit = scale.time_unit if isinstance(scale, Scale) else scale
        assert report.scale.time_unit_s == pytest.approx(unit, rel=1e-15)
    found = [report.evidence.spice for report in reports if report.evidence is not None]
    assert len(found) == len(scales)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=0, atol=1e-6)
    assert len({report.simulator.time_points for report in reports}) == 1
    times = [(r.summary.inference_time_s or 0.0) / r.scale.time_unit_s for r in reports]
    assert times[0] > 0
    assert times == pytest.approx([times[0]] * len(times), rel=1e-9)


@pytest.mark.parametrize("single_deck", [False, True], ids=["layers", "single"])
@pytest.mark.parametrize(
    ("law", "device", "opt_level"),
    [
        ("shift_relu", "switch", 0),
        ("relu_affine", "switch", 0),
        ("shift_relu", "ideal", 2),
        ("leaky_relu_diff", "ideal", 0),
        ("tanh_affine", "ideal", 2),
        ("shift_relu", "diode", 0),
        ("relu_affine", "diode", 0),
    ],
)
def test_a_small_network(
    ngspice: Ngspice, law: str, device: str, opt_level: int, single_deck: bool
) -> None:
    layers = (layer(law, nodes=2, duration=0.5), layer(law, nodes=3, duration=0.5))
    model = network(*layers, outputs=(1, 2, 3), seed=3).model()
    compared(
        model, (*SCALES, PHYSICAL), inputs=INPUT,
        device=device, opt_level=opt_level, single_deck=single_deck,
    )  # fmt: skip


def test_voltages_far_from_one(ngspice: Ngspice) -> None:
    """Microvolts and kilovolts, milliohms and teraohms: all the same to a network."""
    model = network(layer(), seed=3).model()
    scales = (Scale(), Scale(1e-6, 1e-12, 1e-15), Scale(1e3, 1e3, 1.0), Scale(1.0, 1e-12, 1e-9))
    compared(model, scales, inputs=INPUT, device="ideal", opt_level=0)


@pytest.mark.parametrize("name", ["circle", "twomoon", "potential2"])
def test_a_published_network(ngspice: Ngspice, name: str) -> None:
    path = FOLDER / name / "model.pth"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    compared(kcompile.load(path), SCALES, samples=1)
