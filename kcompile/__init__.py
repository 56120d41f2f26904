"""kcompile: trained KirchhoffNets as SPICE circuits, and whether the circuit computes the network.

The functions here do what the commands do and suit a notebook::

    import kcompile

    model = kcompile.load("model.pt")
    deck = kcompile.write_netlist(model, "deck", scale=1e-15)
    report = kcompile.verify(model, scale=1e-15, samples=8)
    report.plot()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kcompile.api import (
        Simulation,
        compile,
        evaluate,
        inspect,
        montecarlo,
        plan,
        pyspice_circuit,
        sample,
        simulate,
        sweep,
        verify,
        write_netlist,
    )
    from kcompile.compiler import Compiled, CompileOptions
    from kcompile.errors import KcompileError
    from kcompile.frontend import Model, load
    from kcompile.physics import CircuitPlan, Limits, NoiseModel
    from kcompile.timing import Timing
    from kcompile.units import Scale
    from kcompile.verification import Report

__version__ = "0.1.0"

__all__ = [
    "CircuitPlan",
    "CompileOptions",
    "Compiled",
    "KcompileError",
    "Limits",
    "Model",
    "NoiseModel",
    "Report",
    "Scale",
    "Simulation",
    "Timing",
    "__version__",
    "compile",
    "evaluate",
    "inspect",
    "load",
    "montecarlo",
    "plan",
    "pyspice_circuit",
    "sample",
    "simulate",
    "sweep",
    "verify",
    "write_netlist",
]

_HOMES = {
    "CompileOptions": "kcompile.compiler",
    "Compiled": "kcompile.compiler",
    "KcompileError": "kcompile.errors",
    "Model": "kcompile.frontend",
    "load": "kcompile.frontend",
    "CircuitPlan": "kcompile.physics",
    "Limits": "kcompile.physics",
    "NoiseModel": "kcompile.physics",
    "Report": "kcompile.verification",
    "Scale": "kcompile.units",
    "Timing": "kcompile.timing",
}


def __getattr__(name: str) -> Any:
    """Public names, imported on first use, so that ``import kcompile`` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'kcompile' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "kcompile.api")), name)
    globals()[name] = value
    return value
