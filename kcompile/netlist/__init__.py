"""Netlist elements to text, the ngspice dialect, or to PySpice objects."""

from kcompile.netlist.elements import (
    Attachment,
    Circuit,
    Column,
    ElementTable,
    Family,
    Layer,
    SingleDeck,
    Start,
    Traced,
    node_names,
)
from kcompile.netlist.ngspice import (
    ENTRY,
    INPUTS,
    SINGLE_WAVEFORM,
    DeckFiles,
    format_inputs,
    layer_file,
    layer_waveform,
    write_decks,
)
from kcompile.netlist.pyspice import to_pyspice

__all__ = [
    "ENTRY",
    "INPUTS",
    "SINGLE_WAVEFORM",
    "Attachment",
    "Circuit",
    "Column",
    "DeckFiles",
    "ElementTable",
    "Family",
    "Layer",
    "SingleDeck",
    "Start",
    "Traced",
    "format_inputs",
    "layer_file",
    "layer_waveform",
    "node_names",
    "to_pyspice",
    "write_decks",
]
