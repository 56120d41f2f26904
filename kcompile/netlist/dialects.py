"""Which dialect a circuit is written in: its device family says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kcompile.netlist import ngspice, spectre
from kcompile.netlist.elements import Circuit
from kcompile.netlist.writing import DeckFiles

_Volts = NDArray[np.float64]


@dataclass(frozen=True)
class _Dialect:
    write: Callable[[Circuit, Path, _Volts], DeckFiles]
    inputs: Callable[[Circuit, _Volts], str]


_DIALECTS = {
    "ngspice": _Dialect(ngspice.write_decks, ngspice.format_inputs),
    "spectre": _Dialect(spectre.write_decks, spectre.format_inputs),
}

DIALECTS = tuple(_DIALECTS)
"""Their names; the first is what is simulated here."""


def write_decks(circuit: Circuit, folder: Path, initial: _Volts) -> DeckFiles:
    """Writes a circuit's decks into ``folder``, all of them or none, in its family's dialect.

    Args:
        circuit: what to write.
        folder: made where it is missing; what an earlier netlist left there does not stay.
        initial: ``float64[inputs]``, the input voltages in volts.

    Raises:
        PdkError: a row template is bad.
        StorageError: a file cannot be written.
    """
    return _DIALECTS[circuit.family.dialect].write(circuit, folder, initial)


def format_inputs(circuit: Circuit, initial: _Volts) -> str:
    """The text of the file with input voltages, for others: ``float64[inputs]`` in volts."""
    return _DIALECTS[circuit.family.dialect].inputs(circuit, initial)
