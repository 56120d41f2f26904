"""Values out of a JSON or YAML document, read strictly: every complaint names the value's path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from kcompile.errors import ContentError

INDEX_LIMIT = 2**31 - 1
"""The largest number that an edge's node or a count may be."""

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Field:
    """A value and the path that leads to it, such as ``network.net_struct[1].args.num_node``.

    Args:
        value: what the document holds there.
        path: how a reader finds it; empty for the document itself.
        error: what is raised when it is not what it should be.
        numbers_as_text: take ``"1e-3"`` for a number (a YAML without a dot reads it as text).
    """

    value: object
    path: str
    error: type[ContentError]
    numbers_as_text: bool = False

    def key(self, name: str) -> Field:
        """The field ``name`` of a mapping; it must be there (but may be null)."""
        mapping = self._mapping()
        if name not in mapping:
            raise self.error(f"{self._below(name)} is missing", hint="add it")
        return self._child(mapping[name], self._below(name))

    def get(self, name: str) -> Field | None:
        """The field ``name`` of a mapping; None where it is absent or null."""
        value = self._mapping().get(name)
        return None if value is None else self._child(value, self._below(name))

    def names(self) -> tuple[str, ...]:
        """The names of a mapping's fields."""
        return tuple(self._mapping())

    def items(self, low: int = 0, high: int | None = None) -> tuple[Field, ...]:
        """The entries of a list, at least ``low`` and at most ``high`` of them."""
        value = self.value
        if not isinstance(value, list):
            raise self.bad("a list")
        entries = cast(list[object], value)
        if len(entries) < low or (high is not None and len(entries) > high):
            wanted = f"{low}" if low == high else f"at least {low}"
            raise self.error(f"{self.path} has {len(entries)} entries, not {wanted}")
        return tuple(self._child(v, f"{self.path}[{i}]") for i, v in enumerate(entries))

    def integer(self, low: int = 0, high: int = INDEX_LIMIT) -> int:
        """A whole number between ``low`` and ``high``."""
        value = self.value
        if self.numbers_as_text and isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.bad(f"a whole number between {low} and {high}")
        return value

    def number(self, *, positive: bool = False) -> float:
        """A finite number, above zero where that is asked for."""
        value = self.value
        try:
            if self.numbers_as_text and isinstance(value, str):
                value = float(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.bad("a number")
            value = float(value)
        except (ValueError, OverflowError):
            raise self.bad("a number") from None
        if not math.isfinite(value) or (positive and value <= 0.0):
            raise self.bad("a positive number" if positive else "a finite number")
        return value

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.bad("a text")
        return self.value

    def flag(self) -> bool:
        """True or false (0 and 1 will do)."""
        if self.value not in (True, False) or isinstance(self.value, float):
            raise self.bad("true or false")
        return bool(self.value)

    def choice(self, options: Iterable[str]) -> str:
        """One of several texts."""
        names = tuple(options)
        if self.value not in names:
            raise self.bad("known", hint=f"known: {', '.join(names)}")
        return cast(str, self.value)

    def mapping(self) -> dict[str, object]:
        """A mapping with text keys, as it stands."""
        return dict(self._mapping())

    def bad(self, wanted: str, hint: str | None = None) -> ContentError:
        """The error that says that the value is not what is wanted."""
        name = self.path or "the document"
        return self.error(f"{name} is {self._shown()}, not {wanted}", hint=hint)

    def _mapping(self) -> dict[str, object]:
        value = self.value
        if not isinstance(value, dict):
            raise self.bad("a mapping")
        if not all(isinstance(name, str) for name in cast(dict[object, object], value)):
            raise self.bad("a mapping with text keys")
        return cast(dict[str, object], value)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _child(self, value: object, path: str) -> Field:
        return replace(self, value=value, path=path)

    def _shown(self) -> str:
        # Containers are not printed: a small YAML file can describe an enormous one.
        value = self.value
        if value is None:
            return "null"
        if isinstance(value, dict | list | tuple | set):
            return f"a {type(cast(object, value)).__name__}"
        if isinstance(value, int) and value.bit_length() > 128:
            return "a huge number"
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
