"""Many samples of one network: chosen devices and settings, sessions, and a journal on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from kcompile.errors import ContentError
from kcompile.ir import FloatArray
from kcompile.simulation import JobResult, Sample, Transient, run_sessions
from kcompile.verification.calibration import GAIN, transient_of
from kcompile.verification.choosing import Choice, FirstSample, choose
from kcompile.verification.circuits import native_circuit
from kcompile.verification.journal import Journal
from kcompile.verification.sections import AccelerationSection, CalibrationSection, decode, encode
from kcompile.verification.simulate import SampleRun, read_run

OnRun: TypeAlias = Callable[[SampleRun, JobResult | None], SampleRun]
"""Hears of each finished sample and may add to it; of one that an interrupted run had finished
there is no result."""

FACTORS = (1, 2, 4, 8)
"""How much finer a sample is simulated again as long as its error is beyond what is allowed."""


@dataclass(frozen=True, eq=False)
class ManyRuns:
    """What came of all samples.

    Args:
        runs: one a sample, in order.
        choice: the circuit that ran, and how finely.
        notes: what a reader should know.
    """

    runs: tuple[SampleRun, ...]
    choice: Choice
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ManySamples:
    """Many samples, ready to be simulated.

    Args:
        first: the delivered circuit, the simulator, and the first sample.
        initial: ``float64[S, N]``, the first phase's voltages of every sample, software units.
        accelerate: whether compiled devices may take the place of the delivered ones.
        jobs: sessions beside each other.
        journal: where finished samples are kept, or None.
        on_worker: hears what each session does.
    """

    first: FirstSample
    initial: FloatArray
    accelerate: bool
    jobs: int
    journal: Journal | None = None
    on_worker: Callable[[int, str], None] | None = None

    def run(self, on_run: OnRun) -> ManyRuns:
        """Simulates all samples.

        Raises:
            SimulationFailed: the first sample cannot be simulated.
            DeckError, StorageError, UsageError: as ``run_sessions``.
        """
        choice = self._resumed()
        if choice is None:
            choice = choose(self.first, accelerate=self.accelerate)
            self._keep(choice)
        known = {} if self.journal is None else self.journal.runs()
        # The first sample runs in any case: a report shows its waveforms.
        runs = {k: run for k, run in known.items() if 0 < k < len(self.initial)}
        for run in runs.values():
            on_run(run, None)
        notes = [*choice.notes]
        if runs:
            notes.append(f"an earlier run had finished {_count(len(runs))}")
        rest = [index for index in range(len(self.initial)) if index not in runs]
        for factor in FACTORS:
            last = factor == FACTORS[-1]
            plan = transient_of(choice.calibration, factor)
            rest = self._pass(choice, rest, plan, runs, on_run, keep_all=last)
            if not rest:
                break
        steps = choice.calibration.steps
        again = [run.steps for run in runs.values() if run.steps is not None and run.steps > steps]
        if again:
            notes.append(
                f"{_count(len(again))} beyond the error allowed at {steps} steps a layer ran again "
                f"at up to {max(again)}"
            )
        if self.journal is not None and self.journal.trouble is not None:
            notes.append(f"finished samples could not be kept: {self.journal.trouble}")
        ordered = tuple(runs[index] for index in range(len(self.initial)))
        return ManyRuns(ordered, choice, tuple(notes))

    def _pass(
        self,
        choice: Choice,
        indices: list[int],
        transient: Transient,
        runs: dict[int, SampleRun],
        on_run: OnRun,
        *,
        keep_all: bool,
    ) -> list[int]:
        """Runs some samples; gives those whose error is beyond what is allowed, unless kept."""
        beyond: list[int] = []
        circuit, first = choice.circuit, self.first
        v0 = circuit.compiled.scale.v0

        def samples() -> Iterator[Sample]:
            for index in indices:
                yield Sample(index, self.initial[index] * v0)

        def done(index: int, result: JobResult) -> None:
            found = read_run(circuit.compiled, index, result, printed=False)
            run = replace(found, steps=transient.steps)
            before = self._error(runs[index]) if index in runs else np.inf
            runs[index] = run
            error = self._error(run)
            # Where finer steps did not help, still finer ones will not either.
            hopeful = result.ok and not keep_all and error * GAIN < before
            if hopeful and error > first.allowed:
                beyond.append(index)
                return
            runs[index] = run = on_run(run, result)
            if self.journal is not None and run.problem is None:
                self.journal.add(run)

        run_sessions(
            first.program, circuit.session_deck(), samples(), transient,
            workers=min(self.jobs, max(1, len(indices))), timeout=first.timeout, on_done=done,
            renew=circuit.write, on_worker=self.on_worker,
        )  # fmt: skip
        return beyond

    def _error(self, run: SampleRun) -> float:
        difference = np.abs(run.outputs - self.first.reference.outputs[run.index])
        return float(difference.max(initial=0.0))

    def _keep(self, choice: Choice) -> None:
        """Tells the journal what was decided."""
        if self.journal is not None:
            self.journal.decide(
                {
                    "calibration": encode(choice.calibration),
                    "acceleration": encode(choice.acceleration),
                    "notes": list(choice.notes),
                    "seconds": choice.seconds,
                }
            )

    def _resumed(self) -> Choice | None:
        """What an interrupted run had decided, where that still holds."""
        settings = None if self.journal is None else self.journal.settings()
        if settings is None:
            return None
        try:
            calibration = decode(CalibrationSection, settings["calibration"])
            acceleration = decode(AccelerationSection, settings["acceleration"])
            notes, seconds = tuple(settings["notes"]), float(settings["seconds"])
        except (ContentError, KeyError, TypeError, ValueError):
            return None
        circuit = self.first.delivered
        if acceleration.deck_sha256 != circuit.sha256:
            circuit = native_circuit(
                circuit.compiled, acceleration.device_family, self.first.work / "again",
                diagonal=acceleration.jacobian == "diagonal",
            )  # fmt: skip
        if acceleration.deck_sha256 != circuit.sha256:
            return None
        return Choice(circuit, calibration, acceleration, notes, seconds)


def _count(samples: int) -> str:
    return "1 sample" if samples == 1 else f"{samples} samples"
