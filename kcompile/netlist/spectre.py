"""The Spectre dialect: a circuit as a folder of netlists for Spectre and what reads its syntax.

There is one ``layer<k>.scs`` a layer, which starts from the voltages in ``initial<k>.scs``, or one
``run.scs`` with the whole circuit of a single deck. Spectre has no control language: ``run.sh``
runs the layers, ``hand_over.py`` turns the voltages at the end of one into the next one's start.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import UsageError
from kcompile.files import filled
from kcompile.netlist.elements import Circuit, Start
from kcompile.netlist.writing import DeckFiles, Writer, environment

INPUTS = "initial1.scs"
RUN = "run.sh"
SINGLE = "run.scs"


def write_decks(circuit: Circuit, folder: Path, initial: NDArray[np.float64]) -> DeckFiles:
    """Writes the circuit's netlists into ``folder``, all of them or none.

    Args:
        circuit: what to write.
        folder: made where it is missing; what an earlier netlist left there does not stay.
        initial: ``float64[inputs]``, the input voltages in volts.

    Raises:
        UsageError: the circuit has injected currents.
        PdkError: a row template is bad.
        StorageError: a file cannot be written.
    """
    if any(layer.injection is not None for layer in circuit.layers):
        raise UsageError(
            "injected currents are written for ngspice only", where="--device", hint="use ideal"
        )
    with filled(folder) as staging:
        writer = Writer(circuit, staging, "spectre", "//", _capacitor)
        if circuit.single is None:
            for layer in circuit.layers:
                writer.write(f"layer{layer.number}.scs", "layer.scs.j2", layer=layer)
            nodes = {layer.number: layer.nodes for layer in circuit.layers}
            residuals = {
                layer.number: layer.residual + 1
                for layer in circuit.layers
                if layer.residual is not None
            }
            writer.write("hand_over.py", "hand_over.py.j2", nodes=nodes, residuals=residuals)
            writer.write(RUN, "run.sh.j2")
            entry, command = RUN, f"sh {quote(str(folder / RUN))}"
        else:
            writer.write(SINGLE, "single.scs.j2")
            entry, command = SINGLE, f"cd {quote(str(folder))} && spectre {SINGLE}"
        return writer.complete(folder, entry, command, (INPUTS, "initial.scs.j2"), initial)


def format_inputs(circuit: Circuit, initial: NDArray[np.float64]) -> str:
    """The text of ``initial1.scs`` for other input voltages, ``float64[inputs]`` in volts."""
    template = environment("spectre").get_template("initial.scs.j2")
    return template.render(circuit=circuit, initial=initial.tolist())


def _capacitor(node: int, farads: float, start: Start) -> str:
    source = start.input or start.node
    ic = "0" if source is None else f"x{source}"
    return f"C{node} (n{node} 0) capacitor c={farads!r} ic={ic}\n"
