"""dv/dt of a layer and its adjoint as compiled C++: numpy arrays in and out, no torch.

No array of edges by samples is ever made. Where the package was built without a compiler,
``chosen()`` is None and callers use their own plain form.
"""

from kcompile.kernels.layer import Coefficients, CompiledLayer, Reals, Wiring, compiled_phase
from kcompile.kernels.library import TRITON, VARIABLE, Suite, chosen, failure, suites
from kcompile.kernels.threads import THREADS, workers

__all__ = [
    "THREADS",
    "TRITON",
    "VARIABLE",
    "Coefficients",
    "CompiledLayer",
    "Reals",
    "Suite",
    "Wiring",
    "chosen",
    "compiled_phase",
    "failure",
    "suites",
    "workers",
]
