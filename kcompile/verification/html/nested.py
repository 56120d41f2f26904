"""Nested figures with their units in their keys, as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from kcompile.quantities import format_number, format_si
from kcompile.verification.html.facts import is_number, spaced

UNITS = {"s": "s", "j": "J", "w": "W", "v": "V", "a": "A", "f": "F"}
"""The last word of a key, and the SI unit of its value."""
_MOST_LISTED = 12
"""Most values of a list that are written out."""


@dataclass(frozen=True, slots=True)
class Row:
    """A name and its value; a heading of the rows that follow deeper has no value."""

    depth: int
    name: str
    value: str | None


def nested_rows(values: Mapping[str, Any]) -> Iterator[Row]:
    """All figures of a mapping, in its order.

    A key that ends in one of ``UNITS`` gives its value that unit and an SI prefix; so it does to
    the numbers in a mapping or a list.

    Args:
        values: plain JSON values; mappings become headings, lists of numbers one value.
    """
    yield from _rows(values, 0, "")


def _rows(values: Mapping[str, Any], depth: int, unit: str) -> Iterator[Row]:
    for key, value in values.items():
        name, own = _name_and_unit(key, value)
        inner = _numbered(value)
        if inner is None:
            yield Row(depth, name, _text(value, own or unit))
        else:
            yield Row(depth, name, None)
            yield from _rows(inner, depth + 1, own or unit)


def _numbered(value: Any) -> Mapping[str, Any] | None:
    """A mapping, or a list of mappings as one; None for all that is one value."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if not any(isinstance(item, Mapping) for item in items):
        return None
    found = {str(number): item for number, item in enumerate(items[:_MOST_LISTED], 1)}
    return found if len(items) <= _MOST_LISTED else {**found, "in all": len(items)}


def _name_and_unit(key: str, value: Any) -> tuple[str, str]:
    stem, _, last = key.rpartition("_")
    if stem and last in UNITS and _measured(value):
        return spaced(stem), UNITS[last]
    return spaced(key), ""


def _measured(value: Any) -> bool:
    """Whether numbers are all that there is."""
    if isinstance(value, Mapping):
        return all(map(_measured, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list):
        return all(map(_measured, cast("list[Any]", value)))
    return value is None or is_number(value)


def _text(value: Any, unit: str) -> str:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        texts = [_text(item, unit) for item in items[:_MOST_LISTED]]
        more = f", ... ({len(items)} in all)" if len(items) > _MOST_LISTED else ""
        return ", ".join(texts) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value) and unit:
        return format_si(float(value), unit)
    if isinstance(value, float):
        return format_number(value, 4)
    return "-" if value is None else str(value)
