"""How finely to simulate: measured on one sample, from the accuracy that is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

from kcompile.simulation import Transient
from kcompile.verification.sections import CalibrationSection, TrialSection

TRTOL = 7000.0
"""Leaves the step to its cap: the error then falls with a power of it that can be measured."""

CHEAP, FINER = 40, 80
"""Steps a layer of the two trials."""

MARGIN = 4.0
"""How far below the allowed error the first sample is to be: others may be harder."""

_FEWEST, _MOST = CHEAP, 20_000
_ORDERS = (1.0, 2.0)
"""Least and largest order of convergence that is built on; the trapezoidal rule's is 2."""

_GUESS = 400
"""Steps where the two trials show no order."""

GAIN = 1.3
"""Twice the steps that lower the error by less than that are not worth it (of order 2 it is 4):
what is left is not the steps' error."""

_LOOSEST, _TIGHTEST = 1e-4, 1e-10
_SHARE = 1e-3
"""Newton's tolerance relative to the comparison's: its errors add up over the steps."""


def transient_of(calibration: CalibrationSection, factor: int = 1) -> Transient:
    """What sessions are told; with a factor, so many times finer."""
    return Transient(calibration.steps * factor, calibration.reltol / factor, calibration.trtol)


def calibrate(
    simulate: Callable[[Transient], TrialSection], allowed: float, tolerance: float
) -> CalibrationSection:
    """The cheapest settings whose error on the first sample is ``MARGIN`` below what is allowed.

    Two trials show the order of convergence; a third one with the steps that follow from it
    confirms them, and if it does not, the steps are doubled until one does.

    Args:
        simulate: runs the first sample.
        allowed: the error allowed, software units.
        tolerance: the same relative to the read-outs, from which Newton's tolerance follows.
    """
    reltol = min(_LOOSEST, max(_TIGHTEST, _SHARE * tolerance))
    target = allowed / MARGIN

    def run(steps: int) -> TrialSection:
        return simulate(Transient(steps, reltol, TRTOL))

    trials = [run(CHEAP), run(FINER)]
    order = _order(trials[0], trials[1])
    steps = _steps(trials[1], order, target)
    trials.append(run(steps))
    while trials[-1].error > target and 2 * steps <= _MOST:
        finer = run(2 * steps)
        if finer.error * GAIN > trials[-1].error:
            break
        trials.append(finer)
        steps *= 2
    return CalibrationSection(steps, reltol, TRTOL, order, tuple(trials))


def _order(cheap: TrialSection, finer: TrialSection) -> float | None:
    """The observed order of convergence; None where there is nothing to be seen."""
    if not (cheap.error > 0 and finer.error > 0):
        return None
    return math.log(cheap.error / finer.error) / math.log(finer.steps / cheap.steps)


def _steps(finer: TrialSection, order: float | None, target: float) -> int:
    if order is None:
        return CHEAP if finer.error <= target else FINER
    if order < _ORDERS[0] / 2:
        return _GUESS  # steps hardly matter, as far as can be seen
    power = min(max(order, _ORDERS[0]), _ORDERS[1])
    wanted = finer.steps * (finer.error / target) ** (1 / power) if target > 0 else _MOST
    return int(min(max(math.ceil(wanted / 5) * 5, _FEWEST), _MOST))
