"""The report of a verification: what ``report.json`` says, and what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from kcompile.errors import ContentError, UsageError
from kcompile.files import filled, is_folder, read_bytes, write_text, written
from kcompile.quantities import format_number, format_si
from kcompile.verification.deviation import timing_rows
from kcompile.verification.evidence import Evidence
from kcompile.verification.plots import Plots, draw
from kcompile.verification.sections import (
    AccelerationSection,
    CalibrationSection,
    CompileSection,
    ModelSection,
    ProvenanceSection,
    ReferenceSection,
    SampleSection,
    ScaleSection,
    SimulatorSection,
    SummarySection,
    TimingSection,
    decode,
    encode,
)

SCHEMA = "kcompile.report/1"
FILE = "report.json"
PAGE = "report.html"


@dataclass(frozen=True)
class Report:
    """Whether a circuit computes what its network computes, and all that was measured.

    Args:
        verdict: ``pass`` or ``fail``.
        reason: why it failed, or None.
        model, scale, compile, simulator, reference, samples, summary, provenance: as
            ``report.json`` has them.
        energy: energy figures; empty where none were computed.
        notes: what a reader should know.
        variations: imperfections that the circuit was given, and what they cost; empty without.
        timing: what the timing of a single deck's layers does; None where it is perfect.
        exit_status: 0 pass, 1 fail, 4 when no simulation of our own decks finished at all (1 in a
            report that was read from a file).
        evidence: the numbers behind it; None for a report that was read from a file.
    """

    verdict: str
    reason: str | None
    model: ModelSection
    scale: ScaleSection
    compile: CompileSection
    simulator: SimulatorSection
    reference: ReferenceSection
    samples: tuple[SampleSection, ...]
    summary: SummarySection
    energy: Mapping[str, Any]
    provenance: ProvenanceSection
    notes: tuple[str, ...] = ()
    variations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timing: TimingSection | None = field(default=None, metadata={"optional": True})
    schema: str = SCHEMA
    exit_status: int = field(default=1, compare=False, metadata={"stored": False})
    evidence: Evidence | None = field(
        default=None, compare=False, repr=False, metadata={"stored": False}
    )

    @property
    def passed(self) -> bool:
        """Whether the verdict is pass."""
        return self.verdict == "pass"

    @property
    def allowed(self) -> float:
        """The error that the verdict allows, ``tolerance * max(1, peak)``, software units."""
        return self.summary.tolerance * max(1.0, self.summary.peak)

    @property
    def name(self) -> str:
        """A short name of the network for titles."""
        path = None if self.model.path is None else Path(self.model.path)
        if path is None:
            return self.model.task or "network"
        return path.resolve().parent.name if path.stem == "model" else path.stem

    def to_dict(self) -> dict[str, Any]:
        """The content of ``report.json``: plain JSON values, all of them finite."""
        return {"schema": self.schema, **encode(self)}

    def write(self, folder: Path | str) -> tuple[Path, ...]:
        """Writes ``report.json``, ``report.html`` and the pictures, all of them or none.

        A report that was read from a file has waveforms no more: ``report.json`` alone is written.

        Args:
            folder: made where it is missing.

        Returns:
            The files, ``report.json`` first, then ``report.html``.

        Raises:
            StorageError: one cannot be written.
        """
        folder = Path(folder)
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)
        with filled(folder) as staging:
            names = [FILE]
            write_text(staging / FILE, text + "\n")
            if self.evidence is not None:
                write_text(staging / PAGE, self.html())
                names += [PAGE, *(picture.name for picture in self.plot().save(staging))]
        return tuple(folder / name for name in names)

    def html(self) -> str:
        """The report as one HTML page with everything in it: figures, charts, tables.

        It needs no network and no other file. The same report gives the same bytes.

        Raises:
            UsageError: the report was read from a file, which has no arrays.
            StorageError: the installation lacks the page's template.
        """
        from kcompile.verification.html import render

        return render(self, self._evidence())

    def write_outputs(self, path: Path | str) -> Path:
        """Writes ``inputs [S, Nin]``, ``spice [S, M]`` and ``reference [S, M]`` as an .npz file.

        Samples without a result are NaN in ``spice``.

        Raises:
            UsageError: the report was read from a file, which has no arrays.
            StorageError: it cannot be written.
        """
        evidence = self._evidence()
        path = Path(path)
        with written(path) as stream:
            np.savez(
                stream,
                inputs=evidence.inputs,
                spice=evidence.spice,
                reference=evidence.reference,
            )
        return path

    def plot(self) -> Plots:
        """The figures: waveforms, error over time, outputs.

        Raises:
            UsageError: the report was read from a file, which has no arrays.
        """
        return draw(self._evidence(), self.name)

    def table(self) -> tuple[tuple[str, str], ...]:
        """The report in short: pairs of a label and a text."""
        summary, simulator = self.summary, self.simulator
        family = self.compile.device_family or "unknown"
        level = "" if self.compile.opt_level is None else f" at -O{self.compile.opt_level}"
        elements = sum(self.compile.elements.values())
        rows = [
            ("network", f"{self.name}: {self.model.law}"),
            (
                "size",
                f"{self.model.nodes} nodes, {self.model.edges} edges, "
                + ("1 layer" if self.model.phases == 1 else f"{self.model.phases} layers"),
            ),
            ("circuit", f"{family}{level}, {elements} elements"),
            ("simulator", f"{simulator.name} {simulator.version}"),
            ("samples", f"{summary.samples}, {summary.failed} failed"),
            (
                "largest error",
                f"{format_number(summary.max_abs_error)}, {self.allowed:.3g} allowed",
            ),
            ("rms error", format_number(summary.rms_error)),
            ("largest output", format_number(summary.peak)),
            ("largest error of any node at any time", format_number(summary.max_wave_error)),
            ("reference's own error", format_number(self.reference.convergence_error)),
            ("training solver's error", format_number(self.reference.training_solver_error)),
            ("inference time", format_si(summary.inference_time_s, "s")),
            *self._energy_rows(),
            ("time points, iterations", f"{simulator.time_points}, {simulator.iterations}"),
        ]
        if simulator.acceleration is not None and simulator.calibration is not None:
            rows.insert(3, ("ran as", _ran_as(simulator.acceleration, simulator.calibration)))
        supplied = self.energy.get("measured_supply_j")
        if supplied is not None:
            rows.append(("energy from the supplies, a sample", format_si(supplied, "J")))
        for name, metric in summary.task_metrics.items():
            both = f"{metric.software:.5g} in software, {metric.spice:.5g} in SPICE"
            text = f"{both}, agreement {metric.agreement:.4g}"
            if metric.agreement_interval is not None:
                low, high = metric.agreement_interval
                text += f" (95 % interval {low:.4g} to {high:.4g})"
            rows.append((name, text))
        rows += _imperfections(self.variations)
        if self.timing is not None:
            rows += timing_rows(self.timing)
        rows.append(("verdict", self.verdict if self.reason is None else f"fail: {self.reason}"))
        return tuple(rows)

    def _energy_rows(self) -> tuple[tuple[str, str], ...]:
        """Energy in short; none where the report says nothing of it."""
        energy, power = (self.energy.get(key) for key in ("supply_estimate_j", "mean_power_w"))
        if energy is None or power is None:
            return ()
        text = f"{format_si(energy, 'J', 3)}, {format_si(power, 'W', 3)}"
        return (("energy of an inference, estimate", text),)

    def _evidence(self) -> Evidence:
        if self.evidence is None:
            raise UsageError(
                "a report from a file has no waveforms", hint="verify the network again"
            )
        return self.evidence


def _imperfections(variations: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which imperfections the circuit has, and how far they take it from the ideal network."""
    if not variations:
        return []
    rows = [("imperfections", f"{', '.join(variations['effects'])}; seed {variations['seed']}")]
    if (error := variations.get("from_ideal")) is not None:
        text = f"{error['max_abs_error']:.3g} at most, rms {error['rms_error']:.3g}"
        rows.append(("from the ideal network", text))
    if (metric := variations.get("metric")) is not None:
        rows.append((metric["name"], f"{metric['ideal']:.5g} ideal, {metric['spice']:.5g} here"))
    return rows


def _ran_as(acceleration: AccelerationSection, calibration: CalibrationSection) -> str:
    jacobian = acceleration.jacobian
    words = [acceleration.device_family + ("" if jacobian is None else f" ({jacobian} Jacobian)")]
    words.append(f"{calibration.steps} steps a layer, reltol {calibration.reltol:.3g}")
    if acceleration.difference is not None:
        words.append(f"{acceleration.difference:.2g} from the delivered decks")
    return ", ".join(words)


def load_report(path: Path | str) -> Report:
    """A report out of ``report.json`` (or the folder that holds it), without its waveforms.

    Raises:
        ContentError: it is no report, or of another version.
        UsageError, StorageError: it is not there or cannot be read.
    """
    path = Path(path)
    path = path / FILE if is_folder(path) else path
    content = read_bytes(path)
    try:
        values: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ContentError("not a whole JSON file", where=path) from error
    schema = cast("dict[str, Any]", values).get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        raise ContentError(f"schema {schema!r}, this version reads {SCHEMA}", where=path)
    report: Report = decode(Report, values, str(path))
    return replace(report, exit_status=0 if report.passed else 1)
