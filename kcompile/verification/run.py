"""Verification from end to end: solve, simulate, compare, report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kcompile import __version__
from kcompile.compiler import Compiled, CompileOptions, compile_model, require_simulated
from kcompile.devices import library
from kcompile.files import sha256
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray, digest
from kcompile.ledger import kept
from kcompile.machine import available_memory
from kcompile.reference import Reference, restored, solve, solve_schedule
from kcompile.simulation import Ngspice, PySpice
from kcompile.verification.assemble import Findings, assemble
from kcompile.verification.choosing import FirstSample
from kcompile.verification.circuits import WrittenCircuit, native_family, require_osdi
from kcompile.verification.comparison import Comparison
from kcompile.verification.deck import DeckFacts, read_deck
from kcompile.verification.inputs import choose_inputs
from kcompile.verification.journal import Journal
from kcompile.verification.many import ManySamples
from kcompile.verification.memory import Workers, check_compiling, check_simulating
from kcompile.verification.ranges import approximated, exact, mend
from kcompile.verification.report import Report
from kcompile.verification.simulate import (
    TIMEOUT,
    SampleRun,
    choose_simulator,
    run_samples,
    work_folder,
)

Progress: TypeAlias = Callable[[str, int, int], None]
"""Hears what goes on (``reference`` or ``simulation``), how much is done, and of how much."""


def verify_model(
    model: Model,
    options: CompileOptions | None = None,
    *,
    inputs: Any | None = None,
    samples: int | None = None,
    data: Path | None = None,
    tolerance: float = 1e-3,
    simulator: str = "ngspice",
    ngspice: Path | str | None = None,
    jobs: int = 2,
    timeout: float = TIMEOUT,
    seed: int = 0,
    deck: Path | str | None = None,
    command: str | None = None,
    resume: bool = True,
    force: bool = False,
    on_progress: Progress | None = None,
    on_status: Callable[[str], None] = lambda _: None,
    on_worker: Callable[[int, str], None] | None = None,
) -> Report:
    """Whether a network's circuit computes what its ODE says.

    Args:
        model: the network.
        options: how to compile it; with ``deck``, its scale and times must be those of the deck.
        inputs: ``[Nin]`` or ``[S, Nin]``; None: see ``choose_inputs``.
        samples: how many of them; None: all that are given, else 8.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        tolerance: relative to ``max(1, peak)``, peak being the largest read-out.
        simulator: ``ngspice`` or ``pyspice``.
        ngspice: which ngspice; None: see ``find_ngspice``.
        jobs: simulations at a time.
        timeout: seconds that one of them may take.
        seed: of drawn inputs.
        deck: a folder of decks to judge as they lie, instead of fresh ones. Sample 0 runs with
            the folder's own input file, further samples replace it.
        command: the command line, for the report.
        resume: whether many samples go on where an interrupted run of the same ones stopped.
        force: whether to start although the memory will hardly do.
        on_progress: hears how far it is.
        on_status: hears how the samples do so far, and what is measured before them.
        on_worker: hears of many samples what each simulator does, by its number.

    Returns:
        The report, with its evidence. A circuit that fails is a verdict, not an exception.

    Raises:
        UsageError: an option is out of range, the folder is not there, the device family is one of
            another simulator's, or there is not memory enough.
        InputError, PdkError, DeckError, GraphError: something given is bad.
        SimulatorNotFound: there is no simulator, or none that loads the compiled devices.
        StorageError: the disk is full.
    """
    options = require_simulated(options or CompileOptions())
    chosen = choose_inputs(model, inputs, samples, seed, data)
    program = require_osdi(options, choose_simulator(simulator, ngspice))
    check_compiling(model.graph, None if force else available_memory())
    given = None if deck is None else read_deck(deck)
    initial = model.initial_voltages(chosen.inputs)
    asked = _asked(model, options, initial, tolerance, given)
    compiled = compile_model(model, asked)
    many = given is None and isinstance(program, Ngspice) and _are_many(compiled, len(initial))
    _check_memory(
        compiled, program, min(jobs, len(initial)), accelerated=many and asked.device is None,
        available=None if force or given is not None else available_memory(),
    )  # fmt: skip
    with work_folder() as folder:
        began = time.perf_counter()
        facts = _write(compiled, folder / "delivered", initial[0]) if given is None else given
        written = time.perf_counter() - began
        journal = None
        if many:
            identity = _identity(compiled, facts, chosen.inputs, tolerance, program)
            journal = _journal(identity, resume=resume)
        with kept(journal):
            hear = _stage(on_progress, "reference")
            timing, ideal = compiled.options.imperfect, None
            reference = _reference(model, initial, tolerance, journal, hear)
            if timing is not None:
                ideal = reference.outputs
                reference = solve_schedule(model.graph, timing, initial, tolerance)
            comparison = Comparison(
                compiled, reference, len(initial), _stage(on_progress, "simulation"), on_status
            )
            began = time.perf_counter()
            found = None
            if many:
                assert isinstance(program, Ngspice)
                delivered = WrittenCircuit(compiled, facts.folder, facts.sha256)
                first = FirstSample(
                    delivered, initial[0], reference, program, timeout, folder,
                    lambda step: on_status(f"measuring: {step}"),
                )  # fmt: skip
                found = ManySamples(
                    first, initial, asked.device is None, jobs, journal, on_worker
                ).run(comparison.first_few)
            runs = found.runs if found is not None else run_samples(
                compiled, facts.folder, initial, program, jobs=jobs, timeout=timeout,
                verbatim_first=given is not None, on_run=comparison.every,
            )  # fmt: skip
            mended = mend(
                compiled, runs, comparison.watch, initial, reference, program, folder,
                jobs=jobs, timeout=timeout, write=_write, on_run=comparison.again,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            return assemble(
                Findings(
                    compiled=mended.compiled,
                    chosen=chosen,
                    reference=reference,
                    program=program,
                    deck=mended.deck or facts,
                    given=given is not None,
                    runs=mended.runs,
                    waves=comparison.waves,
                    wave_error=_largest_wave_error(mended.runs),
                    energy=comparison.energy,
                    ideal=ideal,
                    many=found,
                    writing_seconds=written,
                    simulation_seconds=seconds,
                    jobs=jobs,
                    seed=seed,
                    command=command,
                    notes=mended.notes,
                )
            )


def _journal(facts: dict[str, Any], *, resume: bool) -> Journal | None:
    """Where the finished samples of a verification are kept, empty unless it may go on."""
    journal = Journal.of(facts)
    if journal is not None and not resume:
        journal.clear()
    return journal


_SECONDS_PER_DEVICE = 6e-4
"""What one behavioural device costs a sample, roughly (docs/findings.md)."""

_PATIENCE = 20.0
"""Seconds of simulation below which every sample runs by the decks' own script."""

_FEW = 8


def _are_many(compiled: Compiled, samples: int) -> bool:
    """Whether the samples are worth loading the decks once for all of them."""
    if compiled.circuit.single is not None:
        return False
    devices = sum(layer.devices for layer in compiled.circuit.layers)
    return samples > _FEW or devices * samples * _SECONDS_PER_DEVICE > _PATIENCE


def _check_memory(
    compiled: Compiled,
    program: Ngspice | PySpice,
    count: int,
    *,
    accelerated: bool,
    available: float | None,
) -> None:
    """Sees that so many simulators find memory; accelerated ones run compiled devices if any do."""
    device = None
    if accelerated and isinstance(program, Ngspice):
        device = native_family(compiled, program)
    check_simulating(compiled, Workers(count, device or compiled.device), available)


def _identity(
    compiled: Compiled,
    facts: DeckFacts,
    inputs: FloatArray,
    tolerance: float,
    program: Ngspice | PySpice,
) -> dict[str, Any]:
    """All that the answers of a verification depend on."""
    return {
        "kcompile": __version__,
        "graph": digest(compiled.model.graph),
        "deck": facts.sha256,
        "device": repr(compiled.options),
        "inputs": hashlib.sha256(np.ascontiguousarray(inputs).tobytes()).hexdigest(),
        "tolerance": tolerance,
        "ngspice": [str(program.path), program.banner],
        "devices": None if (built := library()) is None else sha256(built),
    }


def _reference(
    model: Model,
    initial: FloatArray,
    tolerance: float,
    journal: Journal | None,
    on_progress: Callable[[int, int], None] | None,
) -> Reference:
    """The golden solution, from the journal where that has it."""
    numbers = None if journal is None else journal.reference()
    if numbers is not None:
        try:
            return restored(model.graph, initial, numbers)
        except (KeyError, TypeError, ValueError):
            pass  # cut or foreign: solved again
    reference = solve(model.graph, initial, tolerance, on_progress=on_progress)
    if journal is not None:
        journal.keep_reference(reference.numbers())
    return reference


def _asked(
    model: Model,
    options: CompileOptions,
    initial: FloatArray,
    tolerance: float,
    given: DeckFacts | None,
) -> CompileOptions:
    """The options with all that depends on the samples, or on decks that are given."""
    if given is None:
        return approximated(model, options, initial, tolerance)
    return exact(replace(options, single_deck=given.single))


def _largest_wave_error(runs: tuple[SampleRun, ...]) -> float | None:
    known = (run.wave_error for run in runs if run.wave_error is not None)
    return max(known, default=None)


def _write(compiled: Compiled, folder: Path, initial: FloatArray) -> DeckFacts:
    written = compiled.write(folder, initial)
    return DeckFacts(
        folder=folder,
        elements=written.elements,
        bytes=written.bytes,
        sha256=written.sha256,
        options=compiled.simulator_options,
        device=compiled.device,
        opt_level=compiled.opt_level,
        single=compiled.circuit.single is not None,
    )


def _stage(on_progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else partial(on_progress, name)
