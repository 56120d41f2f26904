"""The circuit graph: types, validation, dv/dt, digest, and the networkx view."""

from kcompile.ir.arrays import FloatArray, IndexArray, OffsetArray
from kcompile.ir.continuity import require_continuous
from kcompile.ir.digest import digest
from kcompile.ir.dynamics import derivative, edge_currents, hand_over, phase_output
from kcompile.ir.graph import COEFFICIENTS, EdgeBatch, Fill, Graph, Phase
from kcompile.ir.injected import Injected
from kcompile.ir.laws import LAWS, Coefficients, Law, get_law
from kcompile.ir.orientation import (
    Oriented,
    distinct,
    oriented,
    pair_ends,
    pair_numbers,
    unordered_pairs,
)
from kcompile.ir.phi import LEAKY_SLOPE, Phi
from kcompile.ir.tables import Tables
from kcompile.ir.trace import Trace
from kcompile.ir.validate import validate
from kcompile.ir.view import to_networkx, write_graphml

__all__ = [
    "COEFFICIENTS",
    "LAWS",
    "LEAKY_SLOPE",
    "Coefficients",
    "EdgeBatch",
    "Fill",
    "FloatArray",
    "Graph",
    "IndexArray",
    "Injected",
    "Law",
    "OffsetArray",
    "Oriented",
    "Phase",
    "Phi",
    "Tables",
    "Trace",
    "derivative",
    "digest",
    "distinct",
    "edge_currents",
    "get_law",
    "hand_over",
    "oriented",
    "pair_ends",
    "pair_numbers",
    "phase_output",
    "require_continuous",
    "to_networkx",
    "unordered_pairs",
    "validate",
    "write_graphml",
]
