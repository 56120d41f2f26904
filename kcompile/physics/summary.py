"""A plan in short: rows of a table that stand beside those of the paper's scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcompile.physics.plan import CircuitPlan
from kcompile.quantities import format_si

_FIGURES: tuple[tuple[str, str, str], ...] = (
    ("time unit", "time_unit_s", "s"),
    ("time of an inference", "inference_time_s", "s"),
    ("lowest voltage", "voltage_lowest_v", "V"),
    ("highest voltage", "voltage_highest_v", "V"),
    ("rms voltage", "voltage_rms_v", "V"),
    ("largest slew", "slew_peak_v_per_s", "V/s"),
    ("largest current of an edge", "edge_current_peak_a", "A"),
    ("rms current of an edge", "edge_current_rms_a", "A"),
    ("all currents, peak", "total_current_peak_a", "A"),
    ("all currents, rms", "total_current_rms_a", "A"),
    ("smallest capacitor", "smallest_capacitor_f", "F"),
    ("all capacitors", "total_capacitance_f", "F"),
    ("electrons on the smallest capacitor, peak", "node_peak_electrons", ""),
    ("electrons of an edge, mean", "edge_mean_electrons", ""),
)

_ENERGY: tuple[tuple[str, str, str], ...] = (
    ("energy turned into heat by edges", "dissipated_j", "J"),
    ("energy that active edges bring in", "supplied_j", "J"),
    ("energy of an inference, estimate", "supply_estimate_j", "J"),
    ("mean power, estimate", "mean_power_w", "W"),
)

_TAILS: tuple[tuple[str, str, str], ...] = (
    ("energy with the tails of tanh pairs", "supply_with_tails_j", "J"),
    ("mean power with the tails of tanh pairs", "mean_power_with_tails_w", "W"),
)


def plan_rows(found: CircuitPlan) -> list[tuple[str, str, str]]:
    """Label, figure of the plan's scale, figure of the paper's."""
    scale = found.scale
    rows = [("v0, i0, c0", _units(scale.v0, scale.i0, scale.c0), _units(1.0, 1.0, 1e-15))]
    rows += _side_by_side(_FIGURES, found.figures, found.paper)
    energy, of_paper = found.figures["energy"], found.paper["energy"]
    rows += _side_by_side(_ENERGY, energy, of_paper)
    if energy["supply_with_tails_j"] != energy["supply_estimate_j"]:
        rows += _side_by_side(_TAILS, energy, of_paper)
    rows += [(label, text, "") for label, text in (*_noise(found), *_quality(found))]
    return rows


def _units(v0: float, i0: float, c0: float) -> str:
    units = ((v0, "V"), (i0, "A"), (c0, "F"))
    return ", ".join(format_si(value, unit, 3) for value, unit in units)


def _side_by_side(
    figures: tuple[tuple[str, str, str], ...], one: Mapping[str, Any], other: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    return [
        (label, format_si(one[key], unit, 3), format_si(other[key], unit, 3))
        for label, key, unit in figures
    ]


def _noise(found: CircuitPlan) -> list[tuple[str, str]]:
    figures = found.noise_figures
    celsius = f"{found.noise_model.celsius:g} C"

    def volts(key: str) -> str:
        return format_si(figures[key], "V", 3)

    snr, worst = figures["snr_db"], figures["worst_snr_db"]
    ratio = found.noise.no_ratio or f"{snr:.1f} dB (+- {figures['snr_error_db']:.1f})"
    ratio += "" if worst is None else f", worst {worst:.1f} dB"
    return [
        (f"sqrt(kT/C) of the smallest capacitor, {celsius}", volts("kt_over_c_v")),
        ("read-outs, rms", volts("signal_rms_v")),
        ("their noise, of sampled voltages", volts("sampled_noise_rms_v")),
        ("their noise, of edge currents", volts("current_noise_rms_v")),
        ("signal to noise of the median sample", ratio),
    ]


def _quality(found: CircuitPlan) -> list[tuple[str, str]]:
    known = found.quality
    if known is None:
        return []
    spread = "" if known.with_noise_sd is None else f" (sd of draws {known.with_noise_sd:.2g})"
    rows = [(f"{known.metric} without noise, with it",
             f"{known.without_noise:.5g}, {known.with_noise:.5g}{spread}")]  # fmt: skip
    if known.change_interval is not None:
        low, high = known.change_interval
        rows.append(("its change, 95 % interval", f"{known.change:.2g}, {low:.2g} to {high:.2g}"))
    return rows
