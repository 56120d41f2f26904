"""The sections of a report, as ``report.json`` has them, and their way to JSON and back."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from kcompile.errors import ContentError

_OPTIONAL = "optional"


def _left_out_where_none() -> Any:
    return field(default=None, metadata={_OPTIONAL: True})


@dataclass(frozen=True, slots=True)
class ModelSection:
    """Which network was judged."""

    path: str | None
    sha256: str | None
    law: str
    nodes: int
    edges: int
    phases: int
    task: str | None


@dataclass(frozen=True, slots=True)
class ScaleSection:
    """What one software unit of time, voltage, current and capacitance is worth."""

    time_unit_s: float
    voltage_unit_v: float
    current_unit_a: float
    capacitance_unit_f: float


@dataclass(frozen=True, slots=True)
class PassSection:
    """What one pass did; ``error_bound`` is a current in software units."""

    name: str
    edges_before: int
    edges_after: int
    error_bound: float


@dataclass(frozen=True, slots=True)
class CompileSection:
    """How the decks came about; None where a deck that was given does not say."""

    opt_level: int | None
    passes: tuple[PassSection, ...]
    device_family: str | None
    elements: Mapping[str, int]
    deck_bytes: int
    deck_sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialSection:
    """One simulation of the first sample; its error at the read-outs in software units."""

    steps: int
    error: float
    iterations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CalibrationSection:
    """How finely the samples were simulated, and the trials that led to it.

    The step cap is a layer's duration divided by ``steps``; ``order`` is the observed order of
    convergence, None where nothing of it was to be seen.
    """

    steps: int
    reltol: float
    trtol: float
    order: float | None
    trials: tuple[TrialSection, ...]


@dataclass(frozen=True, slots=True)
class AccelerationSection:
    """Which circuit ran, once it had agreed with the delivered decks at the first sample.

    Args:
        device_family: of the circuit that ran.
        jacobian: ``full`` or ``diagonal``; None where the devices are not compiled ones.
        deck_sha256: digest of its decks.
        difference: from the delivered decks' own script at the first sample's read-outs and at
            their settings, software units.
        jacobian_difference: of the diagonal from the full Jacobian, likewise; None: not tried.
    """

    device_family: str
    jacobian: str | None
    deck_sha256: str
    difference: float | None
    jacobian_difference: float | None


@dataclass(frozen=True, slots=True)
class SimulatorSection:
    """What simulated; points and iterations are those of all samples together.

    ``jobs`` is how many simulations ran at a time, ``seconds`` the wall time of all of them.
    ``calibration`` and ``acceleration`` are null where every sample ran by the decks' own script.
    """

    name: str
    version: str
    options: Mapping[str, float | None]
    jobs: int
    seconds: float
    calibration_seconds: float | None
    time_points: int
    iterations: int
    calibration: CalibrationSection | None = None
    acceleration: AccelerationSection | None = None


@dataclass(frozen=True, slots=True)
class ReferenceSection:
    """What was judged against; errors in software units, None where unknown."""

    method: str
    rtol: float
    atol: float
    convergence_error: float | None
    training_solver_error: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class SampleSection:
    """One sample: ``ok`` or how its simulation failed; its errors at the read-outs.

    ``earlier`` says what went wrong at a first attempt; ``steps`` a layer, None: as the decks say;
    ``supply_energy_j`` is what the supplies delivered, where the device family has any.
    """

    index: int
    status: str
    max_abs_error: float | None
    rms_error: float | None
    seconds: float | None
    attempts: int = 1
    earlier: str | None = None
    steps: int | None = None
    supply_energy_j: float | None = _left_out_where_none()


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """A task's own measure of quality, in software and in the circuit.

    Args:
        software: of the reference, behind the model's head.
        spice: of the circuit, likewise.
        agreement: how far the two agree: of an accuracy the share of equal answers, of a loss the
            difference of its two values.
        software_interval, spice_interval, agreement_interval: of shares, their 95 % confidence
            intervals, were the samples drawn from many.
        confusion: of a classifier, how often the circuit answered with class k (column) where the
            software answered with class j (row).
    """

    software: float
    spice: float
    agreement: float
    software_interval: tuple[float, ...] | None = _left_out_where_none()
    spice_interval: tuple[float, ...] | None = _left_out_where_none()
    agreement_interval: tuple[float, ...] | None = _left_out_where_none()
    confusion: tuple[tuple[int, ...], ...] | None = _left_out_where_none()


@dataclass(frozen=True, slots=True)
class SummarySection:
    """All samples together; ``tolerance`` is relative to ``max(1, peak)``."""

    samples: int
    failed: int
    max_abs_error: float | None
    rms_error: float | None
    peak: float
    tolerance: float
    max_wave_error: float | None
    inference_time_s: float | None
    task_metrics: Mapping[str, TaskMetric]


@dataclass(frozen=True, slots=True)
class DeviationSection:
    """How far read-outs are from those with perfect timing, software units.

    ``relative`` is the rms deviation over the rms of those read-outs, where that is not 0.
    """

    max_abs: float
    rms: float
    relative: float | None


@dataclass(frozen=True, slots=True)
class TimedMetric:
    """A task's own measure: with perfect timing, and with the real one by ODE and in SPICE."""

    ideal: float
    ode: float
    spice: float


@dataclass(frozen=True, slots=True)
class TimingSection:
    """What an imperfect timing of the layers does to a network.

    Args:
        values: the timing, as ``Timing.from_mapping`` takes it.
        shortest_layer_s: seconds that its times are fractions of.
        gates: how many there are.
        ode, spice: from perfect timing, over the samples that have a result.
        task_metrics: by name.
    """

    values: Mapping[str, float]
    shortest_layer_s: float
    gates: int
    ode: DeviationSection
    spice: DeviationSection | None
    task_metrics: Mapping[str, TimedMetric]


@dataclass(frozen=True, slots=True)
class ProvenanceSection:
    """With what and how the report was made."""

    kcompile: str
    ngspice: str | None
    torch: str | None
    seed: int
    command: str | None


def encode(value: Any) -> Any:
    """A section as plain JSON values; numbers that are not finite become null."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = ((f, getattr(value, f.name)) for f in fields(value) if _stored(f))
        return {
            f.name: encode(content)
            for f, content in kept
            if content is not None or not f.metadata.get(_OPTIONAL)
        }
    if isinstance(value, Mapping):
        items = cast("Mapping[object, Any]", value).items()
        return {str(key): encode(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [encode(item) for item in cast("list[Any]", value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def decode(kind: Any, value: Any, where: str = "report") -> Any:
    """A value of the type ``kind`` out of plain JSON values.

    Args:
        kind: a dataclass, ``tuple[T, ...]``, ``Mapping[str, T]``, a union, or a plain type.
        value: what JSON holds there.
        where: its place, for the error.

    Raises:
        ContentError: it does not fit.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        choices = get_args(kind)
        if value is None and type(None) in choices:
            return None
        return decode(next(c for c in choices if c is not type(None)), value, where)
    if origin is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        rows = cast("list[Any]", value)
        return tuple(decode(inner, row, f"{where}[{k}]") for k, row in enumerate(rows))
    if origin is not None and origin is not tuple and isinstance(value, dict):
        inner = get_args(kind)[1]
        items = cast("dict[str, Any]", value).items()
        return {key: decode(inner, item, f"{where}.{key}") for key, item in items}
    if is_dataclass(kind) and isinstance(value, dict):
        return _decode_section(cast("type[Any]", kind), cast("dict[str, Any]", value), where)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(cast(object, value)) is kind:
        return value
    raise ContentError(f"{value!r:.40} does not belong there", where=where)


def _decode_section(kind: type[Any], value: dict[str, Any], where: str) -> Any:
    """A section; keys that a later version may have added are left out."""
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for each in filter(_stored, fields(kind)):
        name = each.name
        if name in value:
            found[name] = decode(hints[name], value[name], f"{where}.{name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ContentError(f"{name} is missing", where=where)
    return kind(**found)


def _stored(field: Field[Any]) -> bool:
    return field.metadata.get("stored", True)
