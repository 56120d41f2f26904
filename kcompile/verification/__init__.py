"""Waveforms against the reference: inputs, metrics, verdict, report."""

from kcompile.verification.evidence import Evidence
from kcompile.verification.inputs import (
    Chosen,
    check_inputs,
    choose_inputs,
    default_inputs,
    read_inputs,
)
from kcompile.verification.metrics import OutputErrors, PhaseWaves, output_errors, phase_waves
from kcompile.verification.plots import Plots
from kcompile.verification.ranges import RangeWatch, approximated
from kcompile.verification.report import Report, load_report
from kcompile.verification.run import Progress, verify_model
from kcompile.verification.simulate import SampleRun, simulate_compiled
from kcompile.verification.verdict import Verdict, judge

__all__ = [
    "Chosen",
    "Evidence",
    "OutputErrors",
    "PhaseWaves",
    "Plots",
    "Progress",
    "RangeWatch",
    "Report",
    "SampleRun",
    "Verdict",
    "approximated",
    "check_inputs",
    "choose_inputs",
    "default_inputs",
    "judge",
    "load_report",
    "output_errors",
    "phase_waves",
    "read_inputs",
    "simulate_compiled",
    "verify_model",
]
