"""Netlist elements to text, in the dialect of ngspice or Spectre, or to PySpice objects."""

from kcompile.netlist.computed import Computed
from kcompile.netlist.dialects import DIALECTS, format_inputs, write_decks
from kcompile.netlist.elements import (
    Attachment,
    Circuit,
    Column,
    ElementTable,
    Family,
    Gate,
    Injection,
    Layer,
    Pulse,
    SingleDeck,
    Start,
    Traced,
    gate_name,
    node_names,
)
from kcompile.netlist.ngspice import (
    ENTRY,
    INPUTS,
    SINGLE_WAVEFORM,
    layer_file,
    layer_waveform,
)
from kcompile.netlist.pyspice import to_pyspice
from kcompile.netlist.writing import DeckFiles

__all__ = [
    "DIALECTS",
    "ENTRY",
    "INPUTS",
    "SINGLE_WAVEFORM",
    "Attachment",
    "Circuit",
    "Column",
    "Computed",
    "DeckFiles",
    "ElementTable",
    "Family",
    "Gate",
    "Injection",
    "Layer",
    "Pulse",
    "SingleDeck",
    "Start",
    "Traced",
    "format_inputs",
    "gate_name",
    "layer_file",
    "layer_waveform",
    "node_names",
    "to_pyspice",
    "write_decks",
]
