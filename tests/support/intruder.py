"""What a pickle must never be made into."""

from __future__ import annotations

from pathlib import Path


class Intruder:
    """What a pickle makes of this leaves a witness behind."""

    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def __reduce__(self):
        return exec, (f"open({str(self._witness)!r}, 'w').close()",)
