"""The exception tree: every error that a user can cause or must hear of.

Libraries raise these; only the command line catches them, prints ``str(error)`` as one line and
leaves with ``exit_status``. Anything else that escapes is a bug of ours (status 70).
"""

from __future__ import annotations

from typing import ClassVar


class KcompileError(Exception):
    """One line that says what is wrong, where, and what to do.

    Args:
        message: what is wrong, without a full stop at the end.
        hint: what to do about it.
        where: the file, option or object that it is about.
    """

    exit_status: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None, where: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = None if where is None else str(where)

    def __str__(self) -> str:
        text = self.message if self.where is None else f"{self.where}: {self.message}"
        text = text if self.hint is None else f"{text}; {self.hint}"
        return " ".join(text.split())


class UsageError(KcompileError):
    """An option out of range, a combination that makes no sense, a named file that is not there."""

    exit_status = 2


class ContentError(KcompileError):
    """The content of something that we were given is bad."""

    exit_status = 3


class CheckpointError(ContentError):
    """A checkpoint that is cut, foreign, malicious or does not match its own description."""


class ConfigError(ContentError):
    """A published network's config.yaml, or a preset, that asks for what does not exist."""


class GraphError(ContentError):
    """A circuit graph that breaks one of its invariants."""


class PdkError(ContentError):
    """A device family whose description or templates are bad, or that lacks a law."""


class InputError(ContentError):
    """Input voltages of the wrong width, kind or value."""


class DataError(ContentError):
    """A data set's file that is cut, foreign, or not the one that it should be."""


class SolverError(ContentError):
    """ODE solver settings that make no solver, or that do not reach the end."""


class TrainingDiverged(ContentError):
    """A training run whose loss became NaN or ran away."""


class DeckError(ContentError):
    """A deck folder that cannot be judged."""


class GoldenError(ContentError):
    """A golden case whose recipe or expected files are bad."""


class SimulatorError(KcompileError):
    """The simulator is missing, or no sample finished."""

    exit_status = 4


class SimulatorNotFound(SimulatorError):
    """No simulator where one was looked for."""


class SimulationFailed(SimulatorError):
    """A simulation ended without a complete, finite result."""


class StorageError(KcompileError):
    """A file or folder that cannot be read or written: disk full, read-only, no permission."""

    exit_status = 5


class MissingExtra(UsageError):
    """A feature whose optional packages are not installed."""


class DataMissing(UsageError):
    """A data set that is neither in the cache nor in the folder that was named."""
