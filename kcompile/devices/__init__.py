"""Our own simulator devices in C, behind the OSDI interface: one an edge, a pair, or a layer.

``native/`` holds their source; the package's build compiles it. A deck loads a copy of the library
that lies beside it, with side files that say what a layer holds.
"""

from kcompile.devices.library import library, require_library
from kcompile.devices.sidefile import PHIS, Gates, Grain, PairData, encode, join

__all__ = ["PHIS", "Gates", "Grain", "PairData", "encode", "join", "library", "require_library"]
