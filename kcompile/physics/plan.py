"""The scaling advisor: at which voltages, currents and capacitances a network could run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.physics.edge_noise import NoiseModel
from kcompile.physics.ensemble import NoiseFigures, noise_figures
from kcompile.physics.figures import circuit_figures
from kcompile.physics.limits import (
    Check,
    Limits,
    checks,
    least_capacitance,
    rounded,
    units_within,
)
from kcompile.physics.noise import kt_over_c
from kcompile.physics.quality import Quality, quality
from kcompile.physics.trajectories import Statistics, statistics
from kcompile.physics.verdict import verdict
from kcompile.reference import Reference, solve
from kcompile.units import Scale

Progress: TypeAlias = Callable[[str, int, int], None]
"""Hears what goes on, how much of it is done, and of how much."""

PAPER = Scale.from_time_unit(1e-15)
"""The scale of the paper's Eq. (9), shown beside: femtofarads at amperes an edge."""

TOLERANCE = 1e-3
"""How well the solutions are known, as for a verification."""

SMALL = 20_000
"""Edges up to which many samples cost little."""

MANY, FEW = 64, 4
"""Samples that a plan rests on where nobody says, of small networks and of large ones."""

DRAWS = 32
"""Draws of noise for each sample: they tell a ratio to half a decibel."""

_ATTEMPTS = 4
_MARGIN = 0.5
"""Decibels of room for the noise of the estimate itself."""
_QUIET = 1e6
"""By how much larger capacitances are where noise is told first."""

_BLIND = 1e4
"""By how much capacitances grow where noise drowned the signal beyond measure."""


@dataclass(frozen=True, eq=False)
class CircuitPlan:
    """A network as a physical circuit: its figures, its limits, and a verdict.

    Args:
        name: of the network.
        scale: that is judged, or recommended.
        recommended: which of these.
        limits: what a circuit may do.
        noise_model: which noise it has.
        statistics: voltages and currents in software units.
        figures: those of the circuit (see ``circuit_figures``).
        paper: the same at the paper's scale of 1 fF, 1 V and 1 A.
        noise: at the read-outs, software units.
        quality: the task's metric with noise, where it can be told.
        checks: every limit beside what the circuit does.
        limited_by: the limits that set the recommended scale, or that a given one breaks.
        verdict: one sentence.
        samples: how many it rests on.
        notes: what a reader should know.
    """

    name: str
    scale: Scale
    recommended: bool
    limits: Limits
    noise_model: NoiseModel
    statistics: Statistics
    figures: dict[str, Any]
    paper: dict[str, Any]
    noise: NoiseFigures
    quality: Quality | None
    checks: tuple[Check, ...]
    limited_by: tuple[str, ...]
    verdict: str
    samples: int
    notes: tuple[str, ...]

    @property
    def within_limits(self) -> bool:
        """Whether every limit is kept."""
        return all(check.kept for check in self.checks)

    @property
    def options(self) -> str:
        """The scale as options of the other commands."""
        return f"--v0 {self.scale.v0:g} --i0 {self.scale.i0:g} --c0 {self.scale.c0:g}"

    @property
    def noise_figures(self) -> dict[str, Any]:
        """Noise in volts and against the signal; keys end in their unit."""
        noise, volts = self.noise, self.scale.v0
        least = self.figures["smallest_capacitor_f"]
        return {
            "currents": self.noise_model.describe(),
            "kt_over_c_v": kt_over_c(least, self.noise_model.kelvin),
            "signal_rms_v": volts * noise.signal_rms,
            "sampled_noise_rms_v": _finite(volts * noise.sampled_rms),
            "current_noise_rms_v": _finite(volts * noise.current_rms),
            "noise_rms_v": _finite(volts * noise.both_rms),
            "snr_db": _finite(noise.snr),
            "no_ratio": noise.no_ratio,
            "worst_snr_db": _finite(noise.worst_snr),
            "snr_error_db": _finite(noise.snr_error),
            "draws": noise.both.shape[1],
        }

    def to_dict(self) -> dict[str, Any]:
        """As ``kcompile plan --json`` writes it: plain values, all of them finite or null."""
        scale = self.scale
        return {
            "name": self.name,
            "verdict": self.verdict,
            "within_limits": self.within_limits,
            "limited_by": list(self.limited_by),
            "recommended": self.recommended,
            "options": self.options,
            "scale": {
                "voltage_unit_v": scale.v0,
                "current_unit_a": scale.i0,
                "capacitance_unit_f": scale.c0,
                "time_unit_s": scale.time_unit,
            },
            "temperature_c": self.noise_model.celsius,
            "samples": self.samples,
            "figures": self.figures,
            "noise": self.noise_figures,
            "quality": None if self.quality is None else asdict(self.quality),
            "checks": [
                asdict(check) | {"value": _finite(check.value), "kept": check.kept}
                for check in self.checks
            ],
            "paper": self.paper,
            "notes": list(self.notes),
        }


def make_plan(
    model: Model,
    inputs: FloatArray,
    targets: NDArray[Any] | None = None,
    *,
    limits: Limits | None = None,
    noise_model: NoiseModel | None = None,
    scale: Scale | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    notes: tuple[str, ...] = (),
    on_progress: Progress | None = None,
) -> CircuitPlan:
    """A network as a physical circuit.

    Without a scale, ``v0`` is the largest that keeps every node within the swing, ``i0`` the
    largest that keeps every edge within its current, and ``c0`` the smallest that capacitors, times
    and noise allow: the fastest circuit within the limits, and of those the one of least energy.

    Args:
        model: the network.
        inputs: ``float64[S, Nin]``, the samples that it rests on.
        targets: what their answers should be, where that is known.
        limits: what the circuit may do; default: see ``Limits``.
        noise_model: which noise it has; default: see ``NoiseModel``.
        scale: to be judged; None: one is recommended.
        draws: of noise, for each sample.
        seed: of these.
        notes: what a reader should know, besides what is found here.
        on_progress: hears how far it is.

    Raises:
        GraphError: a sample's equations have no usable solution.
        UsageError: the temperature is not above absolute zero.
    """
    limits, noise_model = limits or Limits(), noise_model or NoiseModel()
    graph = model.graph
    work = _Work(model, inputs, noise_model, draws, seed, on_progress or _unheard)
    found = work.statistics()
    limited_by: tuple[str, ...] = ()
    if scale is None:
        chosen, noise, limiting = _recommend(work, found, limits)
        limited_by = ("voltage", "current", limiting)
    else:
        chosen, noise = scale, work.noise(scale)
    judged = checks(graph, found, limits, chosen, _measured(noise), noise.no_ratio)
    broken = tuple(check.name for check in judged if not check.kept)
    figures = circuit_figures(graph, found, chosen)
    return CircuitPlan(
        name=model.name,
        scale=chosen,
        recommended=scale is None,
        limits=limits,
        noise_model=noise_model,
        statistics=found,
        figures=figures,
        paper=circuit_figures(graph, found, PAPER),
        noise=noise,
        quality=quality(model, targets, noise),
        checks=judged,
        limited_by=broken or limited_by,
        verdict=verdict(figures, judged, limited_by),
        samples=len(inputs),
        notes=(*model.notes, *notes, *_emptiness(found)),
    )


def planned_samples(model: Model) -> tuple[int | None, int]:
    """How many samples to ask for where nobody says (None: as for a verification), and to look at.

    Of small networks 64, or all that a checkpoint carries; of large ones few.
    """
    if model.graph.edges > SMALL:
        return None, FEW
    if model.generative:
        return MANY, MANY
    return (None if model.samples is None else min(MANY, len(model.samples))), MANY


class _Work:
    """The solutions of the samples, and what is made of them."""

    def __init__(
        self,
        model: Model,
        inputs: FloatArray,
        noise_model: NoiseModel,
        draws: int,
        seed: int,
        progress: Progress,
    ) -> None:
        self.graph = model.graph
        self._model, self._draws, self._seed = noise_model, draws, seed
        self._progress, self._count = progress, len(inputs)
        self._reference: Reference = solve(
            self.graph, model.initial_voltages(inputs), TOLERANCE, keep=lambda k: k < MANY,
            on_progress=lambda done, of: progress("solutions", done, of),
        )  # fmt: skip

    def statistics(self) -> Statistics:
        """Voltages and currents of all samples."""
        return statistics(
            self.graph, map(self._reference.trajectory, range(self._count)),
            lambda done: self._progress("currents", done, self._count),
        )  # fmt: skip

    def noise(self, scale: Scale) -> NoiseFigures:
        """Noise at the read-outs of all samples."""
        with np.errstate(over="ignore", invalid="ignore"):
            return noise_figures(
                self.graph, map(self._reference.trajectory, range(self._count)), self._model,
                scale, self._draws, self._seed,
                lambda done: self._progress("noise", done, self._count),
            )  # fmt: skip


def _recommend(work: _Work, found: Statistics, limits: Limits) -> tuple[Scale, NoiseFigures, str]:
    """The scale, its noise, and which limit sets its capacitances."""
    v0, i0 = units_within(found, limits)
    least, limiting = least_capacitance(work.graph, found, limits, v0, i0)
    # Small noise first: where it is large a network no longer answers in proportion.
    c0 = _QUIET * least
    noise = work.noise(Scale(v0, i0, c0))
    for _ in range(_ATTEMPTS):
        # No capacitance makes a ratio of no signal.
        snr = _measured(noise) if noise.signal_rms > 0.0 else None
        enough = snr is None or snr >= limits.snr
        if enough and (c0 == least or (snr is not None and snr < limits.snr + 2 * _MARGIN)):
            break
        # Every mean square of noise falls as one over the capacitance.
        missing = -math.inf if snr is None else limits.snr - snr + _MARGIN
        growth = 10.0 ** (missing / 10.0) if missing < math.inf else _BLIND
        c0 = max(least, rounded(c0 * max(growth, 1.0 / _QUIET), math.ceil))
        noise = work.noise(Scale(v0, i0, c0))
    return Scale(v0, i0, c0), noise, limiting if c0 == least else "noise"


def _measured(noise: NoiseFigures) -> float | None:
    """Signal to noise in dB; None without noise, minus infinity where signal is 0 or drowned."""
    return noise.snr if noise.finite else -math.inf


def _emptiness(found: Statistics) -> tuple[str, ...]:
    """Says so where there is nothing that a scale could be told from."""
    peaks = {"voltages": found.voltage_peak, "currents": found.current_peak}
    zero = " and ".join(name for name, peak in peaks.items() if peak == 0.0)
    if not zero:
        return ()
    return (f"all {zero} are 0: no scale can be recommended or judged; give --inputs",)


def _unheard(_stage: str, _done: int, _total: int) -> None:
    pass


def _finite(value: float | None) -> float | None:
    """JSON has no infinities."""
    return value if value is None or math.isfinite(value) else None
