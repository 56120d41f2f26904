"""The paper's data: points, potentials, tables and images, made, fetched or read (no torch)."""

from kcompile.tasks.data.cache import cache_folder
from kcompile.tasks.data.fetching import fetch
from kcompile.tasks.data.images import IMAGE_SETS, Images, load_images
from kcompile.tasks.data.points import POINTS, draw
from kcompile.tasks.data.potentials import (
    POTENTIALS,
    Potential,
    get_potential,
    inside,
    log_density,
    log_normaliser,
    potential,
)
from kcompile.tasks.data.sources import SOURCES, Source, get_source
from kcompile.tasks.data.state import damage
from kcompile.tasks.data.tables import load_table

__all__ = [
    "IMAGE_SETS",
    "POINTS",
    "POTENTIALS",
    "SOURCES",
    "Images",
    "Potential",
    "Source",
    "cache_folder",
    "damage",
    "draw",
    "fetch",
    "get_potential",
    "get_source",
    "inside",
    "load_images",
    "load_table",
    "log_density",
    "log_normaliser",
    "potential",
]
