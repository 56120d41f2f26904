"""What a Monte Carlo found, as values, as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kcompile.experiments.judging import ERRORS, Judge, Specification, Spread, Yield
from kcompile.files import filled, write_json
from kcompile.frontend import Model
from kcompile.pictures import Plots
from kcompile.variations import Variations

SCHEMA = "kcompile.montecarlo/1"
FILE = "montecarlo.json"


@dataclass(frozen=True, slots=True)
class Circuit:
    """How one drawn circuit did.

    Args:
        index: its number.
        max_error, rms_error: difference of its read-outs from the ideal network's, software
            units; infinite where its voltages run away.
        metric: the task's; None where there is none, or no finite answer.
        seconds: it took.
        solver_error: how far half the steps would have moved a read-out; None of SPICE.
        problem: why SPICE did not answer, or None.
    """

    index: int
    max_error: float
    rms_error: float
    metric: float | None
    seconds: float
    solver_error: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One circuit in SPICE against its own equations.

    Args:
        index: number of the circuit.
        difference: largest difference of the read-outs, software units; None: there is none.
        allowed: what the tolerance allows.
        solver_error: how certain the equations' answer is.
        problem: what went wrong, or None.
        finer: how many times finer than the deck's own the steps were that it took.
    """

    index: int
    difference: float | None
    allowed: float | None
    solver_error: float | None
    problem: str | None
    finer: int = 1

    @property
    def passed(self) -> bool:
        """Whether both agree."""
        if self.difference is None or self.allowed is None or self.problem is not None:
            return False
        return self.difference <= self.allowed


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What one effect does alone.

    Args:
        effect: its name.
        runs: draws.
        rms_error: root mean square over draws of the read-outs' error.
        metric_change: mean change of the metric from the ideal network's; None without a metric.
        metric_interval: of that change, 95 %.
    """

    effect: str
    runs: int
    rms_error: float
    metric_change: float | None
    metric_interval: tuple[float, float] | None

    @classmethod
    def of(cls, effect: str, circuits: Sequence[Circuit], ideal: float | None) -> Sensitivity:
        """The effect's strength, from draws of it alone."""
        squares = [c.rms_error**2 for c in circuits]
        spread = None
        if ideal is not None:
            spread = Spread.of([None if c.metric is None else c.metric - ideal for c in circuits])
        return cls(
            effect, len(circuits), math.sqrt(sum(squares) / len(squares)),
            None if spread is None else spread.mean, None if spread is None else spread.interval,
        )  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """What a Monte Carlo found.

    Args:
        model: name of the network.
        task: what it was trained for.
        variations: as a mapping.
        engine: ``ode`` or ``spice``.
        seed: of the draws.
        runs: circuits.
        samples: that each of them was asked.
        note: where the samples come from.
        tolerance: how exact the answers were to be.
        allowed_error: what it allows a read-out, software units.
        steps: fixed steps of the longest layer (of the equations).
        solver_error: the largest movement of a read-out by half the steps; None of SPICE.
        metric: name of the task's metric, or None.
        better: ``lower`` or ``higher``.
        ideal_metric: of the ideal network on the same samples.
        spreads: of ``metric``, ``max_error`` and ``rms_error`` over circuits.
        failed: circuits without a finite answer.
        yields: the share that meets the specification; None: there is none.
        checks: circuits in SPICE against their equations.
        sensitivities: effects alone, the strongest first.
        seconds: it took.
        circuits: every one of them.
    """

    model: str
    task: str | None
    variations: Mapping[str, Mapping[str, float]]
    engine: str
    seed: int
    runs: int
    samples: int
    note: str
    tolerance: float
    allowed_error: float
    steps: int
    solver_error: float | None
    metric: str | None
    better: str | None
    ideal_metric: float | None
    spreads: Mapping[str, Spread]
    failed: int
    yields: Yield | None
    checks: tuple[Check, ...]
    sensitivities: tuple[Sensitivity, ...]
    seconds: float
    circuits: tuple[Circuit, ...]

    @classmethod
    def of(
        cls,
        model: Model,
        variations: Variations,
        judge: Judge,
        circuits: tuple[Circuit, ...],
        *,
        specification: Specification | None,
        tolerance: float,
        **facts: Any,
    ) -> Experiment:
        """The findings of circuits that were run."""
        name = None if judge.metric is None else judge.metric.name
        values = {quantity: [getattr(c, quantity) for c in circuits] for quantity in ERRORS}
        if name is not None:
            values[name] = [c.metric for c in circuits]
        spreads = {q: s for q, v in values.items() if (s := Spread.of(v)) is not None}
        moved = [c.solver_error for c in circuits if c.solver_error is not None]
        return cls(
            model=model.name,
            task=model.task,
            variations=variations.to_mapping(),
            runs=len(circuits),
            tolerance=tolerance,
            allowed_error=tolerance * max(1.0, judge.peak),
            solver_error=max(moved, default=None),
            metric=name,
            better=None if judge.metric is None else judge.metric.better,
            ideal_metric=judge.ideal_metric,
            spreads=spreads,
            failed=sum(not math.isfinite(c.max_error) for c in circuits),
            yields=None
            if specification is None
            else Yield.of(specification, values[specification.quantity]),
            circuits=circuits,
            **facts,
        )

    @property
    def first_problem(self) -> str | None:
        """Why the first circuit without an answer has none."""
        failed = (c for c in self.circuits if c.problem is not None)
        return next((f"circuit {c.index}: {c.problem}" for c in failed), None)

    @property
    def agreed(self) -> bool:
        """Whether every circuit that was checked in SPICE agrees with its equations."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As ``montecarlo.json`` has it; what is infinite is null."""
        return {"schema": SCHEMA, **plain(asdict(self))}

    def write(self, folder: Path | str) -> tuple[Path, ...]:
        """Writes ``montecarlo.json`` and the pictures; which files.

        Raises:
            StorageError: they cannot be written.
        """
        folder = Path(folder)
        with filled(folder) as staging:
            write_json(staging / FILE, self.to_dict())
            pictures = self.plot().save(staging)
        return (folder / FILE, *(folder / picture.name for picture in pictures))

    def plot(self) -> Plots:
        """The pictures: how circuits are distributed, and what each effect does alone."""
        from kcompile.experiments import plots

        return plots.of_experiment(self)

    def table(self) -> tuple[tuple[str, str], ...]:
        """Label and text of each line that a reader wants first."""
        effects = ", ".join(self.variations) or "none"
        rows = [
            ("circuits", f"{self.runs} ({self.engine}), {self.samples} samples each"),
            ("effects", effects),
        ]
        if self.metric is not None and self.ideal_metric is not None:
            rows.append((f"{self.metric}, ideal", f"{self.ideal_metric:.5g}"))
        for quantity, s in sorted(self.spreads.items(), key=lambda item: item[0] != self.metric):
            low, middle, high = s.quantiles
            interval = f" ({s.interval[0]:.4g} to {s.interval[1]:.4g})" if s.count > 1 else ""
            text = f"mean {s.mean:.5g}{interval}, sd {s.sd:.2g}; "
            text += f"5 % {low:.4g}, median {middle:.4g}, 95 % {high:.4g}"
            rows.append((quantity.replace("_", " "), text))
        if self.failed:
            rows.append(("without an answer", f"{self.failed} circuits"))
        if self.yields is not None:
            y = self.yields
            rows.append(
                (
                    f"yield ({y.specification})",
                    f"{y.share:.4g}: {y.good} of {y.runs} (95 %: {y.interval[0]:.4g} to "
                    f"{y.interval[1]:.4g})",
                )
            )
        for rank, each in enumerate(self.sensitivities, 1):
            change = (
                "" if each.metric_change is None else f", {self.metric} {each.metric_change:+.3g}"
            )
            rows.append((f"{rank}. {each.effect} alone", f"rms error {each.rms_error:.3g}{change}"))
        if self.checks:
            worst = max(
                (c.difference for c in self.checks if c.difference is not None), default=None
            )
            good = sum(check.passed for check in self.checks)
            finest = max(check.finer for check in self.checks)
            rows.append(
                (
                    "SPICE against the equations",
                    f"{good} of {len(self.checks)} circuits agree"
                    + ("" if worst is None else f", largest difference {worst:.2g}")
                    + ("" if finest == 1 else f" (with up to {finest} times as many steps)"),
                )
            )
        if self.solver_error is not None:
            text = f"{self.solver_error:.2g} at most, {self.allowed_error:.2g} allowed"
            rows.append(("half the steps move", text))
        rows.append(("time", f"{self.seconds:.1f} s"))
        return tuple(rows)


def plain(value: Any) -> Any:
    """A value as JSON takes it: numbers that are not finite are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value
