"""One way to print tables: as wide as the terminal, or as a page where there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PAGE = 120


def console() -> Console:
    """Where results are printed."""
    from rich.console import Console

    # Names and quotations may look like markup.
    width = None if sys.stdout.isatty() else _PAGE
    return Console(highlight=False, markup=False, emoji=False, width=width)


def table(*titles: str, title: str | None = None) -> Table:
    """An empty table; without titles, a list of labels and values."""
    from rich.table import Table

    empty = Table(box=None, show_header=bool(titles), title=title, title_justify="left")
    for name in titles:
        empty.add_column(name, no_wrap=True)
    return empty
