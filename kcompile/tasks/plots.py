"""The pictures of the tasks: how a loss fell; samples beside data, and how they came about.

Every function makes a matplotlib ``Figure`` of its own out of plain arrays; no global state is
touched, and matplotlib is imported only when a picture is drawn.
"""

# matplotlib's own annotations leave the keyword arguments of most methods untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcompile.files import written
from kcompile.ir import FloatArray
from kcompile.pictures import BLUE, GREY, RED, STYLE, Plots, plain_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_IMAGES = 32
"""So many images of a kind are shown."""

_FEW_EPOCHS = 40
_ROW = 8
_OUTLIERS = 1e-3
_SLIM = 4.0
_IMAGE_STYLE: dict[Any, Any] = {**STYLE, "axes.grid": False}


def plot_loss(path: Path, curve: Sequence[float], title: str) -> None:
    """Writes ``loss_plot`` as a PNG, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    picture = Plots({"loss": loss_plot(curve, title)}).png("loss")
    with written(path) as stream:
        stream.write(picture)


def loss_plot(curve: Sequence[float], title: str) -> Figure:
    """The loss of every epoch; on a logarithmic scale where all of it is positive.

    Args:
        curve: mean training loss of each epoch, from the first; gaps where it is not finite.
        title: what was trained.
    """
    import matplotlib as mpl
    from matplotlib.ticker import MaxNLocator

    loss = np.asarray(curve, dtype=np.float64)
    epochs = np.arange(1, len(loss) + 1)
    known = np.flatnonzero(np.isfinite(loss))
    with mpl.rc_context(STYLE):
        figure = _figure((7.2, 4.2))
        axes = figure.subplots()
        dots = "o" if len(loss) <= _FEW_EPOCHS else ""
        axes.plot(epochs, loss, color=BLUE, linewidth=1.6, marker=dots, markersize=3.5)
        if known.size:
            last = known[-1]
            axes.plot(
                epochs[last], loss[last], "o", color=BLUE, markersize=6, clip_on=False, zorder=5,
                label=f"epoch {epochs[last]}: {loss[last]:.3g}",
            )  # fmt: skip
            axes.legend(loc="upper right")
            if (loss[known] > 0).all():
                axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss")
        axes.set_title(plain_title(title), loc="left")
        axes.spines["top"].set_visible(False)
    return figure


def points_plot(samples: FloatArray, data: FloatArray | None, title: str) -> Figure:
    """Points that a network generated beside the data's, as many of each, in the same frame.

    Args:
        samples: ``float64[S, 2]``.
        data: ``float64[R, 2]``, or None where there is none.
        title: the network's name.
    """
    import matplotlib as mpl

    clouds = [("generated", samples)]
    if data is not None:
        count = min(len(samples), len(data))
        clouds = [("data", data[:count]), ("generated", samples[:count])]
    frame = _frame([points for _, points in clouds])
    wide, high = frame[1] - frame[0]
    with mpl.rc_context(STYLE):
        figure = _figure((4.9 * len(clouds), 1.5 + float(np.clip(4.0 * high / wide, 2.0, 8.0))))
        row = figure.subplots(1, len(clouds), squeeze=False)[0]
        for axes, (name, points) in zip(row, clouds, strict=True):
            _cloud(axes, points, GREY if name == "data" else BLUE, frame)
            axes.set_title(f"{name}: {_count(points, frame)}", loc="left")
        figure.suptitle(plain_title(title), fontweight="bold")
    return figure


def states_plot(
    states: FloatArray, times: Sequence[float], title: str, colours: FloatArray | None = None
) -> Figure:
    """Clouds of points on their way from the draw to the data, each in a frame of its own.

    Args:
        states: ``float64[K, S, 2]``.
        times: ``[K]``, software time units.
        title: the network's name.
        colours: ``float64[S]``, angles: a hue for each point, the same at all times; None: blue.
    """
    import matplotlib as mpl

    with mpl.rc_context({**STYLE, "font.size": 9.0}):
        figure = _figure((2.9 * len(states), 3.6))
        row = figure.subplots(1, len(states), squeeze=False)[0]
        for axes, points, time in zip(row, states, times, strict=True):
            frame = _frame([points])
            wide, high = frame[1] - frame[0]
            slim = _SLIM * min(wide, high) < max(wide, high)
            hue = BLUE if colours is None else colours
            _cloud(axes, points, hue, frame if slim else _square(frame), names=False)
            if slim:
                axes.set_aspect("auto")  # a line would show nothing
            axes.set_title(f"t = {time:g}", loc="left")
        what = "" if colours is None else "; a point keeps the colour of the direction it starts in"
        figure.suptitle(f"{plain_title(title)}: voltages of both nodes{what}", fontweight="bold")
    return figure


def images_plot(
    samples: FloatArray, data: FloatArray | None, shape: tuple[int, int], title: str
) -> Figure:
    """Images that a network generated beside real ones.

    Args:
        samples: ``float64[S, height * width]``, 0 for black, 1 for white.
        data: ``float64[R, height * width]``, or None where there is none.
        shape: height and width.
        title: the network's name.
    """
    import matplotlib as mpl

    kinds = [("generated", samples)] if data is None else [("data", data), ("generated", samples)]
    with mpl.rc_context(_IMAGE_STYLE):
        rows = max(_mosaic(images, shape).shape[0] // (shape[0] + 1) for _, images in kinds)
        figure = _figure((4.4 * len(kinds), 0.56 * rows + 0.9))
        row = figure.subplots(1, len(kinds), squeeze=False)[0]
        for axes, (name, images) in zip(row, kinds, strict=True):
            _picture(axes, _mosaic(images, shape))
            axes.set_title(f"{name}: {min(len(images), MOST_IMAGES)} images", loc="left")
            axes.set_anchor("N")
        figure.suptitle(plain_title(title), fontweight="bold")
    return figure


def image_states_plot(
    states: FloatArray, times: Sequence[float], shape: tuple[int, int], title: str
) -> Figure:
    """Images on their way from noise, a row each, a column for each time with grey levels of its own.

    Args:
        states: ``float64[K, S, height * width]``.
        times: ``[K]``, software time units.
        shape: height and width.
        title: the network's name.
    """  # noqa: E501
    import matplotlib as mpl

    count = min(states.shape[1], _ROW)
    with mpl.rc_context(_IMAGE_STYLE):
        figure = _figure((1.35 * len(states), 1.15 * count + 0.8))
        row = figure.subplots(1, len(states), squeeze=False)[0]
        for axes, images, time in zip(row, states[:, :count], times, strict=True):
            low, high = np.quantile(images, [0.01, 0.99])
            grey = (images - low) / max(high - low, 1e-300)
            _picture(axes, _mosaic(grey, shape, columns=1))
            axes.set_title(f"t = {time:g}", loc="center")
        figure.suptitle(plain_title(title), fontweight="bold")
    return figure


def density_plot(
    panels: Sequence[tuple[str, FloatArray]],
    reach: float,
    title: str,
    samples: FloatArray | None = None,
    radius: float | None = None,
) -> Figure:
    """Densities of two variables on a grid, in one colour scale, and samples in a frame of their own.

    Args:
        panels: names, and ``float64[G, G]``: rows are the second variable, from below.
        reach: the grid goes from minus this to this.
        title: the network's name.
        samples: ``float64[S, 2]``, or None.
        radius: of the disc that the densities are looked at in, or None.
    """  # noqa: E501
    import matplotlib as mpl

    most = max(float(values.max()) for _, values in panels)
    count = len(panels) + (samples is not None)
    with mpl.rc_context(_IMAGE_STYLE):
        figure = _figure((4.1 * count + 0.8, 4.6))
        row = figure.subplots(1, count, squeeze=False)[0]
        image = None
        for axes, (name, values) in zip(row, panels, strict=False):
            image = axes.imshow(
                values, origin="lower", extent=(-reach, reach, -reach, reach), vmin=0.0,
                vmax=most, cmap="viridis", interpolation="bilinear",
            )  # fmt: skip
            _name_axes(axes)
            axes.set_title(name, loc="left")
            if radius is not None:
                _circle(axes, radius, "white")
        if image is not None:
            figure.colorbar(image, ax=list(row[: len(panels)]), label="density", shrink=0.8)
        if samples is not None:
            frame = _square(_frame([samples]))
            _cloud(row[-1], samples, BLUE, frame)
            row[-1].set_title(f"generated: {_count(samples, frame)}", loc="left")
            if radius is not None:
                _circle(row[-1], radius, RED)
                row[-1].legend(loc="upper right", frameon=True, facecolor="white", edgecolor="none")
        figure.suptitle(plain_title(title), fontweight="bold")
    return figure


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _frame(clouds: Sequence[FloatArray]) -> FloatArray:
    """Around all clouds but for far outliers: its lower left and upper right corner."""
    ends = [_OUTLIERS, 1 - _OUTLIERS]
    bounds = np.array([np.quantile(points, ends, axis=0) for points in clouds])
    low, high = bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)
    spread = high - low
    least = max(0.25 * float(spread.max()), 1e-6 * float(np.abs(bounds).max()), 1e-6)
    margin = 0.08 * np.maximum(spread, least)
    return np.stack((low - margin, high + margin))


def _square(frame: FloatArray) -> FloatArray:
    """The smallest square frame around one of the same centre."""
    half = (frame[1] - frame[0]).max() / 2
    return frame.mean(axis=0) + np.array([[-half], [half]])


def _count(points: FloatArray, frame: FloatArray) -> str:
    outside = int(((points < frame[0]) | (points > frame[1])).any(axis=1).sum())
    return f"{len(points)} points" + (f" ({outside} outside)" if outside else "")


def _cloud(
    axes: Axes, points: FloatArray, hue: str | FloatArray, frame: FloatArray, names: bool = True
) -> None:
    """Points, the smaller and paler the more there are; a hue each where angles are given."""
    size = float(np.clip(2500 / len(points), 1.5, 14.0))
    alpha = float(np.clip(40 / np.sqrt(len(points)), 0.3, 0.8))
    colours: dict[str, Any] = {"color": hue}
    if not isinstance(hue, str):
        colours = {"c": hue, "cmap": "hsv", "vmin": -np.pi, "vmax": np.pi}
    axes.scatter(
        points[:, 0], points[:, 1], s=size, alpha=alpha, linewidths=0, rasterized=True,
        **colours,
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlim(frame[0, 0], frame[1, 0])
    axes.set_ylim(frame[0, 1], frame[1, 1])
    axes.spines["top"].set_visible(False)
    if names:
        _name_axes(axes)


def _name_axes(axes: Axes) -> None:
    axes.set_xlabel("voltage of node 1 (software units)")
    axes.set_ylabel("voltage of node 2 (software units)")


def _circle(axes: Axes, radius: float, colour: str) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    axes.plot(
        radius * np.cos(angle), radius * np.sin(angle), color=colour, linewidth=1.2,
        linestyle="--", label=f"|z| = {radius:g}",
    )  # fmt: skip


def _mosaic(images: FloatArray, shape: tuple[int, int], columns: int = _ROW) -> FloatArray:
    """Up to ``MOST_IMAGES`` images side by side with white lines between them, 0..1."""
    height, width = shape
    shown = np.clip(images[:MOST_IMAGES], 0.0, 1.0).reshape(-1, height, width)
    rows = -(-len(shown) // columns)
    whole = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1))
    for index, image in enumerate(shown):
        top, left = divmod(index, columns)
        top, left = top * (height + 1), left * (width + 1)
        whole[top : top + height, left : left + width] = image
    return whole


def _picture(axes: Axes, image: FloatArray) -> None:
    axes.imshow(image, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_axis_off()
