"""Model and options to a circuit that can be written as decks: passes, lowering, settings."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kcompile.devices import Gates
from kcompile.errors import UsageError
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray, Graph, digest
from kcompile.lower import FamilySpec, lower, read_family, single_deck
from kcompile.netlist import (
    DIALECTS,
    SINGLE_WAVEFORM,
    Circuit,
    DeckFiles,
    Family,
    format_inputs,
    layer_waveform,
    to_pyspice,
    write_decks,
)
from kcompile.passes import BOUNDED, Approximation, PassRecord, check_level, optimise
from kcompile.timing import Timing
from kcompile.units import Scale

SWITCH_LIMIT = 20_000
"""Most edges for which the literal switch circuit of Fig. 5 is the default."""

STEPS = 200
"""The simulator's step is at most a layer's duration divided by this."""


_ABSOLUTE_ZERO = -273.15
"""Degrees Celsius."""


@dataclass(frozen=True)
class CompileOptions:
    """How to compile.

    Args:
        scale: the unit system.
        device: device family, or ``FAMILY:PRESET``; None: ``switch`` for piecewise-linear laws up
            to 20,000 edges (with ``-O0`` or ``-O1``), else ``ideal``.
        opt_level: 0, 1, 2, all exact, or 3, which approximates; None: what suits the family.
        single_deck: all layers in one transient, with gated currents.
        parameters: device parameters by name, in the units that the family states.
        pdk: a folder of further device families.
        approximation: how far ``-O3`` may go, and over which voltages it holds; the functions of
            ``kcompile`` find it from the trajectories of the samples. Other levels need none.
        temperature: of the circuit, degrees Celsius; None: 27, the simulators' own, unsaid.
        timing: of the layers of a single deck; None: perfect.
    """

    scale: Scale = Scale()
    device: str | None = None
    opt_level: int | None = None
    single_deck: bool = False
    parameters: Mapping[str, float] = field(default_factory=dict[str, float])
    pdk: Path | None = None
    approximation: Approximation | None = None
    temperature: float | None = None
    timing: Timing | None = None

    @property
    def imperfect(self) -> Timing | None:
        """The timing where it is not perfect, else None."""
        return None if self.timing is None or self.timing.perfect else self.timing


@dataclass(frozen=True)
class LayerPlan:
    """Where a phase is found in the waveforms that the decks write.

    Args:
        phase: index of the phase.
        waveform: name of the raw file.
        start, end: seconds within it.
        duration: of the phase, software time; with imperfect timing that from start to end.
        time_unit: seconds per software time unit.
        ramp: seconds that the phase's gate takes to open or close; 0: time runs evenly.
    """

    phase: int
    waveform: str
    start: float
    end: float
    duration: float
    time_unit: float
    ramp: float = 0.0

    def software_time(self, t: FloatArray) -> FloatArray:
        """Software time since the phase began at the waveform's times ``t`` [P] in seconds.

        A gated phase runs at the pace of its gate: software time is the area under it.
        """
        t = np.clip(np.asarray(t, dtype=np.float64) - self.start, 0.0, self.end - self.start)
        if self.ramp > 0:
            rest = np.clip(self.end - self.start - t, 0.0, self.ramp)
            opening = np.minimum(t, self.ramp)
            flat = np.clip(t - self.ramp, 0.0, None) - (self.ramp - rest)
            t = opening**2 / (2 * self.ramp) + flat + (self.ramp**2 - rest**2) / (2 * self.ramp)
        return np.minimum(t / self.time_unit, self.duration)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network as a circuit, ready to be written.

    Args:
        model: what was compiled.
        graph: after the passes.
        options: with device and level filled in.
        note: which device family and level were chosen, and why.
        passes: what each pass did.
        circuit: the elements.
        seconds: how long compiling took.
    """

    model: Model
    graph: Graph
    options: CompileOptions
    note: str
    passes: tuple[PassRecord, ...]
    circuit: Circuit
    seconds: float

    @property
    def scale(self) -> Scale:
        """The unit system."""
        return self.options.scale

    @property
    def device(self) -> str:
        """Name of the device family."""
        return self.circuit.family.name

    @property
    def opt_level(self) -> int:
        """The ``-O`` level."""
        assert self.options.opt_level is not None
        return self.options.opt_level

    @property
    def error_bound(self) -> float:
        """By how much the current of any node may differ from the network's, software units."""
        return sum(record.error_bound for record in self.passes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know: family and level, and how far the circuit is approximate."""
        if self.opt_level < BOUNDED:
            return (self.note,)
        remarks = [f"{record.name}: {note}" for record in self.passes for note in record.notes]
        return (self.note, _bound_note(self.passes), *remarks)

    @property
    def simulator_options(self) -> Mapping[str, float | None]:
        """What the decks' ``.options`` line says."""
        return self.circuit.options

    @property
    def layers(self) -> tuple[LayerPlan, ...]:
        """Where each phase is found in the waveforms."""
        tau = self.scale.time_unit
        layers, phases = self.circuit.layers, self.graph.phases
        if self.circuit.single is None:
            return tuple(
                LayerPlan(k, layer_waveform(k + 1), 0.0, layer.duration, phases[k].duration, tau)
                for k, layer in enumerate(layers)
            )
        timing = self.options.timing or Timing()
        schedule = timing.schedule([x.duration for x in layers], [x.nodes for x in layers])
        if not timing.perfect:
            return tuple(
                LayerPlan(k, SINGLE_WAVEFORM, start, end, (end - start) / tau, tau)
                for k, (start, end) in enumerate(schedule.windows)
            )
        corners = (schedule.corners(k)[0].tolist() for k in range(len(layers)))
        return tuple(
            LayerPlan(k, SINGLE_WAVEFORM, c[0], c[3], phases[k].duration, tau, schedule.rise)
            for k, c in enumerate(corners)
        )

    def write(self, folder: Path, initial: FloatArray) -> DeckFiles:
        """Writes the decks.

        Args:
            folder: made where it is missing.
            initial: ``float64[N]``, software voltages of the first phase's nodes at t = 0.

        Raises:
            StorageError: it cannot be written.
        """
        return write_decks(self.circuit, folder, self._inputs(initial))

    def inputs_text(self, initial: FloatArray) -> str:
        """What ``inputs.inc`` says for other initial voltages ``[N]`` (as in ``write``)."""
        return format_inputs(self.circuit, self._inputs(initial))

    def to_pyspice(self, layer: int = 1, initial: ArrayLike | None = None) -> Any:
        """One layer as a PySpice ``Circuit``; ``netlist.to_pyspice`` says more.

        Args:
            layer: which, from 1.
            initial: software voltages, of the first phase's nodes as in ``write``, else of all
                nodes that the layer before hands over; default: 0.

        Raises:
            MissingExtra: PySpice is not installed.
            UsageError: there is no such layer, or all layers share one transient.
            InputError: ``initial`` does not fit.
        """
        if initial is None:
            return to_pyspice(self.circuit, layer)
        given = np.asarray(initial, dtype=np.float64)
        volts = self._inputs(given) if layer == 1 else given * self.scale.v0
        return to_pyspice(self.circuit, layer, volts)

    def _inputs(self, initial: FloatArray) -> FloatArray:
        return np.asarray(initial, dtype=np.float64)[: self.graph.inputs] * self.scale.v0


def compile_model(model: Model, options: CompileOptions | None = None) -> Compiled:
    """Compiles a network into a circuit.

    Raises:
        UsageError: an option is out of range, or options that contradict each other.
        PdkError: the device family cannot build one of the network's laws.
    """
    began = time.perf_counter()
    options, family, note = _resolve(model.graph, options or CompileOptions())
    assert options.opt_level is not None
    graph, passes = optimise(model.graph, options.opt_level, options.approximation)
    values = family.values(options.scale, options.parameters)
    timing = options.timing or Timing()
    gates = (Gates.ROWS if timing.skew > 0 else Gates.ONE) if options.single_deck else Gates.NONE
    layers = lower(graph, family, options.scale, gates=gates, parameters=values)
    circuit = Circuit(
        layers,
        Family(family.name, family.folders, values, family.dialect, family.supplies),
        tuple(graph.outputs.tolist()),
        graph.inputs,
        options.scale.v0,
        simulator_options(
            options.scale, klu=family.klu, dialect=family.dialect, temperature=options.temperature
        ),
        STEPS,
        _header(model, options, note, passes),
        single_deck(layers, timing, options.scale) if options.single_deck else None,
    )
    return Compiled(model, graph, options, note, passes, circuit, time.perf_counter() - began)


def require_simulated(options: CompileOptions) -> CompileOptions:
    """The same options, once it is seen that the circuit would be one for ngspice.

    Raises:
        UsageError: the device family is written for another simulator, or there is none.
    """
    family = None if options.device is None else read_family(options.device, options.pdk)
    if family is not None and family.dialect != DIALECTS[0]:
        raise UsageError(
            f"{family.name} decks are for {family.dialect}, {DIALECTS[0]} cannot simulate them",
            where="--device",
            hint="write them with 'kcompile netlist', and verify the network with --device ideal",
        )
    return options


def simulator_options(
    scale: Scale,
    *,
    klu: bool = True,
    dialect: str = "ngspice",
    temperature: float | None = None,
) -> dict[str, float | None]:
    """Simulator options derived from the units, so that answers do not depend on the scale.

    The charge tolerance is what matters: ngspice's default of 1e-14 C is a floor of 10 V on 1 fF.
    Spectre has none, but measures a capacitor's error in volts.

    Args:
        scale: the unit system.
        klu: whether to ask for the KLU solver (ngspice before 42 ignores the word).
        dialect: whose options.
        temperature: of the circuit, degrees Celsius; None: left at the simulator's 27.
    """
    said: dict[str, float | None] = {} if temperature is None else {"temp": temperature}
    if dialect == "spectre":
        return {
            **said,
            "reltol": 1e-6,
            "vabstol": 1e-9 * scale.v0,
            "iabstol": 1e-9 * scale.i0,
            "gmin": 1e-12 / scale.resistance_unit,
        }
    return {
        **({"klu": None} if klu else {}),
        **said,
        "reltol": 1e-6,
        "abstol": 1e-9 * scale.i0,
        "vntol": 1e-9 * scale.v0,
        "chgtol": 1e-2 * scale.c0 * scale.v0,
        "trtol": 7.0,
        "gmin": 1e-12 / scale.resistance_unit,
        "pivtol": 1e-13 / scale.resistance_unit,
    }


def _resolve(graph: Graph, options: CompileOptions) -> tuple[CompileOptions, FamilySpec, str]:
    """Fills in the device family and the level; says what was chosen and why."""
    level, chosen = options.opt_level, options.device
    if options.imperfect is not None and not options.single_deck:
        raise UsageError(
            "layers have a timing only in one transient", where="--timing",
            hint="add --single-deck",
        )  # fmt: skip
    if level is not None:
        check_level(level)
    if options.temperature is not None:
        _check_temperature(options.temperature)
    why = "as asked for"
    if chosen is None:
        linear = all(batch.phi.piecewise_linear for p in graph.phases for batch in p.batches)
        if not linear:
            chosen, why = "ideal", "the law is not piecewise linear"
        elif graph.edges > SWITCH_LIMIT:
            chosen, why = "ideal", f"more than {SWITCH_LIMIT} edges"
        elif level is not None and level >= 2:
            chosen, why = "ideal", f"-O{level} joins edges"
        else:
            chosen, why = "switch", f"Fig. 5 drawn out, up to {SWITCH_LIMIT} edges"
    family = read_family(chosen, options.pdk)
    level = family.default_level if level is None else level
    note = f"device family {family.name} at -O{level} ({why})"
    return replace(options, device=chosen, opt_level=level), family, note


def _check_temperature(celsius: float) -> None:
    if not (math.isfinite(celsius) and celsius > _ABSOLUTE_ZERO):
        raise UsageError(
            f"the temperature is {celsius!r} degrees Celsius", where="--temperature",
            hint=f"give a number above {_ABSOLUTE_ZERO}",
        )  # fmt: skip


def _timing_note(timing: Timing) -> str:
    numbers = ", ".join(f"{name} {value!r}" for name, value in timing.to_mapping().items())
    return f"timing: {numbers} (times: fractions of the shortest layer)"


def _bound_note(passes: tuple[PassRecord, ...]) -> str:
    bound = sum(record.error_bound for record in passes)
    if bound == 0:
        return f"-O{BOUNDED}: nothing was approximated"
    return (
        f"-O{BOUNDED}: every node's current is within {bound:.3g} (software units) of the "
        "network's while the voltages stay near the trajectories it was compiled for"
    )


def _header(
    model: Model, options: CompileOptions, note: str, passes: tuple[PassRecord, ...]
) -> tuple[str, ...]:
    graph, scale, timing = model.graph, options.scale, options.imperfect
    parameters = "".join(f", {name}={value!r}" for name, value in options.parameters.items())
    layers = "1 layer" if len(graph.phases) == 1 else f"{len(graph.phases)} layers"
    return (
        f"KirchhoffNet {model.name}: law {model.law}, {graph.nodes} nodes, {graph.edges} edges, "
        + layers,
        f"graph sha256 {digest(graph)}",
        f"units: {scale.v0!r} V, {scale.i0!r} A, {scale.c0!r} F; "
        f"one software time unit is {scale.time_unit!r} s",
        f"{note}{parameters}",
        *(
            ()
            if options.temperature is None
            else (f"temperature: {options.temperature!r} degrees Celsius",)
        ),
        *(() if model.imperfections is None else (f"imperfections: {model.imperfections}",)),
        *(() if timing is None else (_timing_note(timing),)),
        *((_bound_note(passes),) if options.opt_level == BOUNDED else ()),
    )
