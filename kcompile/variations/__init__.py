"""How real circuits differ from the ideal one: seeded draws of a network's graph."""

from kcompile.variations.devices import Arithmetic, Devices
from kcompile.variations.draw import Draw, draw, stuck_on, varied, with_effects
from kcompile.variations.effect import Chance, Effect
from kcompile.variations.parameters import Stuck, Temperature
from kcompile.variations.specification import EFFECTS, Variations, describe, read_variations
from kcompile.variations.surroundings import LEAKS, Capacitors, Leakage, OutputConductance
from kcompile.variations.terminals import Converter, Input, ReadOut

__all__ = [
    "EFFECTS",
    "LEAKS",
    "Arithmetic",
    "Capacitors",
    "Chance",
    "Converter",
    "Devices",
    "Draw",
    "Effect",
    "Input",
    "Leakage",
    "OutputConductance",
    "ReadOut",
    "Stuck",
    "Temperature",
    "Variations",
    "describe",
    "draw",
    "read_variations",
    "stuck_on",
    "varied",
    "with_effects",
]
