"""A number swept over some values: what becomes of the network at each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kcompile.compiler import CompileOptions
from kcompile.errors import UsageError
from kcompile.experiments.engines import SpiceEngine
from kcompile.experiments.judging import Spread
from kcompile.experiments.montecarlo import Progress, run_montecarlo
from kcompile.experiments.plan import Plan
from kcompile.experiments.result import Experiment, plain
from kcompile.files import filled, write_json
from kcompile.frontend import Model
from kcompile.ledger import result_in_hand
from kcompile.lower import read_family
from kcompile.pictures import Plots
from kcompile.units import Scale
from kcompile.variations.specification import DEVICE

SCHEMA = "kcompile.sweep/1"
FILE = "sweep.json"

_MOST = 1000
_TEMPERATURE = "temperature"
_UNITS = ("scale", "v0", "i0", "c0")


@dataclass(frozen=True)
class Point:
    """The network at one value.

    Args:
        value: of the swept number.
        spreads: of the task's metric, ``max_error`` and ``rms_error`` over circuits.
        failed: circuits without a finite answer.
        solver_error: how far half the steps would have moved a read-out at most; None of SPICE.
        problem: why the first circuit without an answer has none, or None.
    """

    value: float
    spreads: Mapping[str, Spread]
    failed: int
    solver_error: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Args:
        model: name of the network.
        task: what it was trained for.
        key: what was swept.
        variations: what else circuits were drawn from.
        engine: ``ode`` or ``spice``.
        seed: of the draws; the same ones at every point.
        runs: circuits a point.
        samples: that each was asked.
        metric: name of the task's metric, or None.
        ideal_metric: of the ideal network.
        points: in the order of the values.
        seconds: it took.
    """

    model: str
    task: str | None
    key: str
    variations: Mapping[str, Mapping[str, float]]
    engine: str
    seed: int
    runs: int
    samples: int
    metric: str | None
    ideal_metric: float | None
    points: tuple[Point, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As ``sweep.json`` has it; what is infinite is null."""
        return {"schema": SCHEMA, **plain(asdict(self))}

    def header(self) -> tuple[str, ...]:
        """Titles of the table's columns."""
        metric = () if self.metric is None else (self.metric, "5 %", "95 %")
        return (self.key, *metric, "rms error", "max error", "failed")

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A line for every value: medians over circuits, of the metric its spread as well."""
        for point in self.points:
            cells = [f"{point.value:g}"]
            if self.metric is not None:
                spread = point.spreads.get(self.metric)
                low, middle, high = spread.quantiles if spread else (math.nan,) * 3
                cells += [f"{middle:.5g}", f"{low:.4g}", f"{high:.4g}"]
            for quantity in ("rms_error", "max_error"):
                spread = point.spreads.get(quantity)
                cells.append("-" if spread is None else f"{spread.quantiles[1]:.3g}")
            yield (*cells, str(point.failed))

    def plot(self) -> Plots:
        """Metric and error against the swept number."""
        from kcompile.experiments import plots

        return plots.of_sweep(self)

    def write(self, folder: Path | str) -> tuple[Path, ...]:
        """Writes ``sweep.json`` and the picture; which files.

        Raises:
            StorageError: they cannot be written.
        """
        folder = Path(folder)
        with filled(folder) as staging:
            write_json(staging / FILE, self.to_dict())
            pictures = self.plot().save(staging)
        return (folder / FILE, *(folder / picture.name for picture in pictures))


def parse_values(text: str) -> tuple[float, ...]:
    """The values that ``0.1,0.2,0.5`` or ``START:STOP:COUNT`` (evenly) or ``...:log`` names.

    Raises:
        UsageError: it is neither.
    """
    parts = text.split(":")
    try:
        if len(parts) == 1:
            return tuple(float(word) for word in text.split(","))
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
        if not 2 <= count <= _MOST or len(parts) > 4 or parts[3:] not in ([], ["log"]):
            raise ValueError
        if parts[3:]:
            if not (start > 0 and stop > 0):
                raise ValueError
            return tuple(np.geomspace(start, stop, count).tolist())
        return tuple(np.linspace(start, stop, count).tolist())
    except (ValueError, IndexError):
        raise UsageError(
            f"{text!r} names no values", where="--over",
            hint="write 1,2,5 or START:STOP:COUNT or START:STOP:COUNT:log",
        ) from None  # fmt: skip


def run_sweep(
    model: Model,
    key: str,
    values: Sequence[float],
    plan: Plan,
    *,
    inputs: Any | None = None,
    samples: int | None = None,
    data: Path | None = None,
    resume: bool = True,
    on_progress: Progress | None = None,
) -> Sweep:
    """Draws circuits at every value and judges them; the same circuits' numbers at each.

    Args:
        model: the ideal network.
        key: ``EFFECT.NUMBER`` of the variations; ``device.NAME``, ``temperature`` (degrees
            Celsius), ``scale``, ``v0``, ``i0`` or ``c0``, which change a circuit in SPICE only.
        values: in the order of the result.
        plan: everything else; its engine answers.
        inputs, samples, data: as for ``run_montecarlo``.
        resume: whether to go on where an interrupted run of the same sweep stopped.
        on_progress: hears how far it is.

    Raises:
        UsageError: there is no such number, or the equations cannot see it.
        KcompileError: as ``run_montecarlo``.
    """
    began = time.perf_counter()
    if not values:
        raise UsageError("no values", where="--over", hint="give one or more")
    _check_seen(plan, key)
    changed = [_changed(plan, key, value) for value in values]
    found: list[Experiment] = []
    with result_in_hand():  # an interrupted sweep goes on with its finished points, too
        for number, each in enumerate(changed):
            show = _part(on_progress, number, len(values))
            found.append(
                run_montecarlo(
                    model, each, inputs=inputs, samples=samples, data=data, resume=resume,
                    on_progress=show,
                )
            )  # fmt: skip
    points = zip(values, found, strict=True)
    first = found[0]
    return Sweep(
        model.name, model.task, key, plan.variations.to_mapping(), plan.engine, plan.seed,
        plan.runs, first.samples, first.metric, first.ideal_metric,
        tuple(
            Point(value, each.spreads, each.failed, each.solver_error, each.first_problem)
            for value, each in points
        ),
        time.perf_counter() - began,
    )  # fmt: skip


def _check_seen(plan: Plan, key: str) -> None:
    """Sees that whoever answers knows what is swept: a flat curve would be read as robustness.

    Raises:
        UsageError: the equations do not know it, or the devices know no temperature.
    """
    in_spice = key in (_TEMPERATURE, *_UNITS) or key.startswith(f"{DEVICE}.")
    if in_spice and plan.engine != SpiceEngine.name:
        raise UsageError(
            f"the equations do not know {key}", where="--engine", hint="use --engine spice"
        )
    device = plan.options.device
    if key == _TEMPERATURE and device is not None:
        family = read_family(device, plan.options.pdk)
        if not family.thermal:
            raise UsageError(
                f"devices of {family.name} know no temperature", where=f"--over {key}",
                hint="sweep temperature.celsius, or take a family that follows it, such as bjt",
            )  # fmt: skip


def _changed(plan: Plan, key: str, value: float) -> Plan:
    """The plan with one number changed; effects alone are of no interest here."""
    plan = replace(plan, alone=0, checks=0, specification=None)
    if key == _TEMPERATURE:
        return replace(plan, options=replace(plan.options, temperature=value))
    if key in _UNITS:
        return replace(plan, options=_scaled(plan.options, key, value))
    return replace(plan, variations=plan.variations.with_number(key, value))


def _scaled(options: CompileOptions, key: str, value: float) -> CompileOptions:
    if key == "scale":
        return replace(options, scale=Scale.from_time_unit(value))
    return replace(options, scale=replace(options.scale, **{key: value}))


def _part(on_progress: Progress | None, number: int, of: int) -> Callable[[str, int, int], None]:
    """Hears of one point as a part of all."""

    def show(stage: str, done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(f"sweep, {stage}", number * total + done, of * total)

    return show
