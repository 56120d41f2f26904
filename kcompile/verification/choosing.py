"""Which circuit runs many samples, and how finely: decided by measurement on the first one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcompile.errors import SimulationFailed
from kcompile.ir import FloatArray
from kcompile.reference import Reference
from kcompile.simulation import JobResult, Ngspice, Session, Transient, run_jobs
from kcompile.simulation.folder import remove
from kcompile.simulation.process import ProcessGroups
from kcompile.verification.calibration import calibrate, transient_of
from kcompile.verification.circuits import (
    REPLACEABLE,
    WrittenCircuit,
    native_circuit,
    native_family,
)
from kcompile.verification.sections import AccelerationSection, CalibrationSection, TrialSection
from kcompile.verification.simulate import final_outputs, make_jobs

SHARE = 0.1
"""Another circuit or Jacobian may change the answer by so much of the error allowed."""

MOST_ITERATIONS = 4.0
"""It may take so many times the iterations of the full one."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What was decided.

    Args:
        circuit: that runs.
        calibration: how finely.
        acceleration: for the report.
        notes: what a reader should know.
        seconds: that deciding took.
    """

    circuit: WrittenCircuit
    calibration: CalibrationSection
    acceleration: AccelerationSection
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class FirstSample:
    """The sample on which everything is measured.

    Args:
        delivered: the delivered circuit.
        initial: ``float64[N]``, the first phase's voltages, software units.
        reference: what it is compared with, as sample 0.
        program: which ngspice.
        timeout: seconds that one simulation may take.
        work: a folder for further decks.
        on_step: hears what is tried.
    """

    delivered: WrittenCircuit
    initial: FloatArray
    reference: Reference
    program: Ngspice
    timeout: float
    work: Path
    on_step: Callable[[str], None] = lambda _: None

    @property
    def allowed(self) -> float:
        """The error that the comparison allows, software units."""
        return self.reference.absolute_tolerance


def choose(first: FirstSample, *, accelerate: bool) -> Choice:
    """The fastest circuit that agrees with the delivered one, and its settings.

    Args:
        first: the sample.
        accelerate: whether compiled devices may take the place of the delivered ones.

    Raises:
        SimulationFailed: the delivered circuit cannot be simulated.
    """
    began = time.perf_counter()
    notes: list[str] = []
    plain = _delivered_outputs(first)
    family = native_family(first.delivered.compiled, first.program) if accelerate else None
    if accelerate and family is None and first.delivered.compiled.device == REPLACEABLE:
        notes.append(
            "compiled devices would be faster, but "
            + (
                "kcompile was installed without them"
                if "osdi" in first.program.features
                else f"ngspice {first.program.version} here loads none (no OSDI)"
            )
        )
    found = None if family is None else _native(first, family, plain, notes)
    if found is None:
        found = _sessions(first, plain)
    circuit, calibration, acceleration = found
    if circuit is not first.delivered:
        what = f"{acceleration.device_family}, {acceleration.jacobian} Jacobian"
        notes.append(
            f"the samples ran with compiled devices ({what}), which differ from the delivered "
            f"decks by {acceleration.difference:.2g} at the first sample's read-outs"
        )
    return Choice(circuit, calibration, acceleration, tuple(notes), time.perf_counter() - began)


_Found = tuple[WrittenCircuit, CalibrationSection, AccelerationSection]


def _native(first: FirstSample, family: str, plain: FloatArray, notes: list[str]) -> _Found | None:
    """Compiled devices, with the diagonal Jacobian where that is good for something."""
    for diagonal in (True, False):
        jacobian = "diagonal" if diagonal else "full"
        first.on_step(f"compiled devices ({family}, {jacobian} Jacobian)")
        try:
            found = _tried(first, family, plain, diagonal=diagonal)
        except SimulationFailed as error:
            if error.where is not None:
                remove(Path(error.where))
            found = f"they failed on the first sample: {error.message}"
        if not isinstance(found, str):
            return found
        notes.append(f"compiled devices with the {jacobian} Jacobian were not used: {found}")
    return None


def _tried(first: FirstSample, family: str, plain: FloatArray, *, diagonal: bool) -> _Found | str:
    """Compiled devices with one kind of Jacobian, or why they are not to be used.

    Raises:
        SimulationFailed: they cannot be simulated.
    """
    compiled = first.delivered.compiled
    folder = first.work / ("diagonal" if diagonal else "full")
    circuit = native_circuit(compiled, family, folder, diagonal=diagonal)
    jacobian_difference = None
    with ExitStack() as stack:
        run = _Runner(first, circuit, stack)
        difference = _difference(run, plain)
        if not difference <= SHARE * first.allowed:
            return (
                f"they differ from the delivered decks by {difference:.2g} at the first sample's "
                f"read-outs, where {SHARE * first.allowed:.2g} would do"
            )
        calibration = calibrate(run.trial, first.allowed, first.reference.tolerance)
        if diagonal:
            full = native_circuit(compiled, family, first.work / "full", diagonal=False)
            check = _Runner(first, full, stack)
            chosen = run.trial(transient_of(calibration))
            trial = check.trial(transient_of(calibration))
            jacobian_difference = float(np.abs(check.outputs - run.outputs).max(initial=0.0))
            ratio = chosen.iterations / max(trial.iterations, 1)
            if jacobian_difference > SHARE * first.allowed:
                return f"the full one changes the read-outs by {jacobian_difference:.2g}"
            if ratio > MOST_ITERATIONS:
                return f"it takes {ratio:.2g} times the iterations of the full one"
    acceleration = AccelerationSection(
        family, circuit.jacobian, circuit.sha256, difference, jacobian_difference
    )
    return circuit, calibration, acceleration


def _sessions(first: FirstSample, plain: FloatArray) -> _Found:
    """The delivered layers, loaded once for many samples."""
    first.on_step("the delivered circuit")
    circuit = first.delivered
    with ExitStack() as stack:
        run = _Runner(first, circuit, stack)
        difference = _difference(run, plain)
        calibration = calibrate(run.trial, first.allowed, first.reference.tolerance)
    acceleration = AccelerationSection(
        circuit.compiled.device, circuit.jacobian, circuit.sha256, difference, None
    )
    return circuit, calibration, acceleration


def _difference(run: _Runner, plain: FloatArray) -> float:
    """How far a circuit is from the delivered decks at the settings that those have."""
    circuit = run.circuit.compiled.circuit
    reltol, trtol = circuit.options["reltol"], circuit.options["trtol"]
    assert reltol is not None
    assert trtol is not None
    run.trial(Transient(circuit.steps, reltol, trtol))
    return float(np.abs(run.outputs - plain).max(initial=0.0))


def _delivered_outputs(first: FirstSample) -> FloatArray:
    """The first sample's read-outs by the delivered decks' own script."""
    first.on_step("the delivered decks")
    circuit = first.delivered
    jobs = make_jobs(circuit.compiled, circuit.folder, first.initial[None])
    result = run_jobs(first.program, jobs, workers=1, timeout=first.timeout)[0]
    if not result.ok:
        raise SimulationFailed(
            f"the first sample: {result.reason}",
            hint="" if result.folder is None else f"see {result.folder}",
        )
    return final_outputs(circuit.compiled, result.waveforms)


class _Runner:
    """Runs the first sample through one circuit."""

    def __init__(self, first: FirstSample, circuit: WrittenCircuit, stack: ExitStack) -> None:
        self.circuit = circuit
        self._first, self._stack = first, stack
        self._session: Session | None = None
        self.outputs: FloatArray = np.zeros(0)
        """The read-outs of the last run."""

    def trial(self, transient: Transient) -> TrialSection:
        """One run at the given settings.

        Raises:
            SimulationFailed: it failed.
        """
        first = self._first
        compiled = self.circuit.compiled
        result = self._run(transient)
        if not result.ok:
            if result.folder is not None:
                remove(result.folder)
            result = self._run(transient)
        if not result.ok:
            raise SimulationFailed(result.reason, where=result.folder)
        self.outputs = final_outputs(compiled, result.waveforms)
        error = float(np.abs(self.outputs - first.reference.outputs[0]).max(initial=0.0))
        return TrialSection(transient.steps, error, result.iterations, result.seconds)

    def _run(self, transient: Transient) -> JobResult:
        first = self._first
        if self._session is None:
            session = Session(first.program, self.circuit.session_deck(), ProcessGroups())
            self._session = self._stack.enter_context(session)
        volts = first.initial * self.circuit.compiled.scale.v0
        result = self._session.run("sample 0", volts, transient, timeout=first.timeout)
        if not result.ok:
            self._session = None
        return result
