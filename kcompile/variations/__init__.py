"""How real circuits differ from the ideal one: seeded draws of a network's graph."""

from kcompile.variations.devices import Arithmetic, Devices
from kcompile.variations.draw import Draw, draw, varied
from kcompile.variations.effect import Chance, Effect
from kcompile.variations.parameters import Stuck, Temperature
from kcompile.variations.specification import EFFECTS, Variations, describe, read_variations

__all__ = [
    "EFFECTS",
    "Arithmetic",
    "Chance",
    "Devices",
    "Draw",
    "Effect",
    "Stuck",
    "Temperature",
    "Variations",
    "describe",
    "draw",
    "read_variations",
    "varied",
]
