"""Pictures of experiments: distributions over circuits, effects alone, sweeps."""

# matplotlib's own annotations leave the keyword arguments of most methods untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kcompile.pictures import BLUE, GREY, ORANGE, RED, STYLE, Plots, plain_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kcompile.experiments.result import Experiment
    from kcompile.experiments.sweep import Sweep


def of_experiment(found: Experiment) -> Plots:
    """A Monte Carlo's pictures, by name."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figures = {"circuits": _circuits(found)}
        if found.sensitivities:
            figures["effects"] = _effects(found)
    return Plots(figures)


def of_sweep(found: Sweep) -> Plots:
    """A sweep's picture."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        return Plots({"sweep": _sweep(found)})


def _circuits(found: Experiment) -> Figure:
    """Histograms of the metric and of the error over circuits."""
    from matplotlib.figure import Figure

    quantities = [q for q in (found.metric, "rms_error") if q in found.spreads]
    figure = Figure(figsize=(4.6 * max(len(quantities), 1), 3.6), layout="constrained")
    for number, quantity in enumerate(quantities, 1):
        axes = figure.add_subplot(1, len(quantities), number)
        name = "metric" if quantity == found.metric else "rms_error"
        values = [getattr(circuit, name) for circuit in found.circuits]
        known = np.array([v for v in values if v is not None and math.isfinite(v)])
        _histogram(axes, known)
        _lines(axes, found, str(quantity), float(np.median(known)))
        axes.set_xlabel(_label(str(quantity), found.task))
        axes.set_ylabel("circuits")
        axes.locator_params(axis="x", nbins=5)
        axes.legend()
    figure.suptitle(f"{plain_title(found.model)}: {found.runs} circuits, {found.samples} samples")
    return figure


def _usual(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values without the few so far out that they would squeeze all others together."""
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    inside = (values >= middle - 3 * (middle - low)) & (values <= middle + 3 * (high - middle))
    return values[inside] if inside.sum() >= 0.99 * len(values) else values


def _histogram(axes: Axes, values: NDArray[np.float64]) -> None:
    """Bars, also where all values are the same but for their last digits."""
    shown = _usual(values)
    beyond = len(values) - len(shown)
    middle, spread = float(np.median(shown)), float(np.ptp(shown))
    room = max(abs(middle) * 1e-9, 1e-300)
    axes.hist(
        shown, bins=min(60, max(10, len(values) // 20)), color=BLUE, alpha=0.85,
        range=None if spread > room else (middle - room, middle + room),
        label=f"{beyond} more further out" if beyond else None,
    )  # fmt: skip


def _lines(axes: Axes, found: Experiment, quantity: str, median: float) -> None:
    """The ideal network, the median, and the bound that is specified."""
    axes.axvline(median, color=ORANGE, lw=2, label=f"median {median:.4g}")
    if quantity == found.metric and found.ideal_metric is not None:
        axes.axvline(found.ideal_metric, color=GREY, lw=2, label=f"ideal {found.ideal_metric:.4g}")
    if found.yields is not None and found.yields.specification.startswith(f"{quantity} "):
        bound = float(found.yields.specification.split()[-1])
        label = f"{found.yields.specification}: {found.yields.share:.1%}"
        axes.axvline(bound, color=RED, ls="--", label=label)


def _effects(found: Experiment) -> Figure:
    """What each effect does alone, the strongest on top."""
    from matplotlib.figure import Figure

    effects = [each for each in found.sensitivities[::-1] if math.isfinite(each.rms_error)]
    figure = Figure(figsize=(6.4, 1.2 + 0.42 * len(effects)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([each.effect for each in effects], [each.rms_error for each in effects], color=BLUE)
    squares = [c.rms_error**2 for c in found.circuits if math.isfinite(c.rms_error)]
    if squares:
        together = math.sqrt(sum(squares) / len(squares))
        axes.axvline(together, color=GREY, ls="--", label="all together")
        # Bars are short down there; the frame keeps the line out of the words.
        axes.legend(loc="lower center", frameon=True, facecolor="white", framealpha=1.0)
    axes.set_xlabel("rms error of the read-outs, software units")
    axes.set_title(f"{plain_title(found.model)}: each effect alone")
    return figure


def _sweep(found: Sweep) -> Figure:
    """Metric and error against the swept number, with their spread over circuits."""
    from matplotlib.figure import Figure

    quantities = [q for q in (found.metric, "rms_error") if q is not None]
    figure = Figure(figsize=(5.0 * len(quantities), 3.8), layout="constrained")
    for number, quantity in enumerate(quantities, 1):
        axes = figure.add_subplot(1, len(quantities), number)
        rows = [(p.value, p.spreads[quantity]) for p in found.points if quantity in p.spreads]
        x = [value for value, _ in rows]
        axes.plot(x, [s.quantiles[1] for _, s in rows], "o-", color=BLUE, label="median")
        if any(s.count > 1 for _, s in rows):
            low, high = ([s.quantiles[k] for _, s in rows] for k in (0, 2))
            axes.fill_between(x, low, high, color=BLUE, alpha=0.2, label="5 % to 95 %")
        if quantity == found.metric and found.ideal_metric is not None:
            axes.axhline(found.ideal_metric, color=GREY, ls="--", label="ideal network")
        positive = [value for value in x if value > 0]
        if len(positive) == len(x) and len(x) > 2 and max(x) > 50 * min(x):
            axes.set_xscale("log")
        values = [s.quantiles[1] for _, s in rows if s.quantiles[1] > 0]
        if len(values) > 1 and max(values) > 20 * min(values):
            axes.set_yscale("log")
        axes.set_xlabel(found.key)
        axes.set_ylabel(_label(quantity, found.task))
        axes.legend()
    figure.suptitle(f"{plain_title(found.model)}: {found.runs} circuits a point ({found.engine})")
    return figure


def _label(quantity: str, task: str | None) -> str:
    words = {"rms_error": "rms error of the read-outs, software units", "mse": "mean squared error"}
    label = words.get(quantity, quantity.replace("_", " "))
    return label if quantity == "rms_error" or task is None else f"{label} ({task})"
