"""The ngspice dialect: a circuit as a folder of decks.

``run.cir`` is the entry. It sources one ``layer<k>.cir`` a layer, or holds the whole circuit of a
single deck. Initial voltages stand in ``inputs.inc``, which a user can replace.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kcompile.files import filled
from kcompile.netlist.elements import Circuit, Start
from kcompile.netlist.writing import DeckFiles, Writer, environment

ENTRY = "run.cir"
INPUTS = "inputs.inc"
SINGLE_WAVEFORM = "run.raw"


def layer_file(number: int) -> str:
    """The deck of layer ``number`` (1, 2, ...)."""
    return f"layer{number}.cir"


def layer_waveform(number: int) -> str:
    """The raw file that the deck writes for layer ``number``."""
    return f"layer{number}.raw"


def write_decks(circuit: Circuit, folder: Path, initial: NDArray[np.float64]) -> DeckFiles:
    """Writes the circuit's decks into ``folder``, all of them or none.

    Decks, traces and waveforms of an earlier netlist do not stay.

    Args:
        circuit: what to write.
        folder: made where it is missing.
        initial: ``float64[inputs]``, the input voltages in volts.

    Raises:
        PdkError: a row template is bad.
        StorageError: a file cannot be written.
    """
    names = {
        "waveform": layer_waveform,
        "layer_file": layer_file,
        "single_waveform": SINGLE_WAVEFORM,
    }
    with filled(folder) as staging:
        writer = Writer(circuit, staging, "ngspice", "*", _capacitor)
        if circuit.single is None:
            for layer in circuit.layers:
                writer.write(layer_file(layer.number), "layer.cir.j2", layer=layer, **names)
        writer.write(ENTRY, "run.cir.j2" if circuit.single is None else "single.cir.j2", **names)
        command = f"ngspice -b {folder / ENTRY}"
        return writer.complete(folder, ENTRY, command, (INPUTS, "inputs.inc.j2"), initial)


def format_inputs(circuit: Circuit, initial: NDArray[np.float64]) -> str:
    """The text of ``inputs.inc`` for other input voltages, ``float64[inputs]`` in volts."""
    template = environment("ngspice").get_template("inputs.inc.j2")
    return template.render(circuit=circuit, initial=initial.tolist())


def _capacitor(node: int, farads: float, start: Start) -> str:
    ic = "0" if start.input is None else f"{{x{start.input}}}"
    return f"C{node} n{node} 0 {farads!r} ic={ic}\n"
