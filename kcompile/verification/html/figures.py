"""The charts of a report, in the order in which a reader asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kcompile.ir import FloatArray
from kcompile.verification.evidence import Evidence
from kcompile.verification.html.answers import error_of_samples, outputs, residuals
from kcompile.verification.html.chart import Chart
from kcompile.verification.html.nodes import node_chart
from kcompile.verification.html.waves import (
    error_over_time,
    inner_nodes,
    inner_waveforms,
    waveforms,
)


def charts(evidence: Evidence) -> tuple[Chart, ...]:
    """All charts that the evidence can carry: fewer where samples have no result."""
    return tuple(_charts(evidence))


def _charts(evidence: Evidence) -> Iterator[Chart]:
    known = np.isfinite(evidence.spice).all(axis=1)
    inner = bool(evidence.waves) and bool(inner_nodes(evidence))
    if evidence.waves:
        yield waveforms(evidence)
        yield error_over_time(evidence)
    if inner:
        yield inner_waveforms(evidence)
        error = _error_of_nodes(evidence)
        yield node_chart(
            "nodes", "Error of each node", tuple(range(1, len(error) + 1)), error,
            f"The largest over time in sample {evidence.sample}; judged are the read-outs alone, "
            "at the end.",
        )  # fmt: skip
    if not known.any():
        return
    details: list[Chart] = []
    if len(evidence.nodes) > 1:
        error = np.abs(evidence.spice[known] - evidence.reference[known]).max(axis=0)
        of = "one sample" if known.sum() == 1 else f"{known.sum()} samples"
        details.append(
            node_chart(
                "read-outs", "Error of each read-out", evidence.nodes, error,
                f"At the end, the largest of {of}.", evidence.allowed,
            )
        )  # fmt: skip
    if len(evidence.spice) > 1:
        details.append(error_of_samples(evidence))
    answers = [outputs(evidence), residuals(evidence)]
    # Two charts that belong together stand side by side.
    yield from (*details, *answers) if len(details) == 2 else (*answers, *details)


def _error_of_nodes(evidence: Evidence) -> FloatArray:
    """The largest error of each node over all phases in which it lives, ``float64[N]``."""
    error = np.zeros(max(wave.spice.shape[1] for wave in evidence.waves))
    for wave in evidence.waves:
        largest = np.abs(wave.spice - wave.reference).max(axis=0)
        error[: len(largest)] = np.maximum(error[: len(largest)], largest)
    return error
