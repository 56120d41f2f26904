"""Verification from end to end: solve, simulate, compare, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kcompile.compiler import Compiled, CompileOptions, compile_model, require_simulated
from kcompile.errors import SimulationFailed
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.reference import Reference, solve
from kcompile.simulation import JobResult
from kcompile.verification.assemble import Findings, assemble
from kcompile.verification.deck import DeckFacts, read_deck
from kcompile.verification.inputs import choose_inputs
from kcompile.verification.metrics import PhaseWaves, phase_waves
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
    on_progress: Progress | None = None,
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
        on_progress: hears how far it is.

    Returns:
        The report, with its evidence. A circuit that fails is a verdict, not an exception.

    Raises:
        UsageError: an option is out of range, the folder is not there, or the device family is one
            of another simulator's.
        InputError, PdkError, DeckError, GraphError: something given is bad.
        SimulatorNotFound: there is no simulator.
        StorageError: the disk is full.
    """
    options = options or CompileOptions()
    require_simulated(options)
    chosen = choose_inputs(model, inputs, samples, seed, data)
    program = choose_simulator(simulator, ngspice)
    given = None if deck is None else read_deck(deck)
    if given is not None:
        options = replace(options, single_deck=given.single)
    compiled = compile_model(model, options)
    initial = model.initial_voltages(chosen.inputs)
    reference = solve(model.graph, initial, tolerance, on_progress=_stage(on_progress, "reference"))
    comparison = _Comparison(compiled, reference, _stage(on_progress, "simulation"), len(initial))
    with work_folder() as folder:
        began = time.perf_counter()
        facts = _write(compiled, folder, initial[0]) if given is None else given
        written = time.perf_counter()
        runs = run_samples(
            compiled, facts.folder, initial, program,
            jobs=jobs, timeout=timeout, verbatim_first=given is not None, on_run=comparison,
        )  # fmt: skip
        ended = time.perf_counter()
    findings = Findings(
        compiled=compiled,
        chosen=chosen,
        reference=reference,
        program=program,
        deck=facts,
        given=given is not None,
        runs=runs,
        waves=comparison.waves,
        wave_error=comparison.wave_error,
        writing_seconds=written - began,
        simulation_seconds=ended - written,
        jobs=jobs,
        seed=seed,
        command=command,
    )
    return assemble(findings)


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


class _Comparison:
    """Compares each sample's waveforms with the reference while they are in memory.

    Args:
        compiled: what is simulated.
        reference: the golden solution.
        advance: hears how many samples are done, or None.
        samples: S.
    """

    def __init__(
        self,
        compiled: Compiled,
        reference: Reference,
        advance: Callable[[int, int], None] | None,
        samples: int,
    ) -> None:
        self.wave_error: float | None = None
        """The largest error of any node at any time so far."""
        self.waves: tuple[int, tuple[PhaseWaves, ...]] | None = None
        """The first sample that has waveforms, and they."""
        self._compiled, self._reference = compiled, reference
        self._nodes = tuple(phase.nodes for phase in compiled.model.graph.phases)
        self._advance, self._done, self._samples = advance, 0, samples

    def __call__(self, run: SampleRun, result: JobResult) -> None:
        """One sample more has ended."""
        self._done += 1
        if np.isfinite(run.outputs).all():
            self._compare(run.index, result)
        if self._advance is not None:
            self._advance(self._done, self._samples)

    def _compare(self, index: int, result: JobResult) -> None:
        trajectory = self._reference.trajectory(index)
        try:
            waves = phase_waves(
                result.waveforms,
                self._compiled.layers,
                self._nodes,
                self._compiled.scale.v0,
                trajectory,
            )
        except SimulationFailed:
            return  # an edited deck may save fewer nodes; its read-outs are judged all the same
        largest = max(float(wave.error.max(initial=0.0)) for wave in waves)
        self.wave_error = max(largest, self.wave_error or 0.0)
        if self.waves is None or index < self.waves[0]:
            self.waves = (index, waves)


def _stage(on_progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else partial(on_progress, name)
