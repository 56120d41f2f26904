"""Charts over time: voltages and errors of the sample whose waveforms were kept."""

from __future__ import annotations

import numpy as np

from kcompile.ir import FloatArray
from kcompile.quantities import format_number, si_prefix
from kcompile.verification.evidence import Evidence
from kcompile.verification.html.axis import DIFFERENCE, Axis, labelled, linear_axis, log_axis
from kcompile.verification.html.chart import Chart, Line, Path, Plane, allowed_line, enumerate_nodes
from kcompile.verification.thinning import error_limits, some_nodes

MOST_CURVES = 8
_HEIGHT = 270.0
_MOST_NAMED, _MOST_NUMBERED = 4, 12
"""Most layers that there is room to name, or to number."""


def waveforms(evidence: Evidence) -> Chart:
    """Voltages of the read-out nodes, the circuit's on top of the reference's."""
    return _voltages(evidence, "waveforms", "Voltages of the read-out nodes", evidence.nodes)


def inner_waveforms(evidence: Evidence) -> Chart:
    """The same of the other nodes."""
    return _voltages(evidence, "inner", "Voltages of the inner nodes", inner_nodes(evidence))


def inner_nodes(evidence: Evidence) -> tuple[int, ...]:
    """The nodes that are not read out, of all phases."""
    most = max((wave.spice.shape[1] for wave in evidence.waves), default=0)
    read = set(evidence.nodes)
    return tuple(node for node in range(1, most + 1) if node not in read)


def _voltages(evidence: Evidence, name: str, title: str, nodes: tuple[int, ...]) -> Chart:
    some = some_nodes(nodes, MOST_CURVES)
    drawn = [
        (wave, node, k)
        for k, node in enumerate(some)
        for wave in evidence.waves
        if node <= wave.spice.shape[1]
    ]
    values = [v[:, node - 1] for wave, node, _ in drawn for v in (wave.spice, wave.reference)]
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    axis = linear_axis(low, high, padding=0.05)
    time, unit, size = _time_axis(evidence)
    plane = Plane(time, axis, _HEIGHT, tagged=True)
    paths: list[Path] = []
    for kind, label in (("ode", "ODE"), ("spice", "SPICE")):
        for wave, node, k in drawn:
            voltage = (wave.reference if kind == "ode" else wave.spice)[:, node - 1]
            paths.append(
                plane.curve(wave.seconds / size, voltage, f"{kind} c{k}", f"n{node}, {label}")
            )
    last = {node: float(wave.spice[-1, node - 1]) for wave, node, _ in drawn}
    ends = [(last[node], f"n{node}", f"c{k}") for k, node in enumerate(some) if node in last]
    chosen = "" if len(some) == len(nodes) else f" {len(some)} of {len(nodes)} nodes are drawn."
    layers = "" if len(evidence.waves) < 2 else " Dotted lines part the layers."
    return Chart(
        name, title,
        f"Voltages of {enumerate_nodes(some)} over time: dashed the circuit's, wide the "
        "equations', which it covers where they agree.",
        plane.height, caption=f"Sample {evidence.sample}.{layers}{chosen}", plane=plane,
        x_label=f"time in the circuit ({unit})", y_label=labelled("voltage", axis),
        paths=tuple(paths), borders=_borders(plane, evidence, size), tags=plane.tags(ends),
        legend=(("ode", "ODE (reference)"), ("spice", "SPICE")),
    )  # fmt: skip


def error_over_time(evidence: Evidence) -> Chart:
    """|SPICE - ODE|: the largest and the rms of all nodes, and the largest read-out."""
    names = {"most": "largest of all nodes", "rms": "rms of all nodes"}
    if inner_nodes(evidence):
        names["judged"] = "largest of the read-out nodes"
    curves = {kind: [_error(wave.spice - wave.reference, kind, evidence.nodes)
                     for wave in evidence.waves] for kind in names}  # fmt: skip
    values = np.concatenate([each for kind in names for each in curves[kind]])
    time, unit, size = _time_axis(evidence)
    plane = Plane(time, log_axis(*error_limits(values, evidence.allowed)), _HEIGHT)
    paths = tuple(
        plane.curve(wave.seconds / size, curve, kind, names[kind])
        for kind in names
        for wave, curve in zip(evidence.waves, curves[kind], strict=True)
    )
    return Chart(
        "error", "Error over time",
        "The difference between circuit and equations over time, on a logarithmic scale. Largest "
        f"of all: {format_number(float(np.nanmax(values)))}; allowed at the end: "
        f"{format_number(evidence.allowed)}.",
        plane.height, caption=f"Sample {evidence.sample}. Judged are the read-outs at the end.",
        plane=plane,
        x_label=f"time in the circuit ({unit})", y_label=f"|{DIFFERENCE}| (software units)",
        paths=paths, borders=_borders(plane, evidence, size),
        rules=(allowed_line(plane, evidence.allowed),), legend=tuple(names.items()),
    )  # fmt: skip


def _error(difference: FloatArray, kind: str, nodes: tuple[int, ...]) -> FloatArray:
    """One number for each instant, ``float64[P]``, of differences ``float64[P, N]``."""
    if kind == "rms":
        return np.sqrt(np.mean(difference**2, axis=1))
    if kind == "judged":
        columns = [node - 1 for node in nodes if node <= difference.shape[1]]
        if not columns:
            return np.full(len(difference), np.nan)
        difference = difference[:, columns]
    return np.abs(difference).max(axis=1)


def _time_axis(evidence: Evidence) -> tuple[Axis, str, float]:
    """Circuit time from 0 to the end, its unit, and what that is in seconds."""
    end = float(evidence.waves[-1].seconds[-1])
    size, prefix = si_prefix(end)
    return linear_axis(0.0, end / size), f"{prefix}s", size


def _borders(plane: Plane, evidence: Evidence, size: float) -> tuple[Line, ...]:
    """Where layers begin, with their numbers."""
    count = len(evidence.waves)
    if count < 2:
        return ()
    name = "layer {}" if count <= _MOST_NAMED else "{}" if count <= _MOST_NUMBERED else ""
    return tuple(
        Line(float(plane.across(wave.seconds[0] / size)), name.format(k), "border")
        for k, wave in enumerate(evidence.waves, 1)
    )
