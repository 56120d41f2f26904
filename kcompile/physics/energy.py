"""What an inference costs in joules, out of the integrals of edge currents and voltages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcompile.physics.sample import SampleFigures
from kcompile.units import Scale

FORMULA = "docs/physics.md#energy"
"""Where the formulas are explained."""


def energy_unit(scale: Scale) -> float:
    """Joules per software unit of energy, ``c0 v0^2``."""
    return scale.c0 * scale.v0**2


def supply_span(samples: Sequence[SampleFigures]) -> float:
    """The range of all voltages, ground counted: the least supply that nodes move within."""
    return max(s.highest for s in samples) - min(s.lowest for s in samples)


def energy_estimate(
    samples: Sequence[SampleFigures], duration: float, scale: Scale, span: float | None = None
) -> dict[str, Any]:
    """The energy of an inference as a flat mapping; keys end in their unit.

    ``dissipated_j``
        what edges take out of the nodes they join and turn into heat.
    ``supplied_j``
        what edges bring in that drive a current against its voltage: they need a supply.
    ``stored_change_j``
        what the capacitors gain meanwhile, which is the difference of those two.
    ``supply_estimate_j``
        every edge's current, and the charge of every voltage that is put onto a node, drawn
        across a supply of ``supply_span_v``.
    ``supply_with_tails_j``
        the same where tanh edges are differential pairs whose tail currents ``|w|`` always flow.
    ``mean_power_w``, ``mean_power_with_tails_w``
        those, over the time of an inference.

    Args:
        samples: whose mean is given; one or more.
        duration: software time from input to output.
        scale: the unit system.
        span: of the supply, software units; None: ``supply_span``.
    """
    count = len(samples)
    width = supply_span(samples) if span is None else span
    charge = sum(sample.charge for sample in samples) / count
    written = sum(sample.written_charge for sample in samples) / count
    unit = energy_unit(scale)
    drawn = sum(sample.drawn for sample in samples) / count
    supply, with_tails = (unit * width * (moved + written) for moved in (charge, drawn))
    seconds = duration * scale.time_unit
    return {
        "estimate": True,
        "formula": FORMULA,
        "samples": count,
        "dissipated_j": unit * sum(sample.dissipated for sample in samples) / count,
        "supplied_j": unit * sum(sample.supplied for sample in samples) / count,
        "stored_change_j": unit * sum(sample.stored_change for sample in samples) / count,
        "supply_span_v": scale.v0 * width,
        "supply_estimate_j": supply,
        "supply_with_tails_j": with_tails,
        "mean_power_w": supply / seconds,
        "mean_power_with_tails_w": with_tails / seconds,
        "relative_error": max(sample.error for sample in samples),
    }
