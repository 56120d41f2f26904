"""The four nonlinearities of the canonical edge law."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from kcompile.ir.arrays import FloatArray

LEAKY_SLOPE = 0.01
"""Slope of ``leaky_relu`` below zero, as the published laws use it."""


class Phi(StrEnum):
    """The nonlinearity of ``w * phi(a*v_src + b*v_dst + c)``."""

    RELU = "relu"
    TANH = "tanh"
    LEAKY_RELU = "leaky_relu"
    IDENTITY = "identity"

    @property
    def piecewise_linear(self) -> bool:
        """Whether phi is linear on each side of zero."""
        return self is not Phi.TANH

    @property
    def slope_below(self) -> float:
        """Slope for negative arguments of a piecewise-linear phi (above, it is 1)."""
        return {Phi.RELU: 0.0, Phi.LEAKY_RELU: LEAKY_SLOPE, Phi.IDENTITY: 1.0}[self]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Phi of every element of ``x``, same shape."""
        if self is Phi.TANH:
            return np.tanh(x)
        if self is Phi.IDENTITY:
            return np.asarray(x)
        return np.maximum(x, self.slope_below * x)
