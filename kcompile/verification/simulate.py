"""A compiled network's decks, run sample by sample, and what came out of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kcompile.compiler import Compiled, require_simulated
from kcompile.errors import SimulationFailed, UsageError
from kcompile.files import storage_error
from kcompile.ir import FloatArray, Graph, hand_over, phase_output
from kcompile.netlist import INPUTS, layer_file
from kcompile.simulation import (
    Job,
    JobResult,
    LayerDeck,
    Ngspice,
    PySpice,
    Status,
    Waveforms,
    find_ngspice,
    find_pyspice,
    run_jobs,
)
from kcompile.verification.circuits import require_osdi
from kcompile.verification.inputs import check_inputs
from kcompile.verification.metrics import node_labels
from kcompile.verification.supplies import supply_energy

TIMEOUT = 3600.0
"""Seconds that one simulation may take by default."""

TIME_TOLERANCE = 1e-6
"""How far a waveform may end from its time, relative."""

PRINT_TOLERANCE = 1e-9
"""How far the printed read-outs may be from the waveforms' last points, relative."""


def choose_simulator(simulator: str, ngspice: Path | str | None = None) -> Ngspice | PySpice:
    """The simulator called ``ngspice`` (which one: see ``find_ngspice``) or ``pyspice``.

    Raises:
        UsageError: another name.
        SimulatorNotFound, MissingExtra: it is not there.
    """
    match simulator:
        case "ngspice":
            return find_ngspice(ngspice)
        case "pyspice":
            return find_pyspice()
        case _:
            raise UsageError(
                f"unknown simulator {simulator!r}", where="--simulator", hint="ngspice or pyspice"
            )


@dataclass(frozen=True, slots=True, eq=False)
class SampleRun:
    """What came of one sample.

    Args:
        index: its number.
        status: ``ok``; how the simulation failed; or ``mismatch``: it ran, but not as planned.
        problem: what was wrong, one line; None where all was well.
        outputs: ``float64[M]``, the read-out nodes at the end in software units; NaN without.
        inference_time: seconds that the circuit took, from the last time points; None without.
        seconds: wall time.
        time_points, iterations: of the simulator.
        finished: whether the simulator reached an end of its own.
        attempts: how often it was tried.
        earlier: what went wrong at the first attempt; "" where that was the only one.
        steps: the step cap was a layer's duration divided by this; None: as the decks say.
        wave_error: the largest error of any node at any time, software units; None: not looked at.
        left_ranges: whether voltages left the ranges that an approximation was made for.
        supply_energy: joules that the supplies delivered; None: the device family has none, or the
            decks do not save their currents.
    """

    index: int
    status: str
    problem: str | None
    outputs: FloatArray
    inference_time: float | None
    seconds: float
    time_points: int
    iterations: int
    finished: bool
    attempts: int = 1
    earlier: str = ""
    steps: int | None = None
    wave_error: float | None = None
    left_ranges: bool = False
    supply_energy: float | None = None


def make_jobs(
    compiled: Compiled, folder: Path, initial: FloatArray, *, verbatim_first: bool = False
) -> Iterator[Job]:
    """One job a sample, called ``sample <index>``.

    Args:
        compiled: what the decks were written from.
        folder: the decks.
        initial: ``float64[S, N]``, the first phase's voltages of every sample.
        verbatim_first: whether sample 0 runs with the folder's own input file.
    """
    ends: dict[str, float] = {}
    for plan in compiled.layers:
        ends[plan.waveform] = max(plan.end, ends.get(plan.waveform, 0.0))
    layers = layer_decks(compiled)
    for index, voltages in enumerate(initial):
        own = verbatim_first and index == 0
        files = {} if own else {INPUTS: compiled.inputs_text(voltages)}
        yield Job(f"sample {index}", folder, files, ends, layers=layers)


def layer_decks(compiled: Compiled) -> tuple[LayerDeck, ...]:
    """The layers with where their initial voltages come from; none for a single deck."""
    if compiled.circuit.single is not None:
        return ()
    sources = voltage_sources(compiled.model.graph)
    return tuple(
        LayerDeck(layer_file(index + 1), plan.waveform, sources[index])
        for index, plan in enumerate(compiled.layers)
    )


def voltage_sources(graph: Graph) -> list[tuple[tuple[tuple[int, int], ...], ...]]:
    """For every phase and node the ``(phase, node)`` pairs whose final voltages it starts with.

    The first phase starts with the input: nothing is said of it.
    """
    found: list[tuple[tuple[tuple[int, int], ...], ...]] = [()]
    passed: list[list[tuple[tuple[int, int], ...]]] = []
    for index, phase in enumerate(graph.phases[:-1]):
        own = [((index, node),) for node in range(1, phase.nodes + 1)]
        if phase.residual is not None:
            earlier = passed[phase.residual]
            own = [pairs + earlier[node] for node, pairs in enumerate(own)]
        passed.append(own)
        following = graph.phases[index + 1]
        # Numbers stand for voltages: k for the k-th that is passed on, 0 for none.
        places: list[int] = hand_over(np.arange(1.0, len(own) + 1), following).astype(int).tolist()
        found.append(tuple(own[place - 1] if place else () for place in places))
    return found


def read_run(compiled: Compiled, index: int, result: JobResult, *, printed: bool) -> SampleRun:
    """What one job says about its sample.

    Args:
        compiled: what was simulated.
        index: number of the sample.
        result: of its job.
        printed: whether the decks' own script ran, so that what it prints can be compared.
    """
    problem = None if result.ok else result.reason or str(result.status)
    status = str(result.status)
    count = len(compiled.model.graph.outputs)
    outputs, inference_time, energy = np.full(count, np.nan), None, None
    # A run that only stopped early or late has an answer, which is worth reporting.
    if result.ok or result.status is Status.STOPPED_EARLY:
        try:
            outputs = final_outputs(compiled, result.waveforms)
            inference_time = sum(float(wave.time[-1]) for wave in result.waveforms.values())
            energy = supply_energy(compiled.circuit.family, result.waveforms)
            problem = problem or _times(compiled, result.waveforms)
            if printed:
                problem = problem or _printed(compiled, outputs, result.printed)
        except SimulationFailed as error:
            problem = problem or str(error)
        status = "mismatch" if result.ok and problem else status
    return SampleRun(
        index, status, problem if result.folder is None else f"{problem} (see {result.folder})",
        outputs, inference_time, result.seconds, result.time_points, result.iterations,
        finished=result.ok or result.status is Status.STOPPED_EARLY,
        attempts=result.attempts, earlier=result.earlier, supply_energy=energy,
    )  # fmt: skip


def final_outputs(compiled: Compiled, waves: Mapping[str, Waveforms]) -> FloatArray:
    """The read-out nodes' voltages at the end, ``float64[M]``, software units.

    Raises:
        SimulationFailed: a waveform or a node is missing.
    """
    graph, v0 = compiled.model.graph, compiled.scale.v0
    if compiled.circuit.single is not None:
        wave = _wave(waves, compiled.layers[-1].waveform)
        return wave.voltages([f"n{node}" for node in graph.outputs])[-1] / v0
    passed: list[FloatArray] = []
    for index, plan in enumerate(compiled.layers):
        wave = _wave(waves, plan.waveform)
        final = wave.voltages(node_labels(graph.phases[index].nodes))[-1] / v0
        passed.append(phase_output(graph, index, final, passed))
    return passed[-1][graph.outputs - 1]


def _wave(waves: Mapping[str, Waveforms], name: str) -> Waveforms:
    if name not in waves or not len(waves[name]):
        raise SimulationFailed(f"the simulator wrote no {name}")
    return waves[name]


def _times(compiled: Compiled, waves: Mapping[str, Waveforms]) -> str | None:
    """What is wrong with the waveforms' last time points, if anything."""
    last = {plan.waveform: plan.end for plan in compiled.layers}
    for name, end in last.items():
        reached = float(waves[name].time[-1])
        if abs(reached - end) > TIME_TOLERANCE * end:
            return (
                f"{name} ends at {reached:.9g} s where {end:.9g} s are planned "
                "(are scale and durations those of the deck?)"
            )
    return None


def _printed(compiled: Compiled, outputs: FloatArray, printed: Mapping[str, float]) -> str | None:
    """How the read-outs that the script prints contradict the waveforms, if they do."""
    v0 = compiled.scale.v0
    for node, value in zip(compiled.model.graph.outputs.tolist(), outputs.tolist(), strict=True):
        said = printed.get(f"n{node}")
        if said is None:
            return f"the decks print no read-out n{node}"
        if not abs(said - value * v0) <= PRINT_TOLERANCE * v0 * max(1.0, abs(value)):
            return f"the decks print n{node} = {said:.12g}, the waveform ends at {value * v0:.12g}"
    return None


def run_samples(
    compiled: Compiled,
    folder: Path,
    initial: FloatArray,
    simulator: Ngspice | PySpice,
    *,
    jobs: int = 2,
    timeout: float = TIMEOUT,
    verbatim_first: bool = False,
    on_run: Callable[[SampleRun, JobResult], SampleRun] | None = None,
) -> tuple[SampleRun, ...]:
    """Runs the decks in ``folder`` for every sample; waveforms are seen by ``on_run`` alone.

    Args:
        compiled: what the decks were written from.
        folder: the decks.
        initial: ``float64[S, N]``, the first phase's voltages of every sample.
        simulator: from ``choose_simulator``.
        jobs: simulations at a time.
        timeout: seconds that one of them may take.
        verbatim_first: whether sample 0 runs with the folder's own input file.
        on_run: called with each sample as it ends, in any order, and may add to it.

    Raises:
        DeckError: a deck is missing.
        StorageError: the disk is full.
        UsageError: ``jobs`` or ``timeout`` is out of range.
    """
    runs: dict[int, SampleRun] = {}

    def done(result: JobResult) -> None:
        index = int(result.name.rpartition(" ")[2])
        run = read_run(compiled, index, result, printed=isinstance(simulator, Ngspice))
        runs[index] = run if on_run is None else on_run(run, result)

    planned = make_jobs(compiled, folder, initial, verbatim_first=verbatim_first)
    run_jobs(simulator, planned, workers=jobs, timeout=timeout, on_done=done, keep_waveforms=False)
    return tuple(runs[index] for index in range(len(initial)))


def simulate_compiled(
    compiled: Compiled,
    inputs: Any,
    *,
    simulator: str = "ngspice",
    ngspice: Path | str | None = None,
    jobs: int = 2,
    timeout: float = TIMEOUT,
) -> tuple[FloatArray, tuple[JobResult, ...]]:
    """The read-outs ``float64[S, M]`` of a circuit, and all that its simulations left.

    Args:
        compiled: the circuit.
        inputs: ``[Nin]`` or ``[S, Nin]``.
        simulator: ``ngspice`` or ``pyspice``.
        ngspice: which ngspice.
        jobs: simulations at a time.
        timeout: seconds that one of them may take.

    Raises:
        UsageError: the device family is one of another simulator's.
        SimulatorNotFound: there is no simulator, or none that loads the compiled devices.
        SimulationFailed: a sample did not finish.
    """
    require_simulated(compiled.options)
    chosen = choose_simulator(simulator, ngspice)
    require_osdi(compiled.options, chosen)
    initial = compiled.model.initial_voltages(check_inputs(inputs, compiled.model))
    results: dict[int, JobResult] = {}

    def keep(run: SampleRun, result: JobResult) -> SampleRun:
        results[run.index] = result
        return run

    with work_folder() as folder:
        compiled.write(folder, initial[0])
        runs = run_samples(
            compiled, folder, initial, chosen, jobs=jobs, timeout=timeout, on_run=keep
        )
    failed = first_problem(runs)
    if failed is not None:
        raise SimulationFailed(failed)
    return np.stack([run.outputs for run in runs]), tuple(results[k] for k in range(len(runs)))


def first_problem(runs: Sequence[SampleRun]) -> str | None:
    """The first sample that did not run as planned, and why."""
    return next((f"sample {run.index}: {run.problem}" for run in runs if run.problem), None)


@contextmanager
def work_folder() -> Generator[Path]:
    """A private folder for the length of a block.

    Raises:
        StorageError: there is no place for temporary files.
    """
    try:
        folder = TemporaryDirectory(prefix="kcompile-deck-", ignore_cleanup_errors=True)
    except OSError as error:
        raise storage_error(error, Path(tempfile.gettempdir())) from error
    with folder as name:
        yield Path(name)
