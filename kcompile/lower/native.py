"""Phases as compiled devices: what their side files hold, and the files that a deck loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kcompile.devices import PHIS, Gates, Grain, PairData, encode, join, require_library
from kcompile.errors import GraphError
from kcompile.files import read_bytes
from kcompile.ir import EdgeBatch, FloatArray, OffsetArray, Phase, oriented, unordered_pairs
from kcompile.lower.columns import Columns, group_ends, group_names
from kcompile.lower.gating import Gating, with_gate
from kcompile.lower.tables import Segments, groups, segments
from kcompile.netlist import Attachment, ElementTable, Traced
from kcompile.units import Scale

EDGES = "edges.osdi"
"""The library of devices of one edge; the name tells it that no side file belongs to it."""

_REACH = 1e6
"""Edges whose kink lies further out, in v0, stay edges: a segment there would lose digits."""

_PER_LINE = 12

_BLOCK = 1 << 12
"""Pairs that are worked out at once."""


@dataclass(frozen=True, eq=False)
class Built:
    """What a layer adds to a deck.

    Args:
        tables: the element rows.
        traces: the checkpoint edges behind them.
        libraries: files that the deck loads.
        attachments: these files and what they read.
    """

    tables: tuple[ElementTable, ...]
    traces: tuple[Traced, ...]
    libraries: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def devices(self) -> int:
        """How many rows the tables have together, a lone model's not counted."""
        return sum(table.count for table in self.tables if "e" in table.columns)


def edge_library() -> Attachment:
    """The library of devices of one edge.

    Raises:
        SimulatorNotFound: kcompile was built without it.
    """
    return _copy(EDGES)


def native_layer(
    phase: Phase,
    number: int,
    grain: Grain,
    scale: Scale,
    names: list[str],
    *,
    diagonal: bool,
    prefix: str = "",
    gating: Gating | None = None,
) -> Built:
    """A phase as one compiled device, or as one a pair of nodes.

    Args:
        phase: its edges need no grouping.
        number: of the layer, from 1.
        grain: one device for the layer, or one a pair.
        scale: the unit system.
        names: of the nodes, ground first.
        diagonal: whether the devices' Jacobian has its diagonal alone.
        prefix: of element names.
        gating: whose voltages multiply the currents; None: nobody's.

    Raises:
        SimulatorNotFound: kcompile was built without its devices.
    """
    parts = [*_parts(phase)]
    if not parts:
        return Built((), ())
    device = f"kc_layer{number}" if grain is Grain.LAYER else f"kc_pairs{number}"
    stem = f"layer{number}"
    nodes, gates = len(names) - 1, gating or Gating(Gates.NONE, number)

    def content() -> Iterator[bytes]:
        data = join([part.data(scale) for part in parts])
        _check(data, number)
        return encode(data, device, grain, nodes=nodes, diagonal=diagonal, gates=gates.kind)

    tables, traces = (_whole if grain is Grain.LAYER else _pairs)(
        parts, device, names, prefix, number, gates
    )
    attachments = (_copy(f"{stem}.osdi"), Attachment(f"{stem}.dat", content))
    return Built(tables, traces, (f"{stem}.osdi",), attachments)


@dataclass(frozen=True, eq=False)
class _Part:
    """Pairs of one batch of edges.

    Args:
        batch: grouped by pairs.
        make: gives what flows between some of them in SI units.
        prefix: of the pairs' names.
    """

    batch: EdgeBatch
    make: Callable[[EdgeBatch, Scale], PairData]
    prefix: str

    @property
    def pairs(self) -> int:
        """How many there are."""
        assert self.batch.group_ptr is not None
        return len(self.batch.group_ptr) - 1

    def data(self, scale: Scale) -> PairData:
        """What flows between them; some at a time, for on the way it takes far more memory."""
        starts = range(0, self.pairs, _BLOCK)
        blocks = (groups(self.batch, k, min(k + _BLOCK, self.pairs)) for k in starts)
        return join([self.make(block, scale) for block in blocks])


def pair_data(phase: Phase, scale: Scale) -> PairData:
    """All that flows between the nodes of a phase, pair by pair, in SI units."""
    return join([part.data(scale) for part in _parts(phase)])


def _parts(phase: Phase) -> Iterator[_Part]:
    for number, given in enumerate(phase.batches):
        batch = _between_nodes(given)
        linear = _piecewise_linear(batch)
        for fit, make, prefix in ((linear, _linear, "p"), (~linear, _curved, "q")):
            if fit.any():
                yield _Part(_grouped(batch, np.flatnonzero(fit)), make, f"{prefix}{number}")


def _between_nodes(batch: EdgeBatch) -> EdgeBatch:
    """The batch without edges from a node to itself, which change nothing; ground's as diffs."""
    loops = batch.src == batch.dst
    if loops.any():
        batch = replace(batch, group_ptr=None, tables=None).take(np.flatnonzero(~loops))
    into, out = batch.src == 0, batch.dst == 0
    if not (into.any() or (out & ~batch.is_diff).any()):
        return batch
    a, b = batch.column("a"), batch.column("b")
    return replace(batch, a=np.where(into, -b, a), b=np.where(out, -a, b))


def _piecewise_linear(batch: EdgeBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if batch.tables is not None:
        return np.ones(len(batch), dtype=bool)
    if not batch.phi.piecewise_linear:
        return np.zeros(len(batch), dtype=bool)
    near = np.abs(batch.column("c")) <= _REACH * np.abs(batch.column("a"))
    return batch.is_diff & near & (batch.column("a") != 0)


def _grouped(batch: EdgeBatch, edges: OffsetArray) -> EdgeBatch:
    """Some edges of a batch, grouped by their unordered pair of nodes."""
    if batch.group_ptr is not None and len(edges) == len(batch):
        return batch
    pair = unordered_pairs(batch)[edges]
    by_pair = np.argsort(pair, kind="stable")
    fresh = np.diff(pair[by_pair], prepend=-1) != 0
    first = np.empty_like(by_pair)  # where each edge's pair comes first: pairs stay in order
    first[by_pair] = by_pair[fresh][np.cumsum(fresh) - 1]
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order], prepend=-1))
    taken = replace(batch, group_ptr=None, tables=None).take(edges[order])
    return replace(taken, group_ptr=np.append(starts, len(edges)))


def _linear(batch: EdgeBatch, scale: Scale) -> PairData:
    """Pairs of piecewise-linear functions, or of tables."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _from_segments(segments(batch), scale)


def _from_segments(found: Segments, scale: Scale) -> PairData:
    pairs = len(found.high)
    place = np.arange(len(found.kink)) + np.repeat(np.arange(pairs), np.diff(found.ptr)) + 1
    first = found.ptr[:-1] + np.arange(pairs)

    def lines(left: Any, right: Any, unit: float) -> FloatArray:
        values = np.empty(len(found.kink) + pairs)
        values[first], values[place] = left, right
        return values * unit

    nothing = np.zeros(0)
    return PairData(
        high=found.high,
        low=found.low,
        knots=found.ptr,
        edges=np.zeros(pairs + 1, dtype=np.int64),
        knot=found.kink * scale.v0,
        slope=lines(found.left_slope, found.slope, scale.i0 / scale.v0),
        offset=lines(found.left_offset, found.offset, scale.i0),
        w=nothing, a=nothing, b=nothing, c=nothing,
        phi=np.zeros(0, dtype=np.uint8),
    )  # fmt: skip


def _curved(batch: EdgeBatch, scale: Scale) -> PairData:
    """Pairs of edges that are evaluated one by one."""
    view, ptr = oriented(batch), batch.group_ptr
    assert ptr is not None
    pairs, starts = len(ptr) - 1, ptr[:-1]
    with np.errstate(over="ignore"):
        return PairData(
            high=view.high[starts],
            low=view.low[starts],
            knots=np.zeros(pairs + 1, dtype=np.int64),
            edges=ptr,
            knot=np.zeros(0),
            slope=np.zeros(pairs),
            offset=np.zeros(pairs),
            w=view.sign * batch.column("w") * scale.i0,
            a=view.a / scale.v0,
            b=view.b / scale.v0,
            c=batch.column("c"),
            phi=np.full(len(batch), PHIS.index(str(batch.phi)), dtype=np.uint8),
        )


def _check(data: PairData, number: int) -> None:
    """Raises ``GraphError`` where a number is beyond double precision."""
    for name in ("knot", "slope", "offset", "w", "a", "b", "c"):
        if not np.isfinite(getattr(data, name)).all():
            raise GraphError(
                f"a device of layer {number} needs a number beyond double precision",
                hint="its parameters are too large or too small for the circuit's units",
            )


def _whole(
    parts: list[_Part],
    device: str,
    names: list[str],
    prefix: str,
    number: int,
    gating: Gating,
) -> tuple[tuple[ElementTable, ...], tuple[Traced, ...]]:
    """One element whose terminals are all nodes; it stands for every edge, so nothing is traced."""
    del parts, prefix
    columns = {"e": [str(number)], "nodes": [_continued(names[1:])], "device": [device]}
    gate = [_continued(gating.names(len(names) - 1))] if gating else None
    return (ElementTable("layer.j2", with_gate(columns, gate), 1),), ()


def _continued(words: Sequence[str]) -> str:
    """Words in lines that SPICE takes for one."""
    lines = [" ".join(words[k : k + _PER_LINE]) for k in range(0, len(words), _PER_LINE)]
    return "\n+ ".join(lines)


def _pairs(
    parts: list[_Part],
    device: str,
    names: list[str],
    prefix: str,
    number: int,
    gating: Gating,
) -> tuple[tuple[ElementTable, ...], tuple[Traced, ...]]:
    """One element a pair, after one that names their model."""
    del number
    tables = [ElementTable("card.j2", {"device": [device]}, 1)]
    traces: list[Traced] = []
    first = 0
    for part in parts:
        ids = group_names(part.batch, f"{prefix}{part.prefix}")
        columns = _pair_columns(part, device, names, ids, first)
        columns = with_gate(columns, gating.pairs(part.batch))
        tables.append(ElementTable("pair.j2", columns, part.pairs))
        trace, ptr = part.batch.trace, part.batch.group_ptr
        assert ptr is not None
        traces.append(Traced(ids, trace.ptr[ptr], trace.index))
        first += part.pairs
    return tuple(tables), tuple(traces)


def _pair_columns(
    part: _Part, device: str, names: list[str], ids: Sequence[str], first: int
) -> Columns:
    """Columns of a part's pairs, which are numbered from ``first``."""
    batch = part.batch

    def ends(start: int, stop: int) -> list[tuple[int, int]]:
        return group_ends(batch, start, stop)

    return Columns(
        part.pairs,
        {
            "e": lambda start, stop: list(ids[start:stop]),
            "p": lambda start, stop: [names[high] for high, _ in ends(start, stop)],
            "q": lambda start, stop: [names[low] for _, low in ends(start, stop)],
            "device": lambda start, stop: [device] * (stop - start),
            "k": lambda start, stop: list(range(first + start, first + stop)),
        },
    )


def _copy(name: str) -> Attachment:
    return Attachment(name, _reader(require_library()), program=True)


def _reader(path: Path) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield read_bytes(path)

    return pieces
