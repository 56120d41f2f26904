"""One sentence on whether a network could be built, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcompile.physics.limits import Check
from kcompile.quantities import format_si

_SETS_C0 = {
    "capacitance": "the smallest capacitor",
    "switching": "the time that edges take to be switched between layers",
    "sampling": "the time that sampling takes",
    "noise": "noise",
}


def verdict(figures: Mapping[str, Any], checks: Sequence[Check], limited_by: Sequence[str]) -> str:
    """Whether a circuit keeps its limits, how fast and costly it is, and what limits it.

    Args:
        figures: of the circuit.
        checks: its limits.
        limited_by: of a recommended scale: the limits that set v0, i0 and c0; else empty.
    """
    broken = [check for check in checks if not check.kept]
    if broken:
        return "beyond the limits: " + "; ".join(map(_breach, broken))
    time = format_si(figures["inference_time_s"], "s", 3)
    energy = format_si(figures["energy"]["supply_estimate_j"], "J", 3)
    text = f"within all limits: {time} and about {energy} an inference"
    if not limited_by:
        return text
    options = {check.name: check.option for check in checks}
    last = limited_by[-1]
    return (
        f"{text}; {options['voltage']} limits the voltages, {options['current']} the currents, "
        f"and {_SETS_C0[last]} ({options[last]}) keeps capacitors from being smaller"
    )


def _breach(check: Check) -> str:
    colon = ":" if check.word else ""
    return f"{check.what}{colon} {check.found}, {check.allowed} ({check.option})"
