"""One circuit out of all that the variations allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kcompile.frontend import Model
from kcompile.ir import (
    COEFFICIENTS,
    Coefficients,
    EdgeBatch,
    FloatArray,
    Graph,
    Injected,
    Phase,
    Phi,
    Trace,
    hand_over,
    validate,
)
from kcompile.timing import Timing
from kcompile.variations.devices import Devices, NumpyArithmetic
from kcompile.variations.effect import Chance
from kcompile.variations.noise import CurrentNoise
from kcompile.variations.parameters import Stuck, Temperature
from kcompile.variations.specification import Variations
from kcompile.variations.surroundings import LEAKS, Capacitors, Leakage, OutputConductance
from kcompile.variations.terminals import Input, ReadOut

BoolArray = np.ndarray[tuple[int], np.dtype[np.bool_]]

_ARITHMETIC = NumpyArithmetic()


@dataclass(frozen=True, eq=False)
class Draw:
    """One circuit with its imperfections, and the converters around it.

    Args:
        model: the network whose graph has them; without active effects the given one itself.
        variations: what it was drawn from.
        chance: where its random numbers came from.
        ideal: the network without them.
    """

    model: Model
    variations: Variations
    chance: Chance
    ideal: Model

    @property
    def noisy(self) -> bool:
        """Whether currents have noise, which is another for every sample."""
        return CurrentNoise.name in self.variations.active

    @property
    def timing(self) -> Timing | None:
        """The timing of its layers, in one transient; None: they follow each other perfectly."""
        timing = self.variations.timing
        if timing.perfect:
            return None
        own = int(self.chance.of("timing", timing.seed).integers(1 << 31))
        return replace(timing, seed=own) if timing.skew > 0 else timing

    def of_thermal_devices(self) -> Draw:
        """The same circuit for devices that follow the temperature themselves: its laws do not."""
        rest = self.variations.without([Temperature.name])
        return draw(self.ideal, rest, self.chance.seed, self.chance.index)

    def injected(self, sample: int) -> tuple[Injected | None, ...]:
        """The noise currents in every phase of the circuit, of one sample."""
        effect: CurrentNoise = self.variations.effect(CurrentNoise)
        phases, ideal = self.model.graph.phases, self.ideal.graph.phases
        if not effect.active:
            return (None,) * len(phases)
        every = 1 if len(phases) == len(ideal) else 2  # the others are pauses
        return tuple(
            None
            if index % every
            else effect.draw(
                phase,
                ideal[index // every].edges,
                self.chance.of(effect.name, index // every, sample),
            )
            for index, phase in enumerate(phases)
        )

    def of_sample(self, sample: int) -> Model:
        """The circuit with the noise currents of one sample as sources, for a deck."""
        if not self.noisy:
            return self.model
        graph = self.model.graph
        phases = (
            replace(phase, injected=injected)
            for phase, injected in zip(graph.phases, self.injected(sample), strict=True)
        )
        return replace(self.model, graph=validate(graph.with_phases(phases)))

    def initial_voltages(self, inputs: FloatArray) -> FloatArray:
        """As ``Model.initial_voltages``, set by the real converter."""
        effect: Input = self.variations.effect(Input)
        if not effect.active:
            return self.model.initial_voltages(inputs)
        given = self.model.input_voltages(inputs)
        converted = effect.convert(given, *self._chances(effect.name), _ARITHMETIC)
        return hand_over(converted, self.model.graph.phases[0])

    def read_out(self, outputs: FloatArray) -> FloatArray:
        """The read-outs ``[S, M]`` as the real converter gives them."""
        effect: ReadOut = self.variations.effect(ReadOut)
        if not effect.active:
            return outputs
        return effect.convert(outputs, *self._chances(effect.name), _ARITHMETIC)

    def _chances(self, name: str) -> tuple[np.random.Generator, np.random.Generator]:
        return self.chance.of(name, 0), self.chance.of(name, 1)


def draw(model: Model, variations: Variations, seed: int = 0, index: int = 0) -> Draw:
    """One circuit with the variations' imperfections.

    Args:
        model: the ideal network.
        variations: which imperfections, how strong.
        seed: of the experiment.
        index: which circuit of it; effects get the same numbers whatever other effects there are.

    Raises:
        UsageError: the noise's step does not suit a layer.
    """
    chance = Chance(seed, index)
    graph = varied(model.graph, variations, chance)
    noise: CurrentNoise = variations.effect(CurrentNoise)
    if noise.active:
        for phase in model.graph.phases:
            noise.check(phase)
    if graph is not model.graph or noise.active:
        said = f"{variations}; seed {seed}, circuit {index}"
        return Draw(replace(model, graph=graph, imperfections=said), variations, chance, model)
    return Draw(model, variations, chance, model)


def varied(graph: Graph, variations: Variations, chance: Chance) -> Graph:
    """The graph with the variations in it; the same object where none of them touches it.

    Noise is not in it: that is another for every sample (``Draw.injected``).
    """
    effects = list(variations.device_effects)
    leakage: Leakage = variations.effect(Leakage)
    capacitors: Capacitors = variations.effect(Capacitors)
    output: OutputConductance = variations.effect(OutputConductance)
    phases = graph.phases
    if effects:
        phases = tuple(_with_devices(p, k, variations, chance) for k, p in enumerate(phases))
    if output.active or leakage.active:
        leaks = leakage.loads(graph.nodes, chance)
        phases = tuple(_loaded(p, output, leaks) for p in phases)
        if leakage.hold > 0 and leakage.active:
            phases = _with_holds(phases, leakage.hold, leaks)
    if capacitors.active:
        return validate(replace(graph, phases=phases, capacitance=capacitors.apply(graph, chance)))
    return graph if phases is graph.phases else validate(replace(graph, phases=phases))


def with_effects(
    devices: Devices, variations: Variations, chance: Chance, phase: int, place: int
) -> Devices:
    """The devices of one batch as they really are, but for those that are stuck on.

    Args:
        devices: as they should be.
        variations: which effects there are.
        chance: of the draw.
        phase: the phase's index.
        place: the batch's in the phase.
    """
    for effect in variations.device_effects:
        devices = effect.apply(devices, chance.of(effect.name, phase, place))
    return devices


def stuck_on(
    count: int, variations: Variations, chance: Chance, phase: int, place: int
) -> BoolArray:
    """Which devices of a batch are stuck on, ``bool[count]``; see ``Devices.always_on``."""
    stuck: Stuck = variations.effect(Stuck)
    return stuck.choose(count, chance.of(stuck.name, phase, place))[1]


def _with_devices(phase: Phase, number: int, variations: Variations, chance: Chance) -> Phase:
    batches: list[EdgeBatch] = []
    for place, batch in enumerate(_alike(phase)):
        devices = with_effects(_devices(batch), variations, chance, number, place)
        on = stuck_on(len(batch), variations, chance, number, place)
        batches.append(_with_numbers(batch, devices))
        if on.any():
            always = _with_numbers(batch, devices.always_on())
            batches[-1:] = [batches[-1].take(np.flatnonzero(~on)), always.take(np.flatnonzero(on))]
    return phase.with_batches(tuple(batches))


def _alike(phase: Phase) -> list[EdgeBatch]:
    """The batches, with edges that see one difference and those that see two voltages apart."""
    whole: list[EdgeBatch] = []
    affine: list[EdgeBatch] = []
    for batch in phase.batches:
        mixed = batch.is_diff.any() and not batch.is_diff.all()
        whole.append(batch.take(np.flatnonzero(batch.is_diff)) if mixed else batch)
        if mixed:
            affine.append(batch.take(np.flatnonzero(~batch.is_diff)))
    return whole + affine


def _devices(batch: EdgeBatch) -> Devices:
    numbers = Coefficients(*(_number(getattr(batch, name)) for name in COEFFICIENTS))
    return Devices.of(batch.phi, len(batch), numbers, _ARITHMETIC)


def _with_numbers(batch: EdgeBatch, devices: Devices) -> EdgeBatch:
    return replace(batch, phi=devices.phi, w=devices.w, a=devices.a, b=devices.b, c=devices.c)


def _number(value: FloatArray) -> float | FloatArray:
    return float(value) if value.ndim == 0 else value


def _loaded(phase: Phase, output: OutputConductance, leaks: tuple[FloatArray, FloatArray]) -> Phase:
    """The phase with what leaks from its nodes to ground."""
    placed = ((batch.src, batch.dst, _devices(batch)) for batch in phase.batches)
    conductance = leaks[0][: phase.nodes] + output.loads(phase.nodes, placed)
    return _with_leaks(phase, conductance, leaks[1][: phase.nodes])


def _with_leaks(phase: Phase, conductance: FloatArray, current: FloatArray) -> Phase:
    added: list[EdgeBatch] = []
    count = phase.edges
    for values, numbers in zip((conductance, current), LEAKS, strict=True):
        nodes = np.flatnonzero(values)
        if nodes.size:
            trace = Trace.identity(len(nodes), count)
            count += len(nodes)
            ground = np.zeros(len(nodes), np.int32)
            a, b, c = map(np.asarray, numbers)
            ends = (nodes + 1).astype(np.int32)
            added.append(EdgeBatch(Phi.IDENTITY, ends, ground, values[nodes], a, b, c, trace))
    return phase.with_batches((*phase.batches, *added))


def _with_holds(
    phases: tuple[Phase, ...], hold: float, leaks: tuple[FloatArray, FloatArray]
) -> tuple[Phase, ...]:
    """The phases with a pause between them in which nodes only leak."""
    found: list[Phase] = [phases[0]]
    for before, phase in pairwise(phases):
        pause = Phase(before.nodes, hold, ())
        pause = _with_leaks(pause, leaks[0][: before.nodes], leaks[1][: before.nodes])
        residual = None if phase.residual is None else 2 * phase.residual
        found += [pause, replace(phase, residual=residual)]
    return tuple(found)
