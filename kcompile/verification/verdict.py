"""The verdict: whether the circuit computes what the reference says, and if not, why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray
from kcompile.reference import Reference
from kcompile.verification.metrics import OutputErrors

_NAMED = 3
"""Most samples of a kind that a reason names."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Pass or fail.

    Args:
        reasons: one line each; none means pass.
    """

    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the circuit."""
        return not self.reasons

    @property
    def word(self) -> str:
        """``pass`` or ``fail``."""
        return "pass" if self.passed else "fail"

    @property
    def reason(self) -> str | None:
        """All reasons in one text, or None."""
        return "; ".join(self.reasons) or None


def judge(
    errors: OutputErrors,
    problems: Sequence[str | None],
    reference: Reference,
    nodes: Sequence[int],
    *,
    further: Sequence[str] = (),
) -> Verdict:
    """The verdict on all samples.

    It is a pass if every sample ran as planned, the reference is certified, and the largest error
    is at most ``tolerance * max(1, peak)``, peak being the largest read-out of the reference.

    Args:
        errors: at the read-outs.
        problems: for each of the S samples what was wrong with its run, or None.
        reference: what was judged against, with the tolerance.
        nodes: numbers of the M read-out nodes.
        further: reasons that speak against all samples alike.
    """
    reasons = [*further]
    allowed = reference.absolute_tolerance
    excess = _excess(errors, allowed, nodes)
    if excess is not None:
        reasons.append(excess)
    bad = [(index, problem) for index, problem in enumerate(problems) if problem is not None]
    reasons += [f"sample {index}: {problem}" for index, problem in bad[:_NAMED]]
    if len(bad) > _NAMED:
        reasons.append(f"{len(bad)} of {len(problems)} samples did not run as planned")
    silent = np.flatnonzero(~np.isfinite(errors.max_abs))
    unexplained = [index for index in silent.tolist() if problems[index] is None]
    if unexplained:
        reasons.append(f"samples without a result: {_enumerate(unexplained)}")
    if reference.reason is not None:
        reasons.append(reference.reason)
    return Verdict(tuple(reasons))


def _excess(errors: OutputErrors, allowed: float, nodes: Sequence[int]) -> str | None:
    largest = errors.overall_max
    if largest is None or errors.worst is None or largest <= allowed:
        return None
    sample, output = errors.worst
    beyond = int(np.count_nonzero(_known(errors.max_abs) > allowed))
    return (
        f"sample {sample}, node n{nodes[output]} is off by {largest:.3g}, "
        f"{largest / allowed:.3g} times the {allowed:.3g} allowed"
        + (f" ({beyond} samples are beyond it)" if beyond > 1 else "")
    )


def _known(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


def _enumerate(indices: Sequence[int]) -> str:
    named = ", ".join(map(str, indices[:_NAMED]))
    return named if len(indices) <= _NAMED else f"{named}, ... ({len(indices)} in all)"
