"""Graph and device family to netlist elements."""

from kcompile.lower.family import FamilySpec, Form, Parameter, family_names, read_family
from kcompile.lower.lower import lower, single_deck
from kcompile.lower.tables import PiecewiseLinear, piecewise_linear

__all__ = [
    "FamilySpec",
    "Form",
    "Parameter",
    "PiecewiseLinear",
    "family_names",
    "lower",
    "piecewise_linear",
    "read_family",
    "single_deck",
]
