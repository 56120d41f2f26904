"""What a deck is made of, before it is text: one structure that every dialect writes.

Numbers are in SI units here. The structure knows elements, not graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = Sequence[str] | Sequence[int] | Sequence[float]


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Rows of the same form: each becomes the element lines of one row template.

    Args:
        template: name of the family's row template.
        columns: what the template may name, each with one value a row. ``gate``, where it is there,
            is the node whose voltage (0 to 1 V) switches the row's current on.
        count: number of rows.
    """

    template: str
    columns: Mapping[str, Column]
    count: int


@dataclass(frozen=True)
class Family:
    """What a dialect needs of a device family.

    Args:
        name: of the family.
        folders: where its row templates lie; the first that has one is taken.
        parameters: values of its parameters in SI units.
        dialect: what its decks are written in, one of ``DIALECTS``.
        supplies: names of its supply nodes and of the voltage sources that feed them; the
            parameters of the same names are their volts.
    """

    name: str
    folders: tuple[Path, ...]
    parameters: Mapping[str, float]
    dialect: str = "ngspice"
    supplies: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Traced:
    """Element ``ids[k]`` stands for checkpoint edges ``index[ptr[k]:ptr[k+1]]`` of its layer."""

    ids: Sequence[str]
    ptr: NDArray[np.int64]
    index: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Attachment:
    """A file beside the deck that its devices need.

    Args:
        name: of the file.
        pieces: gives its content, piece by piece.
        program: whether it is machine code, which differs from build to build: not in digests.
    """

    name: str
    pieces: Callable[[], Iterable[bytes]]
    program: bool = False


@dataclass(frozen=True, eq=False)
class Injection:
    """Independent current sources from ground into the nodes of a layer, linear between instants.

    Args:
        seconds: ``float64[K]``, ascending from 0.
        amperes: ``float64[K, N]``, into the nodes 1..N.
    """

    seconds: NDArray[np.float64]
    amperes: NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """How a node gets its initial voltage; of nothing, it is 0 V.

    Args:
        input: number of the input voltage (1, 2, ...), in the first layer.
        node: the node whose voltage the layer before passed on.
    """

    input: int | None = None
    node: int | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """One phase as a circuit of its own.

    Args:
        number: 1, 2, ... as decks count layers.
        capacitance: ``float64[N]`` farads, of nodes 1..N.
        starts: one ``Start`` a node.
        tables: the elements.
        duration: seconds.
        devices: how many rows the tables have together.
        residual: index (0..) of the layer whose passed-on voltages are added to this one's.
        traces: element ids and the edges behind them, where an element is not simply named after
            its one checkpoint edge.
        libraries: files with compiled devices, which the deck loads.
        attachments: files that the deck needs, these libraries among them; layers may share them.
        injection: independent current sources; None: there are none.
    """

    number: int
    capacitance: NDArray[np.float64]
    starts: tuple[Start, ...]
    tables: tuple[ElementTable, ...]
    duration: float
    devices: int
    residual: int | None = None
    traces: tuple[Traced, ...] = ()
    libraries: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    injection: Injection | None = None

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.capacitance)


@dataclass(frozen=True)
class Gate:
    """A node whose voltage, 0 to 1 V, multiplies currents; it rises and falls linearly.

    Args:
        name: of the node.
        corners: seconds at which it begins to open, is open, begins to close, is closed.
    """

    name: str
    corners: tuple[float, ...]


@dataclass(frozen=True)
class Pulse:
    """Charge that is pushed onto a node: by a voltage that rises linearly behind a capacitor.

    That is exact whatever steps a simulator takes, which a pulse of current is not.

    Args:
        name: of the node between source and capacitor.
        node: onto which it goes.
        begin, end: seconds.
        volts: by how much the voltage rises.
        farads: of the capacitor, which is far smaller than the node's.
    """

    name: str
    node: str
    begin: float
    end: float
    volts: float
    farads: float


@dataclass(frozen=True)
class SingleDeck:
    """What a circuit has that holds all layers in one transient.

    The area under each gate is exactly its layer's duration.

    Args:
        gates: of each layer: one for all of it, or one for the row of each node.
        stop: second at which the last gate is closed.
        pulses: of each layer: charge that its closing gates push onto its nodes.
        leak: siemens from every node to ground.
        perfect: whether gates of different layers are never open together.
    """

    gates: tuple[tuple[Gate, ...], ...]
    stop: float
    pulses: tuple[tuple[Pulse, ...], ...] = ()
    leak: float = 0.0
    perfect: bool = True


@dataclass(frozen=True, eq=False)
class Circuit:
    """Everything that becomes a deck.

    Args:
        layers: in order.
        family: the device family.
        outputs: nodes read at the end of the last layer, in order.
        inputs: how many input voltages there are.
        volt: volts per software voltage unit.
        options: simulator options by name (None: a bare word).
        steps: the step cap is a layer's duration divided by this.
        header: lines for the top of every file, without comment sign.
        single: timing, if all layers share one deck.
    """

    layers: tuple[Layer, ...]
    family: Family
    outputs: tuple[int, ...]
    inputs: int
    volt: float
    options: Mapping[str, float | None]
    steps: int
    header: tuple[str, ...]
    single: SingleDeck | None = None


def gate_name(layer: int, node: int | None = None) -> str:
    """What the gate of a layer (1, 2, ...), or of the row of one of its nodes, is called."""
    return f"g{layer}" if node is None else f"g{layer}_{node}"


def node_names(count: int) -> list[str]:
    """Names of the nodes 0..count: ground is ``0``, node j is ``n<j>``."""
    return ["0", *(f"n{node}" for node in range(1, count + 1))]


def plain(text: str) -> str:
    """``text`` on one line and fit for UTF-8: a file's name may hold line breaks and odd bytes."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
