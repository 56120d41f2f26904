"""A large network in every form: naive decks, PySpice's objects, behavioural and compiled devices.

All forms have the same step cap, tolerances and script, run on the same ngspice one after the
other, and end within one per cent of the reference.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import naive
from benchmarks.measuring import Progress, Result, Size, Usage, median_of, run_child
from benchmarks.networks import strokes, trained_like
from benchmarks.simulations import figures, simulators
from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.devices import library
from kcompile.frontend import Model, load, save_checkpoint
from kcompile.ir import FloatArray
from kcompile.reference import solve
from kcompile.simulation import Ngspice, Session, Transient, read_raw
from kcompile.simulation.process import ProcessGroups, environment
from kcompile.verification.circuits import LAYER_VERSION, session_deck
from kcompile.verification.simulate import final_outputs

ALLOWED = 0.01
"""Largest error of the read-outs, relative to their range."""

SETTINGS: Mapping[str, float] = {"reltol": 1e-4, "trtol": 7000.0}
"""Simulator options of every form: the step is left to its cap."""

FEWEST, MOST = 60, 960
"""Steps a layer: the fewest that keep the compiled devices within half of ``ALLOWED``."""

_DECK = "bench.cir"
_NETLIST = (sys.executable, "-c", "from kcompile.cli.main import main; main()", "netlist")
_TIMEOUT = 3600.0


@dataclass(frozen=True)
class Form:
    """A way to make the circuit.

    Args:
        title: for the table.
        device: the family.
        level: of optimisation.
        diagonal: whether its Jacobian has nothing but its diagonal; None: not to be chosen.
        oldest: the oldest ngspice that takes it; None: any.
        runs: how often it is simulated.
    """

    title: str
    device: str
    level: int
    diagonal: bool | None = None
    oldest: int | None = None
    runs: int = 3


NAIVE = Form("naive: max() or tanh() an edge", "ideal", 0, runs=1)
FORMS = (
    NAIVE,
    Form("ideal -O0: a B source an edge", "ideal", 0, runs=1),
    Form("ideal -O2: a table a pair", "ideal", 2, runs=1),
    Form("native-edge, full", "native-edge", 0, False, 40, 1),
    Form("native-pair, full", "native-pair", 2, False, 40),
    Form("native-pair, diagonal", "native-pair", 2, True, 40),
    Form("native, full", "native", 2, False, LAYER_VERSION),
    Form("native, diagonal", "native", 2, True, LAYER_VERSION),
)


@dataclass(frozen=True, eq=False)
class Task:
    """What is simulated.

    Args:
        model: the network.
        title: of it.
        initial: ``[S, N]``, voltages of the first layer's nodes for S images.
        truth: ``[S, M]``, the reference's read-outs.
    """

    model: Model
    title: str
    initial: FloatArray
    truth: FloatArray

    def error(self, outputs: FloatArray, image: int = 0) -> float:
        """Of an image's read-outs, relative to their range."""
        right = self.truth[image]
        return float(np.abs(outputs - right).max() / np.ptp(right))


@dataclass(frozen=True, eq=False)
class Deck:
    """A form on disk: what it was compiled from, where, and the processor seconds of that."""

    form: Form
    compiled: Compiled
    folder: Path
    seconds: float


@dataclass(frozen=True, eq=False)
class Run:
    """Medians of a form's simulations."""

    deck: Deck
    usage: Usage
    iterations: float
    load: float
    factor: float
    error: float


def results(
    size: Size, progress: Progress, notes: list[str], network: Path | None = None
) -> Iterator[Result]:
    """Construction beside PySpice, each form beside the naive deck, and images in a session.

    Args:
        size: of the seeded network.
        progress: hears what is done.
        notes: gets the table of all forms.
        network: a checkpoint in the place of the seeded one.
    """
    task = _task(size, network)
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        folder = Path(name)
        programs = simulators()
        steps = _steps(task, programs[0], folder / "steps", progress)
        yield from _construction(task, network, steps, folder / "construction", progress)
        for program in programs:
            yield from _on(program, task, steps, folder / str(program.version), progress, notes)


def _task(size: Size, network: Path | None) -> Task:
    model = trained_like(size.side).model() if network is None else load(network)
    if model.samples is None:
        inputs = strokes(size.images, size.side)
    else:
        inputs = model.samples.inputs[: size.images]
    initial = model.initial_voltages(inputs)
    title = "mnist-shaped" if network is None else model.name
    return Task(model, title, initial, solve(model.graph, initial, 1e-4).outputs)


def offers(program: Ngspice, form: Form) -> bool:
    """Whether an ngspice takes a form."""
    if form.oldest is None:
        return True
    return library() is not None and "osdi" in program.features and program.version >= form.oldest


def _compile(task: Task, form: Form, steps: int) -> Compiled:
    parameters = {} if form.diagonal is None else {"diagonal": float(form.diagonal)}
    options = CompileOptions(device=form.device, opt_level=form.level, parameters=parameters)
    return settled(compile_model(task.model, options), steps)


def settled(compiled: Compiled, steps: int, settings: Mapping[str, float] = SETTINGS) -> Compiled:
    """The same circuit with other steps a layer and simulator options."""
    circuit = compiled.circuit
    options = {**circuit.options, **settings}
    return replace(compiled, circuit=replace(circuit, steps=steps, options=options))


def write(form: Form, task: Task, steps: int, folder: Path) -> Deck:
    """Writes a form's decks, with a script that asks for all figures of the run."""
    began = time.process_time()
    compiled = _compile(task, form, steps)
    compiled.write(folder, task.initial[0])
    seconds = time.process_time() - began
    if form is NAIVE:
        layers = naive.naive_layers(compiled, task.initial[0])
        began = time.process_time()
        naive.write_naive(layers, folder)
        seconds = time.process_time() - began
    script = (folder / "run.cir").read_text()
    (folder / _DECK).write_text(script.replace("rusage totiter", "rusage all"))
    return Deck(form, compiled, folder, seconds)


def simulate(program: Ngspice, deck: Deck) -> tuple[Usage, FloatArray]:
    """What one simulation took, and the read-outs."""
    for plan in deck.compiled.layers:
        (deck.folder / plan.waveform).unlink(missing_ok=True)
    usage = run_child([program.path, "-b", _DECK], deck.folder, environment(deck.folder), _TIMEOUT)
    waves = {plan.waveform: read_raw(deck.folder / plan.waveform) for plan in deck.compiled.layers}
    return usage, final_outputs(deck.compiled, waves)


def _steps(task: Task, program: Ngspice, folder: Path, progress: Progress) -> int:
    """The fewest steps a layer with which compiled devices are near enough to the reference."""
    form, steps = FORMS[-1], FEWEST
    if not offers(program, form):
        return steps
    while True:
        deck = write(form, task, steps, folder)
        error = task.error(simulate(program, deck)[1])
        progress(f"{task.title}: {steps} steps a layer: error {100 * error:.2g} % of the range")
        if error <= ALLOWED / 2 or 2 * steps > MOST:
            return steps
        steps *= 2


def _construction(
    task: Task, network: Path | None, steps: int, folder: Path, progress: Progress
) -> Iterator[Result]:
    """The naive elements by PySpice, and ours of the same edges, a process each."""
    if importlib.util.find_spec("PySpice") is None:
        return
    folder.mkdir()
    layers = naive.naive_layers(_compile(task, NAIVE, steps), task.initial[0])
    naive.write_arrays(layers, folder)
    progress(f"{task.title}: built of PySpice objects")
    theirs = run_child([sys.executable, naive.__file__, folder], folder)
    error = None
    for number, layer in enumerate(layers, 1):
        wanted = (f"B{k} {s} {d} I={current}" for k, s, d, current in layer.sources())
        with (folder / f"layer{number}.cir").open() as stream:
            found = (line.strip().replace(" i=", " I=") for line in stream if line[:1] == "B")
            if any(a != b for a, b in zip(found, wanted, strict=True)):
                error = "PySpice wrote other elements"
    path = network
    if path is None:
        path = folder / "net.kc"
        save_checkpoint(path, trained_like(int(task.model.graph.inputs**0.5)))
    else:
        path = path.absolute()
    for device, level in (("ideal", "-O0"), ("native", "-O2")):
        if device == "native" and library() is None:
            continue
        progress(f"{task.title}: kcompile netlist --device {device} {level}")
        command = [*_NETLIST, str(path), "-o", device, "--device", device, level]
        ours = run_child(command, folder)
        what = (
            f"a process each, from a file of arrays to decks of {task.model.graph.edges} edges: "
            f"`kcompile netlist --device {device} {level}` beside one PySpice element an edge, "
            f"once (wall {ours.wall:.3g} and {theirs.wall:.3g} s)"
        )
        name = f"{task.title}, construct {device} {level} / PySpice objects"
        yield Result(f"{name}: time", ours.cpu, theirs.cpu, "s", what, error)
        yield Result(f"{name}: memory", ours.memory / 1e6, theirs.memory / 1e6, "MB", what, error)


def _on(
    program: Ngspice,
    task: Task,
    steps: int,
    folder: Path,
    progress: Progress,
    notes: list[str],
) -> Iterator[Result]:
    """Every form on one ngspice."""
    runs: list[Run] = []
    for form in FORMS:
        if not offers(program, form) or (form is FORMS[1] and "klu" not in program.features):
            continue
        progress(f"ngspice {program.version}, {task.title}, {form.title}")
        deck = write(form, task, steps, folder / form.title.partition(":")[0].replace(" ", "-"))
        runs.append(_median(program, deck, task))
        if form is not NAIVE:
            yield _result(program, task, steps, runs[0], runs[-1])
    notes.append(_table(program, task, steps, runs))
    if len(runs) > 3 and runs[-1].deck.form.device == "native":
        progress(f"ngspice {program.version}, {task.title}: {len(task.initial)} images")
        yield _session(program, task, steps, runs[0], runs[-1].deck)


def _median(program: Ngspice, deck: Deck, task: Task) -> Run:
    found = [simulate(program, deck) for _ in range(deck.form.runs)]
    usage = median_of([usage for usage, _ in found])
    said = figures(usage.said)
    factor = said["Matrix reorder time"] + said["Transient factor time"]
    return Run(
        deck, usage, said["Total iterations"], said["Transient load time"], factor,
        task.error(found[-1][1]),
    )  # fmt: skip


def _result(program: Ngspice, task: Task, steps: int, base: Run, run: Run) -> Result:
    title = run.deck.form.title.partition(":")[0]
    beyond = max(base.error, run.error) > ALLOWED
    return Result(
        f"{task.title}, {title} / naive, ngspice {program.version}",
        run.usage.cpu,
        base.usage.cpu,
        "s",
        f"CPU time of one image through {task.model.graph.edges} edges, step cap T/{steps}, "
        f"loading included (wall {run.usage.wall:.3g} and {base.usage.wall:.3g} s; "
        f"{run.usage.memory / 1e6:.0f} and {base.usage.memory / 1e6:.0f} MB; "
        f"{run.iterations:.0f} and {base.iterations:.0f} iterations; errors "
        f"{100 * run.error:.2g} and {100 * base.error:.2g} % of the range); "
        f"runs: {run.deck.form.runs} and {base.deck.form.runs}, medians",
        f"errors of {run.error:.2g} and {base.error:.2g} of the range" if beyond else None,
    )


def _table(program: Ngspice, task: Task, steps: int, runs: list[Run]) -> str:
    columns = ("write s", "wall s", "CPU s", "iterations", "load s", "LU s", "MB", "error %")
    heads = "".join(f"{name:>11}" for name in (*columns, "naive/this"))
    lines = [
        f"ngspice {program.version}: {task.title}, {task.model.graph.edges} edges, one image, "
        f"step cap T/{steps}; load of {', '.join(f'{x:.1f}' for x in os.getloadavg())} on "
        f"{os.cpu_count()} cores",
        f"  {'':32}{heads}",
    ]
    for run in runs:
        numbers = (
            run.deck.seconds, run.usage.wall, run.usage.cpu, run.iterations, run.load, run.factor,
            run.usage.memory / 1e6, 100 * run.error, runs[0].usage.cpu / run.usage.cpu,
        )  # fmt: skip
        lines.append(f"  {run.deck.form.title:32}{''.join(f'{x:>11.4g}' for x in numbers)}")
    return "\n".join(lines)


def children_time() -> float:
    """Processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _session(program: Ngspice, task: Task, steps: int, base: Run, deck: Deck) -> Result:
    """Many images through one ngspice that has loaded the layers once."""
    transient = Transient(steps, **SETTINGS)
    errors: list[float] = []
    before, began = children_time() + time.process_time(), time.perf_counter()
    with Session(program, session_deck(deck.compiled, deck.folder), ProcessGroups()) as session:
        for image, volts in enumerate(task.initial):
            done = session.run(f"image {image}", volts, transient, timeout=_TIMEOUT)
            if not done.ok:
                raise RuntimeError(f"image {image}: {done.reason}")
            errors.append(task.error(final_outputs(deck.compiled, done.waveforms), image))
    count = len(task.initial)
    wall = (time.perf_counter() - began) / count
    cpu = (children_time() + time.process_time() - before) / count
    worst = max(errors)
    return Result(
        f"{task.title}, image in a session / naive, ngspice {program.version}",
        cpu,
        base.usage.cpu,
        "s",
        f"CPU time an image of {count} through one ngspice that loaded native devices (diagonal) "
        f"once, loading and reading of waveforms included (wall {wall:.3g} s an image, naive "
        f"{base.usage.wall:.3g}); largest error {100 * worst:.2g} %, median "
        f"{100 * float(np.median(errors)):.2g} % of the range",
        f"errors of up to {worst:.2g} of the range" if worst > ALLOWED else None,
    )
