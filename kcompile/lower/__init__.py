"""Graph and device family to netlist elements."""

from kcompile.lower.description import family_names, preset_names, read_family
from kcompile.lower.family import PRESET_SIGN, FamilySpec, Form
from kcompile.lower.gating import single_deck
from kcompile.lower.lower import lower
from kcompile.lower.parameters import Parameter, Preset
from kcompile.lower.tables import PiecewiseLinear, piecewise_linear

__all__ = [
    "PRESET_SIGN",
    "FamilySpec",
    "Form",
    "Parameter",
    "PiecewiseLinear",
    "Preset",
    "family_names",
    "lower",
    "piecewise_linear",
    "preset_names",
    "read_family",
    "single_deck",
]
