"""Charts of what was judged: the read-outs at the end, of all samples."""

from __future__ import annotations

import numpy as np

from kcompile.ir import FloatArray
from kcompile.quantities import format_number
from kcompile.verification.evidence import Evidence
from kcompile.verification.html.axis import DIFFERENCE, labelled, linear_axis, log_axis
from kcompile.verification.html.chart import Chart, Line, Plane, allowed_line
from kcompile.verification.thinning import error_limits, some_points

MOST_DOTS = 2000
_HEIGHT = 290.0


def outputs(evidence: Evidence) -> Chart:
    """The circuit's read-outs against the reference's."""
    x, y, some = _points(evidence)
    low, high = min(float(x.min()), float(y.min())), max(float(x.max()), float(y.max()))
    axis = linear_axis(low, high, padding=0.05)
    plane = Plane(axis, axis, _HEIGHT)
    ends = np.array([axis.low, axis.high])
    return Chart(
        "outputs", "Outputs of circuit and software",
        f"SPICE against the reference, from {format_number(low)} to {format_number(high)}; equal "
        "outputs lie on the diagonal.",
        plane.height, caption=some, plane=plane,
        x_label=labelled("ODE", axis), y_label=labelled("SPICE", axis),
        paths=(plane.curve(ends, ends, "equal"), plane.dots(x, y, "dots")),
        legend=(("dots", "one read-out of one sample"), ("equal", "equal")),
    )  # fmt: skip


def residuals(evidence: Evidence) -> Chart:
    """What is left between the circuit's read-outs and the reference's."""
    x, y, some = _points(evidence)
    left, allowed = y - x, evidence.allowed
    largest = float(np.abs(left).max())
    near = largest > allowed / 20
    limit = 1.2 * max(largest, allowed) if near else 1.3 * largest or allowed
    across = linear_axis(float(x.min()), float(x.max()), padding=0.05)
    plane = Plane(across, linear_axis(-limit, limit), _HEIGHT)
    rules = [Line(float(plane.down(0.0)), "", "equal")]
    if near:
        rules.append(allowed_line(plane, allowed, "±"))
        rules.append(Line(float(plane.down(-allowed)), "", "allowed"))
        far = ""
    else:
        far = f"±{format_number(allowed)} is allowed, far beyond this scale. "
    return Chart(
        "residuals", "What is left between them",
        f"SPICE minus reference; the largest difference is {format_number(largest)}, "
        f"{format_number(allowed)} is allowed.",
        plane.height, caption=far + some, plane=plane,
        x_label=labelled("ODE", plane.x), y_label=labelled(DIFFERENCE, plane.y),
        paths=(plane.dots(x, left, "dots"),), rules=tuple(rules),
    )  # fmt: skip


def error_of_samples(evidence: Evidence) -> Chart:
    """The largest error of every sample."""
    error = np.abs(evidence.spice - evidence.reference).max(axis=1)
    lost = np.flatnonzero(~np.isfinite(error))
    kept = some_points(np.nan_to_num(error, nan=0.0), MOST_DOTS)
    axis = log_axis(*error_limits(error, evidence.allowed))
    plane = Plane(linear_axis(-0.5, len(error) - 0.5), axis, 250.0)
    finite = kept[np.isfinite(error[kept])]
    # An error of zero is drawn at the lower end.
    paths = [plane.dots(finite.astype(np.float64), error[finite].clip(axis.low), "dots")]
    legend = [("dots", "largest error of a sample")]
    if lost.size:
        shown = lost[:MOST_DOTS].astype(np.float64)
        near_the_top = axis.high * (axis.low / axis.high) ** 0.03
        paths.append(plane.dots(shown, np.full(len(shown), near_the_top), "lost"))
        legend.append(("lost", f"without a result ({lost.size})"))
    beyond = int(np.count_nonzero(error > evidence.allowed))
    return Chart(
        "samples", "Error of each sample",
        f"The largest error of each of {len(error)} samples on a logarithmic scale; {beyond} are "
        f"beyond the {format_number(evidence.allowed)} allowed, {lost.size} have no result.",
        plane.height, plane=plane,
        caption="" if len(kept) == len(error) else f"{len(kept)} of {len(error)} samples drawn.",
        x_label="sample", y_label=f"largest |{DIFFERENCE}| (software units)",
        paths=tuple(paths), rules=(allowed_line(plane, evidence.allowed),), legend=tuple(legend),
    )  # fmt: skip


def _points(evidence: Evidence) -> tuple[FloatArray, FloatArray, str]:
    """Reference and circuit of the read-outs that are drawn, and what to say of the others."""
    known = np.isfinite(evidence.spice).all(axis=1)
    x, y = evidence.reference[known].ravel(), evidence.spice[known].ravel()
    kept = some_points(np.abs(y - x), MOST_DOTS)
    some = "" if len(kept) == len(x) else f"{len(kept)} of {len(x)} points drawn."
    return x[kept], y[kept], some
