"""The pictures of the tasks: how a loss fell.

Every function makes a matplotlib ``Figure`` of its own; no global state is touched, and
matplotlib is imported only when a picture is drawn.
"""

# matplotlib's own annotations leave the keyword arguments of most methods untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcompile.files import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _GREY = "#4477AA", "#777777"
_FEW_EPOCHS = 40
"""Up to so many, every epoch gets a dot."""
_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.spines.right": False,
    "axes.spines.top": False,
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


def plot_loss(path: Path, curve: Sequence[float], title: str) -> None:
    """Writes ``loss_plot`` as a PNG, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    save_figure(path, loss_plot(curve, title))


def loss_plot(curve: Sequence[float], title: str) -> Figure:
    """The loss of every epoch; on a logarithmic scale where all of it is positive.

    Args:
        curve: mean training loss of each epoch, from the first; gaps where it is not finite.
        title: what was trained.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    loss = np.asarray(curve, dtype=np.float64)
    epochs = np.arange(1, len(loss) + 1)
    known = np.flatnonzero(np.isfinite(loss))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        dots = "o" if len(loss) <= _FEW_EPOCHS else ""
        axes.plot(epochs, loss, color=_BLUE, linewidth=1.6, marker=dots, markersize=3.5)
        if known.size:
            last = known[-1]
            axes.plot(
                epochs[last], loss[last], "o", color=_BLUE, markersize=6, clip_on=False, zorder=5,
                label=f"epoch {epochs[last]}: {loss[last]:.3g}",
            )  # fmt: skip
            axes.legend(loc="upper right")
            if (loss[known] > 0).all():
                axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss")
        axes.set_title(_plain(title), loc="left")
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Writes a figure as a PNG, whole or not at all: the same numbers give the same bytes.

    Raises:
        StorageError: it cannot be written.
    """
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks becomes a box; nobody needs to hear of it.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(stream, format="png", dpi=150, metadata={"Software": None})
    with written(path) as file:
        file.write(stream.getvalue())


def _plain(title: str) -> str:
    """A file's name as a title: no odd bytes, and dollar signs that begin no formula."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in title)
    return shown.replace("$", r"\$")
