"""What a network computes when nothing depends on its solver."""

from __future__ import annotations

from kcompile.ir import FloatArray
from kcompile.nn import Converged, KirchhoffNet, converge


def converged_solution(net: KirchhoffNet, inputs: FloatArray, tolerance: float = 1e-6) -> Converged:
    """The outputs of the circuit equations themselves (behind the head), ``float64[S, M]``."""
    return converge(net, inputs, lambda net, x, solver: net(x, solver).flatten(1), tolerance)
