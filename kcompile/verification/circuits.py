"""The circuits that can compute a network's answers: the delivered decks, and faster ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.devices import library
from kcompile.errors import SimulatorNotFound, UsageError
from kcompile.ir import FloatArray, hand_over, phase_output
from kcompile.lower import read_family
from kcompile.netlist import layer_file
from kcompile.simulation import Ngspice, PySpice, SessionDeck, SessionLayer
from kcompile.verification.metrics import node_labels

REPLACEABLE = "ideal"
"""The family whose laws the compiled devices compute too."""

LAYER_VERSION = 45
"""The oldest ngspice that takes a device of a whole layer: more than 20 nodes on a line."""


@dataclass(frozen=True, eq=False)
class WrittenCircuit:
    """A compiled network and its decks.

    Args:
        compiled: the network.
        folder: where the decks lie.
        sha256: their digest.
    """

    compiled: Compiled
    folder: Path
    sha256: str

    @property
    def jacobian(self) -> str | None:
        """``full`` or ``diagonal``; None where the devices are not compiled ones."""
        diagonal = self.compiled.circuit.family.parameters.get("diagonal")
        return None if diagonal is None else "diagonal" if diagonal else "full"

    def write(self) -> None:
        """Writes the decks anew, should one of them have been damaged."""
        self.compiled.write(self.folder, _nothing(self.compiled))

    def session_deck(self) -> SessionDeck:
        """The decks as a session runs them."""
        return session_deck(self.compiled, self.folder)


def written(compiled: Compiled, folder: Path) -> WrittenCircuit:
    """A circuit whose decks are written into ``folder``."""
    return WrittenCircuit(compiled, folder, compiled.write(folder, _nothing(compiled)).sha256)


def native_family(compiled: Compiled, program: Ngspice) -> str | None:
    """The fastest family of compiled devices that computes the same; None where there is none.

    Args:
        compiled: the delivered circuit.
        program: what has to load the devices.
    """
    fits = compiled.device == REPLACEABLE and compiled.circuit.single is None
    if not fits or "osdi" not in program.features or library() is None:
        return None
    return "native" if program.version >= LAYER_VERSION else "native-pair"


def require_osdi(options: CompileOptions, program: Ngspice | PySpice) -> Ngspice | PySpice:
    """The simulator, once it is seen to load the compiled devices that a circuit asks for, if any.

    Args:
        options: how the circuit is compiled.
        program: what has to load the devices.

    Raises:
        SimulatorNotFound: it is an ngspice that cannot.
        UsageError: it is PySpice.
    """
    grain = None if options.device is None else read_family(options.device, options.pdk).grain
    if grain is None:
        return program
    if isinstance(program, PySpice):
        raise UsageError(
            f"PySpice loads no compiled devices, which {options.device} is made of",
            where="--simulator", hint="use --simulator ngspice or --device ideal",
        )  # fmt: skip
    if "osdi" not in program.features:
        raise SimulatorNotFound(
            f"this ngspice {program.version} loads no compiled devices (OSDI), which "
            f"{options.device} is made of",
            where=program.path, hint="use --device ideal, or a current one (make ngspice)",
        )  # fmt: skip
    if grain == "layer" and program.version < LAYER_VERSION:
        raise SimulatorNotFound(
            f"this ngspice {program.version} takes no device of a whole layer, which "
            f"{options.device} is made of: that needs {LAYER_VERSION}",
            where=program.path, hint="use --device native-pair, or a current one (make ngspice)",
        )  # fmt: skip
    return program


def native_circuit(
    compiled: Compiled, family: str, folder: Path, *, diagonal: bool
) -> WrittenCircuit:
    """The same network of compiled devices.

    Args:
        compiled: the delivered circuit.
        family: from ``native_family``.
        folder: for the decks.
        diagonal: whether the Jacobian has nothing but its diagonal.
    """
    options = replace(
        compiled.options, device=family, parameters={"diagonal": float(diagonal)}, pdk=None
    )
    return written(compile_model(compiled.model, options), folder)


def session_deck(compiled: Compiled, folder: Path) -> SessionDeck:
    """A circuit's decks as a session runs them.

    Args:
        compiled: the circuit; its layers have decks of their own.
        folder: where they lie.
    """
    graph = compiled.model.graph

    def following(index: int, finals: Sequence[FloatArray]) -> FloatArray:
        passed: list[FloatArray] = []
        for phase, final in enumerate(finals):
            passed.append(phase_output(graph, phase, final, passed))
        return hand_over(passed[-1], graph.phases[index])

    layers = tuple(
        SessionLayer(
            layer_file(index + 1), plan.waveform, tuple(node_labels(phase.nodes)), plan.end
        )
        for index, (plan, phase) in enumerate(zip(compiled.layers, graph.phases, strict=True))
    )
    names = (name for layer in compiled.circuit.layers for name in layer.libraries)
    return SessionDeck(folder, layers, tuple(dict.fromkeys(names)), following)


def _nothing(compiled: Compiled) -> FloatArray:
    """Initial voltages for decks whose sessions bring their own."""
    return np.zeros(compiled.model.graph.phases[0].nodes)
