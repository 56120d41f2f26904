"""The pictures of a report: waveforms, error over time, and outputs.

Every function makes a matplotlib ``Figure`` of its own; no global state is touched, and
matplotlib is imported only when a picture is drawn.
"""

# matplotlib's own annotations leave the keyword arguments of most methods untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kcompile.ir import FloatArray
from kcompile.pictures import BLUE, GREY, ORANGE, RED, STYLE, Plots, plain_title
from kcompile.quantities import si_prefix
from kcompile.verification.evidence import Evidence
from kcompile.verification.thinning import error_limits, some_nodes, some_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 10
MOST_POINTS = 20_000

# Paul Tol's "muted" and "bright" schemes, which colour-blind readers can tell apart.
_CURVES = (
    "#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99", "#999933",
    "#AA4499", "#555555",
)  # fmt: skip


def draw(evidence: Evidence, title: str) -> Plots:
    """All figures that the evidence can carry.

    Args:
        evidence: the numbers.
        title: the network's name.
    """
    import matplotlib as mpl

    figures: dict[str, Figure] = {}
    title = plain_title(title)
    with mpl.rc_context(STYLE):
        if evidence.waves:
            figures["waveforms"] = waveforms(evidence, title)
            figures["error"] = error_over_time(evidence, title)
        if np.isfinite(evidence.spice).all(axis=1).any():
            figures["outputs"] = outputs(evidence, title)
    return Plots(figures)


def waveforms(evidence: Evidence, title: str) -> Figure:
    """The circuit's waveforms of the read-out nodes over those of the ODE, one sample."""
    figure, axes, size = _time_axes(evidence)
    nodes = some_nodes(evidence.nodes, MOST_CURVES)
    for curve, node in enumerate(nodes):
        colour = _CURVES[curve]
        for wave in evidence.waves:
            if node > wave.spice.shape[1]:
                continue
            seconds, column = wave.seconds / size, node - 1
            axes.plot(
                seconds, wave.reference[:, column], color=colour, linewidth=3.6, alpha=0.38,
                solid_capstyle="butt",
            )  # fmt: skip
            axes.plot(
                seconds, wave.spice[:, column], color=colour, linewidth=1.1, linestyle=(0, (4, 2))
            )
    axes.set_ylabel("voltage (software units)")
    some = "" if len(nodes) == len(evidence.nodes) else f" ({len(nodes)} of {len(evidence.nodes)})"
    axes.set_title(f"{title}: read-out nodes{some}, sample {evidence.sample}", loc="left")
    _legend_of_styles(axes, nodes)
    return figure


def error_over_time(evidence: Evidence, title: str) -> Figure:
    """|SPICE - ODE| against time on a logarithmic scale, one sample."""
    figure, axes, size = _time_axes(evidence)
    columns = np.asarray(evidence.nodes) - 1
    every, read, times = list[FloatArray](), list[FloatArray](), list[FloatArray]()
    for wave in evidence.waves:
        difference = np.abs(wave.spice - wave.reference)
        live = columns[columns < difference.shape[1]]
        every.append(difference.max(axis=1))
        read.append(
            difference[:, live].max(axis=1) if live.size else np.full(len(difference), np.nan)
        )
        times.append(wave.seconds / size)
    hidden = max(wave.spice.shape[1] for wave in evidence.waves) > len(columns)
    for number, (t, all_nodes, outs) in enumerate(zip(times, every, read, strict=True)):
        first = number == 0
        if hidden:
            axes.plot(
                t, _positive(all_nodes), color=ORANGE, linewidth=1.2,
                label="largest of all nodes" if first else None,
            )  # fmt: skip
        axes.plot(
            t, _positive(outs), color=BLUE, linewidth=1.8,
            label="largest of the read-out nodes" if first else None,
        )  # fmt: skip
    final = read[-1][-1]
    if final > 0:
        axes.plot(
            times[-1][-1], final, "o", color=BLUE, markersize=6, clip_on=False, zorder=5,
            label=f"judged: {final:.2g}",
        )  # fmt: skip
    axes.axhline(
        evidence.allowed, color=RED, linewidth=1.2, linestyle="--",
        label=f"allowed at the end: {evidence.allowed:.2g}",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(*error_limits(np.concatenate([*every, *read]), evidence.allowed))
    axes.set_ylabel("|SPICE - ODE| (software units)")
    axes.set_title(f"{title}: error over time, sample {evidence.sample}", loc="left")
    axes.legend(
        loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=0.9
    )
    return figure


def outputs(evidence: Evidence, title: str) -> Figure:
    """The circuit's read-outs against the reference, and what is left between them."""
    from matplotlib.figure import Figure

    known = np.isfinite(evidence.spice).all(axis=1)
    x, y = evidence.reference[known].ravel(), evidence.spice[known].ravel()
    total = len(x)
    chosen = some_points(np.abs(y - x), MOST_POINTS)
    x, y = x[chosen], y[chosen]
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    alpha = float(np.clip(40 / np.sqrt(len(x)), 0.15, 0.85))
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    left.plot(ends, ends, color=GREY, linewidth=1.0, label="identity")
    left.plot(
        x, y, "o", color=BLUE, markersize=4.5, alpha=alpha, markeredgewidth=0,
        label="read-outs", rasterized=True,
    )  # fmt: skip
    left.set_xlabel("ODE reference (software units)")
    left.set_ylabel("SPICE (software units)")
    some = "" if len(x) == total else f"; {len(x)} of {total} points drawn"
    left.set_title(
        f"{title}: {int(known.sum())} samples, {evidence.spice.shape[1]} read-outs{some}",
        loc="left",
    )
    left.legend(loc="upper left")
    _draw_residuals(right, x, y - x, evidence.allowed, alpha)
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    return figure


def _draw_residuals(
    axes: Axes, x: FloatArray, residual: FloatArray, allowed: float, alpha: float
) -> None:
    largest = float(np.abs(residual).max())
    shown = largest > allowed / 20
    limit = 1.3 * max(largest, allowed) if shown else 1.3 * largest or allowed
    exponent = math.floor(math.log10(limit))
    unit, factor = ("", 1.0) if -2 <= exponent <= 2 else (f"1e{exponent} ", 10.0**exponent)
    axes.axhline(0.0, color=GREY, linewidth=1.0)
    axes.plot(
        x, residual / factor, "o", color=BLUE, markersize=4.5, alpha=alpha, markeredgewidth=0,
        rasterized=True,
    )  # fmt: skip
    if shown:
        for sign in (-1, 1):
            axes.axhline(
                sign * allowed / factor, color=RED, linewidth=1.2, linestyle="--",
                label=f"allowed: ±{allowed:.2g}" if sign > 0 else None,
            )  # fmt: skip
        axes.legend(loc="upper right", frameon=True, facecolor="white", edgecolor="none")
    else:
        axes.text(
            0.98, 0.97, f"allowed: ±{allowed:.2g}, beyond this scale", color=RED, ha="right",
            va="top", transform=axes.transAxes, fontsize=9,
        )  # fmt: skip
    axes.set_ylim(-limit / factor, limit / factor)
    axes.set_xlabel("ODE reference (software units)")
    axes.set_ylabel(f"SPICE - ODE ({unit}software units)")
    axes.set_title(f"largest difference {largest:.2g}", loc="left")


def _time_axes(evidence: Evidence) -> tuple[Figure, Axes, float]:
    """A figure over circuit time (software time above, layers marked), and its unit in seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes = figure.subplots()
    end = float(evidence.waves[-1].seconds[-1])
    size, prefix = si_prefix(end)
    unit = evidence.time_unit / size
    axes.set_xlim(0.0, end / size)
    axes.set_xlabel(f"time in the circuit ({prefix}s)")

    def to_software(t: Any) -> Any:
        return t / unit

    def from_software(t: Any) -> Any:
        return t * unit

    above = axes.secondary_xaxis("top", functions=(to_software, from_software))
    above.set_xlabel("time in software units")
    count = len(evidence.waves)
    for number, wave in enumerate(evidence.waves, 1):
        begin, finish = wave.seconds[0] / size, wave.seconds[-1] / size
        if number > 1:
            axes.axvline(begin, color=GREY, linewidth=0.9, linestyle=":")
        if 1 < count <= 12:
            axes.text(
                (begin + finish) / 2, 0.985, f"layer {number}", ha="center", va="top",
                color=GREY, fontsize=8.5, transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    return figure, axes, size


def _legend_of_styles(axes: Axes, nodes: tuple[int, ...]) -> None:
    """What solid and dashed mean, then the nodes, beside the plot."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="black", linewidth=3.6, alpha=0.38, label="ODE"),
        Line2D([], [], color="black", linewidth=1.1, linestyle=(0, (4, 2)), label="SPICE"),
    ]
    for node, colour in zip(nodes, _CURVES, strict=False):
        handles.append(Line2D([], [], color=colour, linewidth=2.0, label=f"n{node}"))
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.4)


def _positive(values: FloatArray) -> FloatArray:
    """Values that a logarithmic axis can show; a gap elsewhere."""
    return np.where(values > 0, values, np.nan)
