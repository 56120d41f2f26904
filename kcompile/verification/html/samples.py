"""The table of all samples, or of those that matter where there are many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kcompile.quantities import format_number, format_si
from kcompile.verification.sections import SampleSection

MOST_ROWS = 300


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and what it is sorted by."""

    text: str
    sort: float | str


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Columns, and rows of as many cells; ``title`` and ``note`` say what was left out."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str


def sample_table(samples: Sequence[SampleSection]) -> SampleTable:
    """The samples with their errors; beyond ``MOST_ROWS`` those that failed or are the worst.

    Columns that would be the same for all samples are left out.
    """
    shown = list(samples)
    title, note = f"Every sample ({len(shown):,})", ""
    if len(shown) > MOST_ROWS:
        shown = sorted(sorted(shown, key=_badness)[:MOST_ROWS], key=lambda s: s.index)
        title = f"Samples ({MOST_ROWS} of {len(samples):,})"
        note = "Those that failed, and those with the largest errors; report.json has all."
    columns = _COLUMNS
    if any(sample.steps is not None for sample in samples):
        columns += _STEPS
    if any(sample.supply_energy_j is not None for sample in samples):
        columns += _ENERGY
    if any(sample.attempts > 1 for sample in samples):
        columns += _ATTEMPTS
    rows = tuple(tuple(cell(sample) for _, cell in columns) for sample in shown)
    return SampleTable(title, tuple(name for name, _ in columns), rows, note)


def _number(value: float | None, text: str) -> Cell:
    """A cell that is sorted by a number; a missing one comes before all others."""
    return Cell(text, -1.0 if value is None else value)


def _error(value: float | None) -> Cell:
    return _number(value, format_number(value))


def _text(value: str) -> Cell:
    return Cell(value, value)


def _steps(steps: int | None) -> Cell:
    return _number(steps, "as the decks say" if steps is None else str(steps))


_Column = tuple[str, Callable[[SampleSection], Cell]]
_COLUMNS: tuple[_Column, ...] = (
    ("sample", lambda s: _number(s.index, str(s.index))),
    ("status", lambda s: _text(s.status)),
    ("largest error", lambda s: _error(s.max_abs_error)),
    ("rms error", lambda s: _error(s.rms_error)),
    ("time", lambda s: _number(s.seconds, format_si(s.seconds, "s", 3))),
)
_STEPS: tuple[_Column, ...] = (("steps a layer", lambda s: _steps(s.steps)),)
_ENERGY: tuple[_Column, ...] = (
    (
        "energy of the supplies",
        lambda s: _number(s.supply_energy_j, format_si(s.supply_energy_j, "J")),
    ),
)
_ATTEMPTS: tuple[_Column, ...] = (
    ("attempts", lambda s: _number(s.attempts, str(s.attempts))),
    ("at first", lambda s: _text(s.earlier or "")),
)


def _badness(sample: SampleSection) -> tuple[bool, float]:
    """Failed samples first, then by error, largest first."""
    return sample.status == "ok", -(sample.max_abs_error or 0.0)
