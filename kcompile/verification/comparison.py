"""Each sample against the reference, while its waveforms are in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kcompile.compiler import Compiled
from kcompile.errors import SimulationFailed
from kcompile.reference import Reference
from kcompile.simulation import JobResult
from kcompile.verification.energy import EnergyMeter
from kcompile.verification.metrics import PhaseWaves, phase_waves
from kcompile.verification.ranges import RangeWatch
from kcompile.verification.simulate import SampleRun
from kcompile.verification.standing import Standing


class Comparison:
    """Compares each sample with the reference while its waveforms are in memory.

    Args:
        compiled: what is simulated.
        reference: the golden solution.
        samples: S.
        advance: hears how many samples are done, or None.
        say: hears how they do so far.
    """

    def __init__(
        self,
        compiled: Compiled,
        reference: Reference,
        samples: int,
        advance: Callable[[int, int], None] | None,
        say: Callable[[str], None],
    ) -> None:
        self.watch = RangeWatch(compiled)
        """Sees which samples leave the ranges of an approximation."""
        self.waves: tuple[int, tuple[PhaseWaves, ...]] | None = None
        """The first sample that has waveforms, and they."""
        timed = compiled.options.imperfect is not None
        self.energy = EnergyMeter(compiled.model.graph, compiled.scale, timed=timed)
        """Has seen the waveforms of the first few samples."""
        self._compiled, self._reference = compiled, reference
        self._nodes = tuple(phase.nodes for phase in compiled.model.graph.phases)
        self._advance, self._say = advance, say
        self._done, self._samples = 0, samples
        self._standing = Standing(compiled.model, reference)

    def every(self, run: SampleRun, result: JobResult) -> SampleRun:
        """One sample more has ended; its waveforms are compared."""
        run = self._compared(self.watch.look(run, result), result, energy=True)
        self._hear(run)
        return run

    def again(self, run: SampleRun, result: JobResult) -> SampleRun:
        """A sample that was heard of has run again; its waveforms are compared."""
        return self._compared(run, result, energy=False)

    def first_few(self, run: SampleRun, result: JobResult | None) -> SampleRun:
        """The same; waveforms are compared where the reference kept its own.

        Solving it again for thousands of samples would take longer than simulating them. Of energy
        only the first is told, which runs in any case where an interrupted run goes on.
        """
        if result is not None:
            run = self.watch.look(run, result)
            if run.index in self._reference.kept:
                run = self._compared(run, result, energy=run.index == 0)
        self._hear(run)
        return run

    def _hear(self, run: SampleRun) -> None:
        self._done += 1
        self._standing.add(run)
        if self._advance is not None:
            self._advance(self._done, self._samples)
            self._say(str(self._standing))

    def _compared(self, run: SampleRun, result: JobResult, *, energy: bool) -> SampleRun:
        if not np.isfinite(run.outputs).all():
            return run
        trajectory = self._reference.trajectory(run.index)
        try:
            waves = phase_waves(
                result.waveforms,
                self._compiled.layers,
                self._nodes,
                self._compiled.scale.v0,
                trajectory,
            )
        except SimulationFailed:
            return run  # an edited deck may save fewer nodes; its read-outs are judged all the same
        if self.waves is None or run.index <= self.waves[0]:
            self.waves = (run.index, waves)
        if energy and run.problem is None:
            self.energy.look(run.index, waves)
        largest = max(float(wave.error.max(initial=0.0)) for wave in waves)
        return replace(run, wave_error=largest)
