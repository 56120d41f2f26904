"""The named device laws and how their parameter rows map to the canonical edge law.

The mapping is written with plain operators, so that it serves numpy arrays (compilation) and
torch tensors (training) alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcompile.errors import CheckpointError
from kcompile.ir.phi import Phi


@dataclass(frozen=True, slots=True)
class Coefficients:
    """``w, a, b, c`` of the canonical law: each one number or ``[E]``."""

    w: Any
    a: Any
    b: Any
    c: Any


@dataclass(frozen=True, slots=True)
class Law:
    """A named law: ``current = w * phi(a*v_src + b*v_dst + c)`` out of parameter rows.

    Args:
        name: how checkpoints and options call it.
        phi: the nonlinearity.
        rows: P, how many parameter rows it stores.
        coefficients: maps the rows ``[P, E]`` to ``Coefficients``.
        formula: the current as a reader would write it, with ``p0, p1, ...`` for the rows.
    """

    name: str
    phi: Phi
    rows: int
    coefficients: Callable[[Any], Coefficients]
    formula: str


def _diff(p: Any) -> Coefficients:
    return Coefficients(1.0, p[0], -p[0], p[1])


def _affine(p: Any) -> Coefficients:
    return Coefficients(1.0, p[0], p[1], p[2])


def _shifted(p: Any) -> Coefficients:
    return Coefficients(p[1], 1.0, -1.0, -p[0])


def _conductance(p: Any) -> Coefficients:
    return Coefficients(p[0], 1.0, -1.0, 0.0)


def _canonical(p: Any) -> Coefficients:
    return Coefficients(p[0], p[1], p[2], p[3])


def _table() -> dict[str, Law]:
    relu, tanh, leaky = Phi.RELU, Phi.TANH, Phi.LEAKY_RELU
    laws = [
        Law("relu_diff", relu, 2, _diff, "relu(p0*(vs - vd) + p1)"),  # Eq. (10)
        Law("tanh_diff", tanh, 2, _diff, "tanh(p0*(vs - vd) + p1)"),  # Eq. (11)
        Law("relu_affine", relu, 3, _affine, "relu(p0*vs + p1*vd + p2)"),  # Eq. (12)
        Law("tanh_affine", tanh, 3, _affine, "tanh(p0*vs + p1*vd + p2)"),  # Eq. (13)
        Law("leaky_relu_diff", leaky, 2, _diff, "leaky_relu(p0*(vs - vd) + p1)"),
        Law("leaky_relu_affine", leaky, 3, _affine, "leaky_relu(p0*vs + p1*vd + p2)"),
        Law("shift_relu", relu, 2, _shifted, "p1 * relu(vs - vd - p0)"),
        Law("shift_leaky_relu", leaky, 2, _shifted, "p1 * leaky_relu(vs - vd - p0)"),
        Law("conductance", Phi.IDENTITY, 1, _conductance, "p0 * (vs - vd)"),
    ]
    laws.append(Law("identity_diff", Phi.IDENTITY, 2, _diff, "p0*(vs - vd) + p1"))
    laws.append(Law("identity_affine", Phi.IDENTITY, 3, _affine, "p0*vs + p1*vd + p2"))
    # A graph without a named law: every coefficient is a parameter of its own.
    laws += [
        Law(f"canonical_{phi}", phi, 4, _canonical, f"p0 * {phi}(p1*vs + p2*vd + p3)")
        for phi in Phi
    ]
    return {law.name: law for law in laws}


LAWS = _table()
"""Every law by name."""


def get_law(name: str) -> Law:
    """The law called ``name``.

    Raises:
        CheckpointError: there is no such law.
    """
    try:
        return LAWS[name]
    except (KeyError, TypeError):
        raise CheckpointError(
            f"unknown law {name!r}", hint=f"known laws: {', '.join(sorted(LAWS))}"
        ) from None
