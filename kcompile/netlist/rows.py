"""Row templates: rendered once a form, then filled for every edge by plain formatting.

A family may come from a stranger, so its templates run in jinja2's sandbox: writing a deck runs
nothing of theirs. (What a simulator does with the deck is another matter.)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from kcompile.errors import PdkError
from kcompile.netlist.elements import Column, ElementTable, Family

_OPEN, _CLOSE = "\ue000", "\ue001"
_FIELD = re.compile(f"{_OPEN}(.*?){_CLOSE}")
_CHUNK = 4096
"""Rows formatted at once: large enough to be fast, small enough to stream."""


@dataclass(frozen=True)
class RowFormat:
    """A row template with one placeholder a column.

    Args:
        text: for ``%`` formatting, with ``%s`` for each field.
        fields: the columns that the placeholders stand for, in order.
        letters: how many elements of each SPICE letter one row makes.
    """

    text: str
    fields: tuple[str, ...]
    letters: Mapping[str, int]

    def chunks(self, columns: Mapping[str, Column], count: int) -> Iterator[str]:
        """The text of all rows, some thousand at a time."""
        used = [columns[field] for field in self.fields]
        if not used:
            yield self.text % () * count
            return
        for start in range(0, count, _CHUNK):
            rows = zip(*(column[start : start + _CHUNK] for column in used), strict=True)
            values = tuple(chain.from_iterable(rows))
            yield self.text * (len(values) // len(used)) % values


class RowFormats:
    """The row formats of one device family, made on first use."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._environments = [_environment(family.folders[k:]) for k in range(len(family.folders))]
        self._formats: dict[tuple[str, bool], RowFormat] = {}

    def models(self) -> str:
        """The family's ``.model`` lines, with its parameters filled in; empty if it has none.

        Those of the family that it extends come first.
        """
        found = (
            self._render("models.j2", {}, k)
            for k, folder in reversed(list(enumerate(self._family.folders)))
            if (folder / "models.j2").is_file()
        )
        return "".join(text if text.endswith("\n") else f"{text}\n" for text in found)

    def of(self, table: ElementTable) -> RowFormat:
        """The format of a table's rows.

        Raises:
            PdkError: the template does not render, or names what there is not.
        """
        key = (table.template, "gate" in table.columns)
        if key not in self._formats:
            hidden = table.columns.keys() & self._family.parameters.keys()
            if hidden:
                raise PdkError(
                    f"parameter {min(hidden)} is called like a column",
                    where=self._family.folders[0], hint="give it another name",
                )  # fmt: skip
            marked = {name: f"{_OPEN}{name}{_CLOSE}" for name in table.columns}
            text = self._render(table.template, {"gate": None, **marked})
            text = text if text.endswith("\n") else f"{text}\n"
            pieces = _FIELD.split(text)
            if not set(pieces[1::2]) <= marked.keys():
                raise PdkError(
                    "a column is changed before it is printed",
                    where=self._place(table.template),
                    hint="columns can only be printed; calculate with parameters",
                )
            literal = [piece.replace("%", "%%") for piece in pieces[::2]]
            letters = Counter(
                line[0].upper() for line in text.splitlines() if line and line[0].isalpha()
            )
            self._formats[key] = RowFormat("%s".join(literal), tuple(pieces[1::2]), letters)
        return self._formats[key]

    def _place(self, template: str, first: int = 0) -> Path:
        """The file of a template."""
        folders = self._family.folders[first:]
        return next((f for f in folders if (f / template).is_file()), folders[0]) / template

    def _render(self, template: str, context: Mapping[str, object], first: int = 0) -> str:
        """A template of the folders from number ``first`` on, filled in."""
        try:
            return (
                self._environments[first]
                .get_template(template)
                .render({**self._family.parameters, **context})
            )
        except (
            jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError,
            TypeError, ValueError,
        ) as error:  # fmt: skip
            # Expressions of a template raise whatever Python raises.
            raise PdkError(
                f"{type(error).__name__}: {error}", where=self._place(template, first)
            ) from error


def _environment(folders: Sequence[Path]) -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
