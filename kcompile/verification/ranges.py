"""The voltages over which ``-O3`` approximates: found, watched, and widened where left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import SimulationFailed
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray, Graph
from kcompile.passes import BOUNDED, Approximation, VoltageRange
from kcompile.passes.ranges import MARGIN
from kcompile.reference import Reference, Trajectory, solve
from kcompile.simulation import JobResult, Ngspice, PySpice
from kcompile.verification.deck import DeckFacts
from kcompile.verification.metrics import node_labels, phase_window
from kcompile.verification.simulate import SampleRun, run_samples

TOLERANCE = 1e-3
"""The comparison that an approximation serves where nobody says."""

SHARE = 0.1
"""The share of the error allowed that a current error of one sign would add up to; networks may
amplify it (potential2 twofold)."""

PROBES = 32
"""Most samples whose trajectories are solved for the ranges."""

ATTEMPTS = 3
"""How often samples that left the ranges are run again with wider ones."""

_TIMES = 129
"""Instants at which a trajectory is looked at; the margin covers what lies between."""


def approximated(
    model: Model, options: CompileOptions, initial: FloatArray, tolerance: float = TOLERANCE
) -> CompileOptions:
    """The options with the approximation of ``-O3`` filled in; others as they are.

    Args:
        model: the network.
        options: how to compile it.
        initial: ``float64[S, N]``, the first phase's voltages of the samples it is for. Of many,
            some are solved, and the margin grows with the number of the others.
        tolerance: of the comparison that the circuit is to pass.

    Raises:
        GraphError, UsageError: as ``solve``.
    """
    if options.opt_level != BOUNDED or options.approximation is not None:
        return options
    graph, count = model.graph, len(initial)
    probes = np.unique(np.linspace(0, count - 1, min(count, PROBES)).astype(int))
    reference = solve(graph, initial[probes], tolerance, keep=lambda _: True)
    seen = _joined(trajectory_ranges(graph, reference.trajectory(k)) for k in range(len(probes)))
    start = VoltageRange.of(initial)
    share = MARGIN * (1 + float(np.log10(count / len(probes))))
    wider = [found.with_margin(share) for found in seen]
    ranges = (wider[0].joined(start.with_margin(0.0)), *wider[1:])
    bound = SHARE * reference.absolute_tolerance * float(graph.capacitance.min()) / graph.duration
    return replace(options, approximation=Approximation(ranges, bound))


def exact(options: CompileOptions) -> CompileOptions:
    """The options at an exact level: for decks that are given, the passes do not matter."""
    if options.opt_level != BOUNDED:
        return options
    return replace(options, opt_level=BOUNDED - 1, approximation=None)


def trajectory_ranges(graph: Graph, trajectory: Trajectory) -> tuple[VoltageRange, ...]:
    """Between which voltages a trajectory's nodes stay, phase by phase."""
    return tuple(
        VoltageRange.of(trajectory.at(k, np.linspace(0.0, phase.duration, _TIMES)))
        for k, phase in enumerate(graph.phases)
    )


class RangeWatch:
    """Sees whether simulated voltages leave the ranges that a circuit was compiled for.

    Args:
        compiled: the circuit; below ``-O3`` there is nothing to see.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        found = compiled.options.approximation
        self._ranges = None if found is None or compiled.opt_level != BOUNDED else found.ranges
        self.seen: tuple[VoltageRange, ...] | None = None
        """The voltages of all samples that left the ranges."""

    def look(self, run: SampleRun, result: JobResult) -> SampleRun:
        """The run, with a mark where it left the ranges."""
        if not np.isfinite(run.outputs).all() or not self.left_by(result):
            return run
        return replace(run, left_ranges=True)

    def left_by(self, result: JobResult) -> bool:
        """Whether voltages of a simulation left the ranges, as far as its waveforms say."""
        if self._ranges is None:
            return False
        try:
            seen = self._extremes(result)
        except SimulationFailed:
            return False
        if all(r.holds(s) for r, s in zip(self._ranges, seen, strict=True)):
            return False
        self.seen = seen if self.seen is None else _joined([self.seen, seen])
        return True

    def _extremes(self, result: JobResult) -> tuple[VoltageRange, ...]:
        v0 = self._compiled.scale.v0
        found: list[VoltageRange] = []
        for plan, phase in zip(
            self._compiled.layers, self._compiled.model.graph.phases, strict=True
        ):
            wave = result.waveforms[plan.waveform]
            inside = phase_window(wave, plan)
            voltages = wave.voltages(node_labels(phase.nodes))[inside] / v0
            if not (voltages.size and np.isfinite(voltages).all()):
                raise SimulationFailed("a waveform holds no voltages")
            found.append(VoltageRange.of(voltages))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Mended:
    """Samples after those that left the ranges ran again.

    Args:
        compiled: the circuit with the widest ranges.
        deck: what they were written into; None where there was nothing to mend.
        runs: one a sample, in order.
        notes: what a reader should know.
    """

    compiled: Compiled
    deck: DeckFacts | None
    runs: tuple[SampleRun, ...]
    notes: tuple[str, ...]


def mend(
    compiled: Compiled,
    runs: tuple[SampleRun, ...],
    watch: RangeWatch,
    initial: FloatArray,
    reference: Reference,
    program: Ngspice | PySpice,
    work: Path,
    *,
    jobs: int,
    timeout: float,
    write: Callable[[Compiled, Path, FloatArray], DeckFacts],
    on_run: Callable[[SampleRun, JobResult], SampleRun],
) -> Mended:
    """Runs samples that left the ranges again, in a circuit with wider ones.

    Args:
        compiled: what was simulated.
        runs: what came of it, one a sample.
        watch: what saw it.
        initial: ``float64[S, N]``, the first phase's voltages of every sample.
        reference: the solution of every sample.
        program: the simulator.
        work: a folder for further decks.
        jobs: simulations at a time.
        timeout: seconds that one of them may take.
        write: writes decks.
        on_run: hears of each sample and may add to it.
    """
    deck, first = None, _left(runs)
    for attempt in range(ATTEMPTS):
        left = _left(runs)
        if not left:
            break
        compiled = _wider(compiled, watch, reference, left)
        deck = write(compiled, work / f"wider{attempt + 1}", initial[left[0]])
        watch = RangeWatch(compiled)
        done = partial(_again, left, watch, on_run)
        again = run_samples(
            compiled, deck.folder, initial[left], program, jobs=jobs, timeout=timeout, on_run=done
        )
        known = {run.index: run for run in again}
        runs = tuple(known.get(run.index, run) for run in runs)
    return Mended(compiled, deck, runs, _notes(first, _left(runs)))


def _again(
    left: Sequence[int],
    watch: RangeWatch,
    on_run: Callable[[SampleRun, JobResult], SampleRun],
    run: SampleRun,
    result: JobResult,
) -> SampleRun:
    """A run of the k-th sample that left the ranges, under its own number."""
    return on_run(watch.look(replace(run, index=left[run.index]), result), result)


def _wider(
    compiled: Compiled, watch: RangeWatch, reference: Reference, left: Sequence[int]
) -> Compiled:
    """The circuit for ranges that hold what some samples did, and should have done."""
    found = compiled.options.approximation
    assert found is not None
    graph = compiled.model.graph
    parts = [trajectory_ranges(graph, reference.trajectory(index)) for index in left]
    if watch.seen is not None:
        parts.append(watch.seen)
    wider = [part.with_margin() for part in _joined(parts)]
    ranges = _joined([found.ranges, wider])
    options = replace(compiled.options, approximation=replace(found, ranges=ranges))
    return compile_model(compiled.model, options)


def _left(runs: Sequence[SampleRun]) -> list[int]:
    return [run.index for run in runs if run.left_ranges]


def _notes(first: Sequence[int], last: Sequence[int]) -> tuple[str, ...]:
    notes: list[str] = []
    if first:
        notes.append(
            f"{_name(first)} left the voltage ranges of -O{BOUNDED} and ran again in a circuit "
            "with wider ones, whose size and bounds this report states"
        )
    if last:
        notes.append(
            f"{_name(last)} left the widest ranges too: the bound on the currents does not hold "
            "there"
        )
    return tuple(notes)


def _name(indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return f"sample {indices[0]}"
    named = ", ".join(str(index) for index in indices[:4])
    return f"{len(indices)} samples ({named}{', ...' if len(indices) > 4 else ''})"


def _joined(parts: Iterable[Sequence[VoltageRange]]) -> tuple[VoltageRange, ...]:
    """The smallest ranges that hold all of some, phase by phase."""
    first, *rest = parts
    found = tuple(first)
    for part in rest:
        found = tuple(one.joined(other) for one, other in zip(found, part, strict=True))
    return found
