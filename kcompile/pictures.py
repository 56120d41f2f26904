"""Figures that belong together: how they look, how they are kept, shown and written.

matplotlib is not imported here: whoever draws a figure has it.
"""

# matplotlib's own annotations leave the keyword arguments of most methods untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kcompile.files import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Paul Tol's "bright" scheme, which colour-blind readers can tell apart.
BLUE, RED, ORANGE, GREY = "#4477AA", "#CC3311", "#DDAA33", "#777777"
STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#555555",
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
}
"""Settings of matplotlib that every figure is drawn with."""


@dataclass(frozen=True, eq=False)
class Plots:
    """Figures by name; a notebook shows them.

    Args:
        figures: each under the name that its file gets.
    """

    figures: dict[str, Figure]
    _drawn: dict[str, bytes] = field(default_factory=dict[str, bytes], init=False, repr=False)

    def png(self, name: str) -> bytes:
        """One figure as a PNG: the same numbers give the same bytes."""
        # Drawing a second time would move the layout by a hair.
        if name not in self._drawn:
            stream = io.BytesIO()
            with warnings.catch_warnings():
                # A letter that the font lacks becomes a box; nobody needs to hear of it.
                warnings.filterwarnings("ignore", "Glyph", UserWarning)
                self.figures[name].savefig(
                    stream, format="png", dpi=150, metadata={"Software": None}
                )
            self._drawn[name] = stream.getvalue()
        return self._drawn[name]

    def save(self, folder: Path | str) -> tuple[Path, ...]:
        """Writes ``<name>.png`` for every figure, each whole or not at all.

        Raises:
            StorageError: one cannot be written.
        """
        paths = tuple(Path(folder) / f"{name}.png" for name in self.figures)
        pictures = [self.png(name) for name in self.figures]
        for path, picture in zip(paths, pictures, strict=True):
            with written(path) as stream:
                stream.write(picture)
        return paths

    def _repr_html_(self) -> str:
        pictures = (base64.b64encode(self.png(name)).decode() for name in self.figures)
        style = "max-width:100%"
        return "".join(f'<img style="{style}" src="data:image/png;base64,{p}">' for p in pictures)


def plain_title(title: str) -> str:
    """A file's name as a title: no odd bytes, and dollar signs that begin no formula."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in title)
    return shown.replace("$", r"\$")
