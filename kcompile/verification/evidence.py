"""What a report rests on: inputs, answers, and the waveforms of one sample."""

from __future__ import annotations

from dataclasses import dataclass

from kcompile.ir import FloatArray
from kcompile.verification.metrics import PhaseWaves


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The numbers behind a report, in software units unless said.

    Args:
        inputs: ``float64[S, Nin]``.
        spice: ``float64[S, M]``, the circuit's read-outs; NaN for a sample without a result.
        reference: ``float64[S, M]``.
        nodes: numbers of the M read-out nodes.
        allowed: the error that the verdict allows.
        time_unit: seconds per software time unit.
        sample: the one whose waveforms were kept, or None.
        waves: its phases, in order.
    """

    inputs: FloatArray
    spice: FloatArray
    reference: FloatArray
    nodes: tuple[int, ...]
    allowed: float
    time_unit: float
    sample: int | None = None
    waves: tuple[PhaseWaves, ...] = ()
