"""What a report says in short: its key figures, its gauge, and how it was simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kcompile.quantities import format_number, format_si
from kcompile.verification.sections import TaskMetric

if TYPE_CHECKING:
    from kcompile.verification.report import Report

ELEMENTS = {
    "B": "behavioural sources",
    "C": "capacitors",
    "D": "diodes",
    "E": "voltage-controlled voltage sources",
    "F": "current-controlled current sources",
    "G": "conductances and voltage-controlled current sources",
    "I": "current sources",
    "N": "compiled devices",
    "Q": "bipolar transistors",
    "R": "resistors",
    "S": "switches",
    "V": "voltage sources and ammeters",
}
"""What the letters of SPICE elements stand for (ngspice manual, chapter 2, and our families)."""

_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One figure that everybody asks for: its name, the figure, and what belongs to it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """The largest error on a scale from 0 to the larger of it and what is allowed.

    Args:
        error, allowed: as shares of the scale; one of them is 1.
        text: the comparison in words.
    """

    error: float
    allowed: float
    text: str


def gauge(report: Report) -> Gauge | None:
    """How the largest error compares with what is allowed; None where no sample has a result."""
    error, allowed = report.summary.max_abs_error, report.allowed
    if error is None or not math.isfinite(error):
        return None
    share = error / allowed
    times = f"{100 * share:.2g} % of" if share < 1 else f"{share:.3g} times"
    scale = max(error, allowed)
    return Gauge(
        error / scale, allowed / scale,
        f"Largest error {format_number(error)}: {times} the {format_number(allowed)} allowed",
    )  # fmt: skip


def model_line(report: Report) -> str:
    """The network and its circuit in one line."""
    model, compiled = report.model, report.compile
    layers = "1 layer" if model.phases == 1 else f"{model.phases} layers"
    level = "" if compiled.opt_level is None else f" at -O{compiled.opt_level}"
    elements = sum(compiled.elements.values())
    return (
        f"{model.law}, {model.nodes:,} nodes, {model.edges:,} edges, {layers}; "
        f"circuit: {compiled.device_family or 'family unknown'}{level}, {elements:,} elements"
    )


def key_figures(report: Report) -> tuple[KeyFigure, ...]:
    """The figures that stand at the top."""
    return tuple(_key_figures(report))


def _key_figures(report: Report) -> Iterator[KeyFigure]:
    summary, scale = report.summary, report.scale
    lost = f"{summary.failed} failed" if summary.failed else "all simulated"
    yield KeyFigure("Samples", f"{summary.samples:,}", lost)
    yield KeyFigure(
        "Largest error", format_number(summary.max_abs_error),
        f"{format_number(report.allowed)} allowed",
    )  # fmt: skip
    yield KeyFigure(
        "Rms error", format_number(summary.rms_error),
        f"largest output {format_number(summary.peak)}",
    )  # fmt: skip
    for name, metric in summary.task_metrics.items():
        yield _agreement(name, metric)
    yield KeyFigure(
        "Inference time", format_si(summary.inference_time_s, "s"), "from input to output"
    )  # fmt: skip
    units = (
        (scale.voltage_unit_v, "V"), (scale.current_unit_a, "A"), (scale.capacitance_unit_f, "F"),
    )  # fmt: skip
    worth = ", ".join(format_si(*each).replace(" ", _SPACE) for each in units)
    yield KeyFigure(
        "Scale", format_si(scale.time_unit_s, "s"), f"a software time unit; {worth}"
    )  # fmt: skip
    joules = {k: v for k, v in report.energy.items() if k.endswith("_j") and is_number(v)}
    if joules:
        known = ("measured_supply_j", "supply_estimate_j", *joules)
        name = next(each for each in known if each in joules)
        value = joules[name]
        yield KeyFigure("Energy", format_si(float(value), "J"), spaced(name.removesuffix("_j")))
    wall = report.compile.seconds + report.reference.seconds + report.simulator.seconds
    yield KeyFigure("Wall time", format_si(wall, "s", 3), "compiling, reference, simulation")


def _agreement(name: str, metric: TaskMetric) -> KeyFigure:
    """How far circuit and software agree in the task's own measure."""
    interval = metric.agreement_interval
    if interval is None:
        return KeyFigure(
            f"Difference in {spaced(name)}", format_number(metric.agreement),
            f"{metric.software:.5g} in software, {metric.spice:.5g} in SPICE",
        )  # fmt: skip
    low, high = interval
    note = f"95 % interval {100 * low:.4g} to {100 * high:.4g}{_SPACE}%"
    value = f"{100 * metric.agreement:.4g} %"
    if metric.confusion is not None:
        # Rounded shares would call 9999 of 10000 all.
        total = sum(map(sum, metric.confusion))
        equal = sum(row[k] for k, row in enumerate(metric.confusion))
        value = f"{equal:,} of {total:,}"
    return KeyFigure("Answers that agree", value, note)


def simulation(report: Report) -> Iterator[tuple[str, str]]:
    """How the samples were simulated: names and texts."""
    simulator = report.simulator
    yield "Simulator", f"{simulator.name} {simulator.version}"
    yield (
        "Options",
        ", ".join(
            name if value is None else f"{name} = {value:g}"
            for name, value in simulator.options.items()
        )
        or "as the decks say",
    )
    at_a_time = "one simulation" if simulator.jobs == 1 else f"{simulator.jobs} simulations"
    yield "Ran", f"{format_si(simulator.seconds, 's', 3)}, {at_a_time} at a time"
    yield "Took", f"{simulator.time_points:,} time points, {simulator.iterations:,} iterations"
    calibration, acceleration = simulator.calibration, simulator.acceleration
    if calibration is not None:
        order = "" if calibration.order is None else f", observed order {calibration.order:.2g}"
        took = "" if simulator.calibration_seconds is None else (
            f", measured in {format_si(simulator.calibration_seconds, 's', 3)}"
        )  # fmt: skip
        yield (
            "Step",
            (
                f"a layer's duration / {calibration.steps}, reltol {calibration.reltol:g}, "
                f"trtol {calibration.trtol:g}{order}{took}"
            ),
        )
    if acceleration is not None:
        jacobian = "" if acceleration.jacobian is None else f", {acceleration.jacobian} Jacobian"
        yield "Circuit that ran", f"{acceleration.device_family}{jacobian}"
        if acceleration.difference is not None:
            yield (
                "Its difference",
                f"{format_number(acceleration.difference)} from the delivered decks at the first "
                "sample",
            )
        if acceleration.jacobian_difference is not None:
            yield (
                "Diagonal Jacobian",
                f"{format_number(acceleration.jacobian_difference)} from the full one",
            )
    yield from _attempts(report)


def _attempts(report: Report) -> Iterator[tuple[str, str]]:
    samples = report.samples
    again = sum(sample.attempts > 1 for sample in samples)
    yield "Second attempts", "none" if not again else f"{again} of {len(samples)} samples"
    calibration = report.simulator.calibration
    if calibration is not None:
        finer = [s.steps for s in samples if s.steps is not None and s.steps > calibration.steps]
        if finer:
            yield "Finer steps", f"{len(finer)} samples, up to {max(finer)} steps a layer"


def reference(report: Report) -> Iterator[tuple[str, str]]:
    """What was judged against: names and texts."""
    found = report.reference
    yield "Reference", f"{found.method}, rtol {found.rtol:.3g}, atol {found.atol:.3g}"
    yield "Its own error", format_number(found.convergence_error)
    yield "Training solver's error", format_number(found.training_solver_error)
    yield "Solved in", format_si(found.seconds, "s", 3)
    yield "Any node at any time", f"largest error {format_number(report.summary.max_wave_error)}"


def is_number(value: object) -> bool:
    """Whether a JSON value is a number (a truth value is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def spaced(key: str) -> str:
    """A key as words."""
    return key.replace("_", " ")
