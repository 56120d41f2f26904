"""Golden cases: networks whose decks, waveforms and verdicts are known."""

from kcompile.verification.golden.case import (
    Case,
    GoldenResult,
    find_cases,
    read_case,
    run_case,
    update_case,
)
from kcompile.verification.golden.recipe import build_network
from kcompile.verification.golden.text import first_difference, folder_difference

__all__ = [
    "Case",
    "GoldenResult",
    "build_network",
    "find_cases",
    "first_difference",
    "folder_difference",
    "read_case",
    "run_case",
    "update_case",
]
