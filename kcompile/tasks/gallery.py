"""Which pictures a generative network gets, and the arrays that they show (torch)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kcompile.errors import DataMissing, MissingExtra, UsageError
from kcompile.ir import FloatArray
from kcompile.pictures import Plots
from kcompile.tasks import plots
from kcompile.tasks.data import get_potential, inside, log_normaliser, potential
from kcompile.tasks.registry import TASKS
from kcompile.tasks.sampling import density, states
from kcompile.tasks.task import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kcompile.frontend.model import Model
    from kcompile.tasks.sampling import Drawn

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""When a run is looked at, as shares of its duration."""

_POINTS, _IMAGES = 2000, 8
_WIDEST = 4.0
_CELLS = 101


def beside(model: Model, folder: Path | None = None) -> FloatArray | None:
    """The task's samples that a network's are drawn beside, ``float64[R, N]``.

    None where nobody has any, or they are of another kind.

    Args:
        model: a generative network.
        folder: with the task's data; None: the cache, and no data where it has none.

    Raises:
        UsageError: there is no such folder, or the task's data are in none.
        DataMissing, DataError: the folder has none, or they are damaged.
    """
    task = TASKS.get(model.task or "")
    if task is None or not model.generative:
        if folder is not None:
            raise UsageError(f"there are no data of {model.task}", hint="leave --data out")
        return None
    try:
        found = task.load(folder).test_inputs
    except (DataMissing, MissingExtra):
        if folder is not None:
            raise
        return None
    return found if task.kind is Kind.GENERATION else None


def draw(drawn: Drawn, data: FloatArray | None = None) -> Plots:
    """The pictures of samples.

    ``samples`` of point sets and digits, beside the data where they are at hand (Figs. 7 and 9);
    ``density`` of potentials beside the network's (Fig. 10); ``states`` on the way (Fig. 8). A
    network that gives neither points of a plane nor square images of at least 8 x 8 has none.

    Args:
        drawn: the samples.
        data: what they are drawn beside; None: nothing.
    """
    task = TASKS.get(drawn.model.task or "")
    nodes = drawn.samples.shape[1]
    if data is not None and data.shape[1] != nodes:
        data = None
    side = math.isqrt(nodes)
    figures: dict[str, Figure] = {}
    if nodes == 2 and task is not None and task.kind is Kind.DENSITY:
        figures["density"] = _density(drawn, task.name)
        figures["states"] = _states(drawn)
    elif nodes == 2:
        figures["samples"] = plots.points_plot(drawn.samples, data, drawn.model.name)
        figures["states"] = _states(drawn)
    elif side >= 8 and side * side == nodes:
        shape, title = (side, side), drawn.model.name
        figures["samples"] = plots.images_plot(drawn.samples, data, shape, title)
        way = states(drawn.model, drawn.start[:_IMAGES], SHARES)
        figures["states"] = plots.image_states_plot(way, _times(drawn), shape, title)
    return Plots(figures)


def _times(drawn: Drawn) -> list[float]:
    duration = sum(phase.duration for phase in drawn.model.graph.phases)
    return [share * duration for share in SHARES]


def _states(drawn: Drawn) -> Figure:
    start = drawn.start[:_POINTS]
    way = states(drawn.model, start, SHARES)
    directions = np.arctan2(start[:, 1], start[:, 0])
    return plots.states_plot(way, _times(drawn), drawn.model.name, directions)


def _density(drawn: Drawn, name: str) -> Figure:
    """The density of a potential beside the network's, where the potential's is one."""
    chosen = get_potential(name)
    reach = 1.1 * min(chosen.reach, _WIDEST)
    axis = np.linspace(-reach, reach, _CELLS)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    target = np.exp(-potential(name, points) - log_normaliser(name))
    found = density(drawn.model, points, float(target.max()))
    titles = ("exp(-U)/Z", "the network's density")
    if chosen.radius is not None:
        # What lies outside the disc is no fault: the potential goes on there.
        share = float(found[inside(name, points)].sum()) * (axis[1] - axis[0]) ** 2
        found /= max(share, 1e-300)
        titles = (
            f"exp(-U)/Z, Z over |z| ≤ {chosen.radius:g}",
            f"the network's / {share:.2f}, its share there",
        )
    densities = (target.reshape(_CELLS, _CELLS), found.reshape(_CELLS, _CELLS))
    panels = list(zip(titles, densities, strict=True))
    return plots.density_plot(panels, reach, drawn.model.name, drawn.samples, chosen.radius)
