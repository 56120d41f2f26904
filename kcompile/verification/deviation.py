"""How far imperfect timing brings a network from perfect timing, by ODE and in SPICE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kcompile.compiler import Compiled
from kcompile.ir import FloatArray
from kcompile.tasks import task_metrics
from kcompile.verification.sections import DeviationSection, TimedMetric, TimingSection


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Read-outs ``float64[S, M]``, software units.

    Args:
        ideal: of the network, its layers timed perfectly.
        ode: of its circuit's equations with the timing.
        spice: of the circuit; NaN for a sample without a result.
    """

    ideal: FloatArray
    ode: FloatArray
    spice: FloatArray


def timing_section(
    compiled: Compiled, answers: Answers, targets: FloatArray | None
) -> TimingSection:
    """What a report says of an imperfect timing.

    Args:
        compiled: a single deck.
        answers: of all samples.
        targets: what the task wants of them, or None.
    """
    timing, single = compiled.options.imperfect, compiled.circuit.single
    assert timing is not None
    assert single is not None
    known = np.isfinite(answers.spice).all(axis=1)
    found = Answers(answers.ideal[known], answers.ode[known], answers.spice[known])
    return TimingSection(
        timing.to_mapping(),
        min(layer.duration for layer in compiled.circuit.layers),
        sum(len(gates) for gates in single.gates),
        deviation(answers.ode, answers.ideal),
        deviation(found.spice, found.ideal) if known.any() else None,
        _metrics(compiled, found, None if targets is None else targets[known])
        if known.any()
        else {},
    )


def deviation(outputs: FloatArray, ideal: FloatArray) -> DeviationSection:
    """How far read-outs ``[S, M]`` are from the ideal ones."""
    difference = outputs - ideal
    rms = float(np.sqrt(np.mean(difference**2)))
    size = float(np.sqrt(np.mean(ideal**2)))
    return DeviationSection(float(np.abs(difference).max()), rms, rms / size if size > 0 else None)


def _metrics(
    compiled: Compiled, answers: Answers, targets: FloatArray | None
) -> dict[str, TimedMetric]:
    model = compiled.model
    ideal, ode, spice = (
        model.head(outputs) for outputs in (answers.ideal, answers.ode, answers.spice)
    )
    by_ode = task_metrics(model.task, ideal, ode, targets)
    by_spice = task_metrics(model.task, ideal, spice, targets)
    return {
        name: TimedMetric(values["software"], values["spice"], by_spice[name]["spice"])
        for name, values in by_ode.items()
    }


def timing_rows(section: TimingSection) -> list[tuple[str, str]]:
    """The section in short: pairs of a label and a text."""
    values = ", ".join(f"{name} {value:g}" for name, value in section.values.items())
    rows = [("timing", f"{values}; {section.gates} gates")]
    for label, found in (("ODE", section.ode), ("SPICE", section.spice)):
        if found is not None:
            text = f"{found.max_abs:.3g} at most, rms {found.rms:.3g}"
            text += "" if found.relative is None else f" ({found.relative:.2%})"
            rows.append((f"{label} from perfect timing", text))
    for name, metric in section.task_metrics.items():
        text = f"{metric.ideal:.5g} without, {metric.ode:.5g} by ODE, {metric.spice:.5g} in SPICE"
        rows.append((f"{name} with this timing", text))
    return rows
