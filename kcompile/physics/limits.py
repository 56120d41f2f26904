"""What a process allows, and the unit system that makes the most of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from kcompile.errors import UsageError
from kcompile.ir import Graph
from kcompile.physics.trajectories import Statistics
from kcompile.quantities import format_si
from kcompile.units import Scale

_ROOM = 1e-9
"""What rounding may do to a value that lies on its limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a circuit may do.

    Args:
        swing: largest ``|v|`` of a node, volts. 0.5: nodes then use 1 V, which leaves 0.4 V on
            either side of a 1.8 V supply to the transistors that must stay saturated.
        i_max: largest current of an edge, amperes. 10 uA: a small transistor in moderate inversion.
        c_min: smallest capacitor, farads. 10 fF: about what a few edges' own junctions add, and
            the smallest metal capacitors of common processes.
        t_sample: shortest time from input to output, seconds: how often inputs can be sampled and
            outputs read. 1 ns: sample-and-hold circuits of some GS/s.
        t_switch: shortest time of a layer, seconds: how fast edges can be switched between layers.
        snr: least ratio of signal to noise at the read-outs, dB. 40: noise of 1 %.

    Raises:
        UsageError: one is not a positive, finite number (``snr`` may be negative).
    """

    swing: float = 0.5
    i_max: float = 1e-5
    c_min: float = 1e-14
    t_sample: float = 1e-9
    t_switch: float = 1e-9
    snr: float = 40.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or (value <= 0 and field.name != "snr"):
                raise UsageError(
                    f"{value!r}",
                    where="--" + field.name.replace("_", "-"),
                    hint="give a positive, finite number",
                )


@dataclass(frozen=True, slots=True)
class Check:
    """One limit and what a circuit does.

    Args:
        name: ``voltage``, ``current``, ``capacitance``, ``switching``, ``sampling`` or ``noise``.
        what: in words.
        option: that sets the limit.
        value: of the circuit; None: there is none (no noise).
        limit: what is allowed.
        unit: of both.
        at_least: whether the limit is a lower one.
        word: stands for a value that is no finite number: ``no noise``, ``no signal``,
            ``beyond measure``.
    """

    name: str
    what: str
    option: str
    value: float | None
    limit: float
    unit: str
    at_least: bool
    word: str | None = None

    @property
    def kept(self) -> bool:
        """Whether the circuit stays within it."""
        if self.value is None:
            return True
        room = _ROOM * abs(self.limit)
        if self.at_least:
            return self.value >= self.limit - room
        return self.value <= self.limit + room

    @property
    def found(self) -> str:
        """The circuit's value as people read it, or the word that stands for it."""
        return self.word or self._text(self.value)

    @property
    def allowed(self) -> str:
        """The limit as people read it."""
        return f"{'at least' if self.at_least else 'at most'} {self._text(self.limit)}"

    def _text(self, value: float | None) -> str:
        if value is not None and self.unit == "dB":
            return f"{value:.1f} dB"
        return format_si(value, self.unit, 3)


def checks(
    graph: Graph,
    found: Statistics,
    limits: Limits,
    scale: Scale,
    snr: float | None,
    no_ratio: str | None = None,
) -> tuple[Check, ...]:
    """Every limit beside what a circuit of some scale does.

    Args:
        graph: the circuit.
        found: its voltages and currents.
        limits: what is allowed.
        scale: the unit system.
        snr: at the read-outs, dB; None: there is no noise.
        no_ratio: why that is no finite number.
    """
    tau = scale.time_unit
    return (
        Check("voltage", "largest voltage of a node", "--swing", scale.v0 * found.voltage_peak,
              limits.swing, "V", at_least=False),
        Check("current", "largest current of an edge", "--i-max", scale.i0 * found.current_peak,
              limits.i_max, "A", at_least=False),
        Check("capacitance", "smallest capacitor", "--c-min",
              scale.c0 * float(graph.capacitance.min()), limits.c_min, "F", at_least=True),
        Check("switching", "shortest layer", "--t-switch", tau * min(found.durations),
              limits.t_switch, "s", at_least=True),
        Check("sampling", "time of an inference", "--t-sample", tau * found.duration,
              limits.t_sample, "s", at_least=True),
        Check("noise", "signal to noise", "--snr", snr, limits.snr, "dB", at_least=True,
              word=no_ratio),
    )  # fmt: skip


def units_within(found: Statistics, limits: Limits) -> tuple[float, float]:
    """The largest ``v0`` (volts) and ``i0`` (amperes) within the limits, to three digits.

    A network without voltages or currents takes any; then it is the limit itself.
    """
    v0 = limits.swing / (found.voltage_peak or 1.0)
    i0 = limits.i_max / (found.current_peak or 1.0)
    return rounded(v0, math.floor), rounded(i0, math.floor)


def least_capacitance(
    graph: Graph, found: Statistics, limits: Limits, v0: float, i0: float
) -> tuple[float, str]:
    """The smallest ``c0`` (farads) that capacitors and times allow, and the limit that it meets.

    Args:
        graph: the circuit.
        found: its voltages and currents.
        limits: what is allowed.
        v0, i0: the other units.
    """
    per_second = i0 / v0
    least = {
        "capacitance": limits.c_min / float(graph.capacitance.min()),
        "sampling": limits.t_sample / found.duration * per_second,
        "switching": limits.t_switch / min(found.durations) * per_second,
    }
    name = max(least, key=lambda each: least[each])
    return rounded(least[name], math.ceil), name


def rounded(value: float, towards: Callable[[float], int]) -> float:
    """A positive value to three digits.

    Args:
        value: any positive number.
        towards: ``math.floor`` or ``math.ceil``.
    """
    exponent = math.floor(math.log10(value)) - 2
    digits = value / 10.0**exponent
    # 0.125 is 124.99999999999999 thousandths: what is a whole number but for rounding is one.
    near = round(digits)
    whole = near if abs(digits - near) < 1e-9 * digits else towards(digits)
    return float(f"{whole}e{exponent}")
