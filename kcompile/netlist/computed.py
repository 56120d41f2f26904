"""Columns that are not kept: their values are computed as they are asked for, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

_CHUNK = 4096
"""How many values are computed at once for who goes through them one by one."""


class Computed(Sequence[T]):
    """A sequence of which only what is asked for exists.

    Args:
        count: its length.
        make: gives the values ``start .. stop-1``.
    """

    def __init__(self, count: int, make: Callable[[int, int], list[T]]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> list[T]: ...
    def __getitem__(self, key: int | slice) -> T | list[T]:
        if isinstance(key, slice):
            start, stop, step = key.indices(self._count)
            return self._make(start, max(start, stop)) if step == 1 else list(self)[key]
        place = range(self._count)[key]
        return self._make(place, place + 1)[0]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, self._count, _CHUNK):
            yield from self._make(start, min(start + _CHUNK, self._count))
