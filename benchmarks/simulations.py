"""The behavioural circuit at -O2 against -O0: the same answers, how much sooner, and why."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measuring import Progress, Result, Size, Usage, median_of, run_child
from benchmarks.networks import neighbourhood_relu, pixels
from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.ir import FloatArray
from kcompile.simulation import Ngspice, find_ngspice, read_raw
from kcompile.simulation.process import environment

TOLERANCE = 1e-3
"""Relative to the larger of 1 and the largest output, as ``kcompile verify`` judges."""

_DECK = "bench.cir"
_FIGURE = re.compile(r"^([A-Z][A-Za-z /-]+?)(?: \(seconds\))? = ([0-9.eE+-]+)\s*$", re.M)


@dataclass(frozen=True, eq=False)
class Deck:
    """A circuit on disk.

    Args:
        compiled: the circuit.
        folder: where its decks lie.
        devices: edges or tables, each one source.
    """

    compiled: Compiled
    folder: Path
    devices: int


def results(size: Size, progress: Progress, notes: list[str]) -> Iterator[Result]:
    """One line for each ngspice there is; ``notes`` gets where the time goes."""
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        decks = {level: _write(size.side, level, Path(name, f"O{level}")) for level in (0, 2)}
        for simulator in simulators():
            yield _compare(simulator, decks, size, progress, notes)


def simulators() -> list[Ngspice]:
    """The ngspice that kcompile would run, and the system's where that is another one."""
    found = [find_ngspice()]
    system = shutil.which("ngspice")
    if system and os.path.realpath(system) != os.path.realpath(found[0].path):
        found.append(find_ngspice(system))
    return found


def _write(side: int, level: int, folder: Path) -> Deck:
    """Writes the network's decks, with a script that also asks for all figures of the run."""
    model = neighbourhood_relu(side)
    compiled = compile_model(model, CompileOptions(device="ideal", opt_level=level))
    compiled.write(folder, pixels(side * side))
    script = (folder / "run.cir").read_text()
    if script.count("rusage totiter") != 1:
        raise RuntimeError("run.cir has no single 'rusage totiter'")
    (folder / _DECK).write_text(script.replace("rusage totiter", "rusage all"))
    return Deck(compiled, folder, sum(layer.devices for layer in compiled.circuit.layers))


def _compare(
    simulator: Ngspice,
    decks: Mapping[int, Deck],
    size: Size,
    progress: Progress,
    notes: list[str],
) -> Result:
    runs: dict[int, list[Usage]] = {0: [], 2: []}
    outputs: dict[int, FloatArray] = {}
    wanted = {2: size.simulations, 0: max(1, size.simulations // 2)}
    for turn in range(size.simulations):
        for level in (2, 0):
            if turn < wanted[level]:
                of = f"{turn + 1} of {wanted[level]}"
                progress(f"ngspice {simulator.version}, -O{level}: simulation {of}")
                usage, outputs[level] = _simulate(simulator, decks[level])
                runs[level].append(usage)
    ours, baseline = median_of(runs[2]), median_of(runs[0])
    notes.append(breakdown(simulator, decks, {2: ours, 0: baseline}))
    apart = float(np.abs(outputs[2] - outputs[0]).max())
    peak = max(1.0, float(np.abs(outputs[0]).max()))
    error = None if apart <= TOLERANCE * peak else f"the answers are {apart:.2g} apart"
    edges = decks[0].compiled.graph.edges
    return Result(
        f"simulate -O2 / -O0, ngspice {simulator.version}",
        ours.cpu,
        baseline.cpu,
        "s",
        f"CPU time of one simulation of an NE relu layer of {edges} edges, family ideal "
        f"(wall {ours.wall:.3g} and {baseline.wall:.3g} s); runs: {wanted[2]} and {wanted[0]}, "
        f"medians; answers {apart:.1e} apart, peak {peak:.2g}",
        error,
    )


def _simulate(simulator: Ngspice, deck: Deck) -> tuple[Usage, FloatArray]:
    """What one simulation took, and the final voltages in software units."""
    waveform = deck.folder / deck.compiled.layers[0].waveform
    waveform.unlink(missing_ok=True)
    usage = run_child([simulator.path, "-b", _DECK], deck.folder, environment(deck.folder))
    names = [f"n{node}" for node in deck.compiled.graph.outputs.tolist()]
    voltages = read_raw(waveform).voltages(names)
    return usage, voltages[-1] / deck.compiled.scale.v0


def breakdown(simulator: Ngspice, decks: Mapping[int, Deck], usages: Mapping[int, Usage]) -> str:
    """Where a simulation's time goes, by ngspice's own figures (wall time), as a small table."""
    columns = {level: _shares(decks[level], usages[level]) for level in (2, 0)}
    lines = [f"ngspice {simulator.version}: where the time goes", f"{'':36}{'-O2':>12}{'-O0':>12}"]
    lines += [
        f"  {label:34}{columns[2][label]:>12.4g}{columns[0][label]:>12.4g}" for label in columns[2]
    ]
    return "\n".join(lines)


def figures(said: str) -> dict[str, float]:
    """What ngspice says of its runs (``rusage all``), those of all layers added up."""
    found: dict[str, float] = {}
    for name, value in _FIGURE.findall(said):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def _shares(deck: Deck, usage: Usage) -> dict[str, float]:
    said = figures(usage.said)
    iterations = said["Total iterations"]
    load, analysis = said["Transient load time"], said["Transient analysis time"]
    factor = said["Matrix reorder time"] + said["Transient factor time"]
    solve = said["Transient solve time"]
    return {
        "devices": deck.devices,
        "equations": said["Circuit Equations"],
        "Newton iterations": iterations,
        "time points": said["Accepted timepoints"],
        "wall [s]": usage.wall,
        "  parse, set up, write [s]": usage.wall - analysis,
        "  analysis [s]": analysis,
        "    load devices [s]": load,
        "      per device, iteration [us]": 1e6 * load / (deck.devices * iterations),
        "    LU factors [s]": factor,
        "    solve [s]": solve,
        "    truncation error [s]": said["Transient trunc time"],
        "    convergence test and rest [s]": (
            analysis - load - factor - solve - said["Transient trunc time"]
        ),
        "memory [MB]": usage.memory / 1e6,
    }
