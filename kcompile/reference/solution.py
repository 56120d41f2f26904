"""What the reference delivers: outputs, voltages at any time, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import FloatArray
from kcompile.reference.integrator import PhaseSolution
from kcompile.reference.waveform import Interpolant


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """The solution of one sample.

    Args:
        phases: how each phase went, in order.
        outputs: ``float64[M]``, the read-out nodes after the last phase.
    """

    phases: tuple[PhaseSolution, ...]
    outputs: FloatArray

    def at(self, phase: int, times: FloatArray) -> FloatArray:
        """Voltages ``float64[P, N]`` at software times ``[P]`` since the phase began.

        Raises:
            UsageError: there is no such phase, or its interpolant was not kept.
        """
        return self._waveform(phase)(np.asarray(times, dtype=np.float64))

    def steps(self, phase: int) -> FloatArray:
        """Software times ``[K + 1]`` at which the K steps of a phase begin, and its end.

        Raises:
            UsageError: as ``at``.
        """
        return self._waveform(phase).steps

    def _waveform(self, phase: int) -> Interpolant:
        if not 0 <= phase < len(self.phases):
            raise UsageError(
                f"there is no phase {phase}", hint=f"phases: 0..{len(self.phases) - 1}"
            )
        waveform = self.phases[phase].interpolant
        if waveform is None:
            raise UsageError("the waveforms of this sample were not kept")
        return waveform


@dataclass(frozen=True, eq=False)
class Reference:
    """The golden ODE solution of all samples.

    Args:
        outputs: ``float64[S, M]``, the read-out nodes after the last phase, software units.
        finals: per phase ``float64[S, N]``, the voltages at its end (before a residual is added).
        tolerance: relative tolerance of the comparison that it serves.
        peak: the largest ``|outputs|``.
        rtol, atol: the solver's tolerances.
        convergence_error: largest difference of the read-outs between this and a solution ten
            times finer, over the ``checked`` samples: an estimate of this solution's own error.
        checked: the samples that were solved twice.
        certified: whether that difference is below a tenth of the comparison's tolerance.
        reason: why it is not certified, or None.
        seconds: wall time.
        method: the solver.
        steps: the least steps a phase that it takes.
    """

    outputs: FloatArray
    finals: tuple[FloatArray, ...]
    tolerance: float
    peak: float
    rtol: float
    atol: float
    convergence_error: float
    checked: tuple[int, ...]
    certified: bool
    reason: str | None
    seconds: float
    solve_again: Callable[[int], Trajectory] = field(repr=False)
    kept: dict[int, Trajectory] = field(repr=False)
    method: str = ""
    steps: int = 0

    def numbers(self) -> dict[str, Any]:
        """All but the interpolants, as plain values and arrays: what ``restored`` takes."""
        unstored = ("solve_again", "kept", "finals")
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unstored}
        return plain | {f"final{k}": final for k, final in enumerate(self.finals)}

    @property
    def samples(self) -> int:
        """S, how many samples were solved."""
        return len(self.outputs)

    @property
    def absolute_tolerance(self) -> float:
        """E, the error that the comparison allows: ``tolerance * max(1, peak)``."""
        return self.tolerance * max(1.0, self.peak)

    def trajectory(self, sample: int) -> Trajectory:
        """The solution of one sample with its interpolants.

        Samples that were not kept are solved again (the numbers are the same) and not kept
        either.

        Raises:
            UsageError: there is no such sample.
        """
        if not 0 <= sample < self.samples:
            raise UsageError(f"there is no sample {sample}", hint=f"0..{self.samples - 1} exist")
        found = self.kept.get(sample)
        return self.solve_again(sample) if found is None else found

    def at(self, sample: int, phase: int, times: FloatArray) -> FloatArray:
        """Voltages ``float64[P, N]`` at software times ``[P]`` since the phase began.

        Raises:
            UsageError: there is no such sample or phase.
        """
        return self.trajectory(sample).at(phase, times)
