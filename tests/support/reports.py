"""A report made by hand, and evidence to draw."""

from __future__ import annotations

import numpy as np

from kcompile.verification import Evidence, PhaseWaves, Report
from kcompile.verification.sections import (
    CompileSection,
    ModelSection,
    PassSection,
    ProvenanceSection,
    ReferenceSection,
    SampleSection,
    ScaleSection,
    SimulatorSection,
    SummarySection,
    TaskMetric,
)


def make_report(**changes) -> Report:
    """A report of two samples, one of them lost."""
    fields = {
        "verdict": "fail",
        "reason": "sample 1: it crashed",
        "model": ModelSection("nets/moons/model.pth", "ab" * 32, "tanh_affine", 2, 600, 2, None),
        "scale": ScaleSection(1e-15, 1.0, 1.0, 1e-15),
        "compile": CompileSection(
            2, (PassSection("drop-dead", 10, 9, 0.0),), "ideal", {"B": 9, "C": 4}, 1234, "cd" * 32,
            0.1,
        ),
        "simulator": SimulatorSection(
            "ngspice", "47", {"klu": None, "reltol": 1e-6}, 2, 3.5, None, 800, 2000
        ),
        "reference": ReferenceSection("scipy DOP853", 1e-5, 1e-5, 1e-9, None, 0.5),
        "samples": (
            SampleSection(0, "ok", 1e-5, 5e-6, 0.5),
            SampleSection(1, "crashed", None, None, 0.1),
        ),
        "summary": SummarySection(
            2, 1, 1e-5, 5e-6, 1.5, 1e-3, 2e-5, 1e-15, {"mse": TaskMetric(0.1, 0.2, 0.1)}
        ),
        "energy": {},
        "provenance": ProvenanceSection("0.1.0", "ngspice-47", None, 0, "kcompile verify x"),
        "notes": ("as it lies",),
    }  # fmt: skip
    return Report(**{**fields, **changes})


def make_evidence(*, nodes: int = 3, read: int = 2, phases: int = 2, samples: int = 4) -> Evidence:
    """Waveforms with an error that grows to 1e-4, and outputs with one lost sample."""
    random = np.random.default_rng(3)
    waves = []
    for phase in range(phases):
        times = np.linspace(0.0, 0.5, 40)
        rates = random.uniform(1.0, 4.0, nodes)
        reference = np.sin(rates * (times[:, None] + 0.5 * phase))
        spice = reference + 1e-4 * times[:, None] * random.normal(size=nodes)
        waves.append(PhaseWaves(phase, (times + 0.5 * phase) * 1e-15, times, spice, reference))
    reference = random.normal(size=(samples, read))
    spice = reference + 1e-4 * random.normal(size=reference.shape)
    spice[-1] = np.nan
    return Evidence(
        random.normal(size=(samples, 2)), spice, reference,
        tuple(range(nodes - read + 1, nodes + 1)), 1e-3, 1e-15, 0, tuple(waves),
    )  # fmt: skip


def evidence(report: Report) -> Evidence:
    """The evidence of a report that has some."""
    assert report.evidence is not None
    return report.evidence
