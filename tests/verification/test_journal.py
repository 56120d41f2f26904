"""The folder of an unfinished verification: one owner at a time, and no longer than a month."""

from __future__ import annotations

import os
from pathlib import Path

from kcompile.verification.journal import Journal


def test_two_at_the_same_time_do_not_share_a_journal(state: Path) -> None:
    one = Journal.of({"a": 1})
    assert one is not None
    assert Journal.of({"a": 1}) is None
    other = Journal.of({"a": 2})
    assert other is not None
    other.remove()
    one.close()
    third = Journal.of({"a": 1})
    assert third is not None
    third.remove()
    assert list(state.iterdir()) == []


def test_old_journals_are_forgotten(state: Path) -> None:
    old = Journal.of({"a": 1})
    assert old is not None
    old.close()
    os.utime(old.folder / "lock", (0, 0))
    new = Journal.of({"a": 2})
    assert new is not None
    assert list(state.iterdir()) == [new.folder]
    new.close()
