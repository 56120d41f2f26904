"""Graph and device family to netlist elements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kcompile.devices import Gates, Grain
from kcompile.errors import PdkError
from kcompile.files import read_bytes
from kcompile.ir import LEAKY_SLOPE, EdgeBatch, Fill, Graph, Phase, Phi, Trace, require_continuous
from kcompile.lower.columns import edge_columns, group_names, table_columns
from kcompile.lower.family import FamilySpec, Form
from kcompile.lower.gating import Gating, with_gate
from kcompile.lower.native import EDGES, Built, edge_library, native_layer
from kcompile.netlist import (
    Attachment,
    Computed,
    ElementTable,
    Injection,
    Layer,
    Start,
    Traced,
    node_names,
)
from kcompile.units import Scale

_LEAST = 1e-100
"""The smallest conductance (i0/v0) written as a resistor: 1/g of a much smaller one overflows."""


def lower(
    graph: Graph,
    family: FamilySpec,
    scale: Scale,
    *,
    gates: Gates = Gates.NONE,
    parameters: Mapping[str, float] | None = None,
) -> tuple[Layer, ...]:
    """The graph's phases as layers of elements in SI units.

    Args:
        graph: valid.
        family: devices to build it from.
        scale: the unit system.
        gates: how many switch the currents of each layer on, if they will share one transient.
        parameters: the family's, in SI units; default: its defaults.

    Raises:
        SimulatorNotFound: the family is of compiled devices, and kcompile was built without them.
        PdkError: the family has no device for a nonlinearity.
        UsageError: gates where no wire can do the hand-over.
    """
    if gates:
        require_continuous(graph)
    values = family.values(scale, {}) if parameters is None else parameters
    files = tuple(_file(path) for path in family.files)
    layers: list[Layer] = []
    for index, phase in enumerate(graph.phases):
        builder = _Builder(
            family,
            scale,
            node_names(phase.nodes),
            prefix=f"{index + 1}_" if gates else "",
            gating=Gating(gates, index + 1),
        )
        built = builder.build(phase, index + 1, values)
        layers.append(
            Layer(
                index + 1,
                graph.capacitance[: phase.nodes] * scale.c0,
                _starts(graph, index),
                built.tables,
                phase.duration * scale.time_unit,
                built.devices,
                phase.residual,
                built.traces,
                built.libraries,
                (*built.attachments, *files),
                _injection(phase, scale),
            )
        )
    return tuple(layers)


def _injection(phase: Phase, scale: Scale) -> Injection | None:
    if phase.injected is None:
        return None
    return Injection(phase.injected.times * scale.time_unit, phase.injected.currents * scale.i0)


def _file(path: Path) -> Attachment:
    """A file of the family that lies beside the deck."""

    def pieces() -> Iterator[bytes]:
        yield read_bytes(path)

    return Attachment(path.name, pieces)


@dataclass
class _Builder:
    """Builds the element tables of one phase."""

    family: FamilySpec
    scale: Scale
    names: list[str]
    prefix: str
    gating: Gating

    def __post_init__(self) -> None:
        self.traces: list[Traced] = []

    def build(self, phase: Phase, number: int, values: Mapping[str, float]) -> Built:
        if self.family.grain in (None, "edge"):
            built = Built(tuple(self.tables(phase)), tuple(self.traces))
            if self.family.grain is None:
                return built
            return replace(built, libraries=(EDGES,), attachments=(edge_library(),))
        return native_layer(
            phase,
            number,
            Grain[self.family.grain.upper()],
            self.scale,
            self.names,
            diagonal=bool(values.get("diagonal")),
            prefix=self.prefix,
            gating=self.gating,
        )

    def tables(self, phase: Phase) -> Iterator[ElementTable]:
        for number, batch in enumerate(phase.batches):
            form = None if batch.group_ptr is None else self._table_form(batch.phi)
            if form is not None:
                yield self._grouped(batch, number, form)
            elif batch.phi is Phi.LEAKY_RELU and not self._builds(Phi.LEAKY_RELU):
                # leaky_relu(x) = slope*x + (1 - slope)*relu(x), exactly.
                yield from self._single(replace(batch, phi=Phi.IDENTITY), LEAKY_SLOPE, "lin")
                yield from self._single(replace(batch, phi=Phi.RELU), 1.0 - LEAKY_SLOPE, "")
            else:
                yield from self._single(batch, 1.0, "")

    def _builds(self, phi: Phi) -> bool:
        return any(phi in form.phi and form.control != "table" for form in self.family.forms)

    def _table_form(self, phi: Phi) -> Form | None:
        forms = (form for form in self.family.forms if form.control == "table")
        return next((form for form in forms if phi in form.phi), None)

    def _grouped(self, batch: EdgeBatch, number: int, form: Form) -> ElementTable:
        ptr = batch.group_ptr
        assert ptr is not None
        ids = group_names(batch, f"{self.prefix}p{number}")
        self.traces.append(Traced(ids, batch.trace.ptr[ptr], batch.trace.index))
        columns = table_columns(batch, self.names, ids, self.scale)
        gate = self.gating.pairs(batch)
        return ElementTable(form.template, with_gate(columns, gate), len(ids))

    def _single(self, batch: EdgeBatch, weight: float, suffix: str) -> Iterator[ElementTable]:
        batch = replace(batch, group_ptr=None, tables=None)
        left = np.ones(len(batch), dtype=bool)
        for form in self.family.forms:
            fit = left & self._fits(batch, form)
            if not fit.any():
                continue
            left &= ~fit
            part = batch if fit.all() else batch.take(np.flatnonzero(fit))
            ids = self._names(part.trace, suffix)
            if (np.diff(part.trace.ptr) > 1).any():
                self.traces.append(Traced(ids, part.trace.ptr, part.trace.index))
            columns = edge_columns(part, self.names, ids, self.scale, weight)
            gate = self.gating.edges(part)
            yield ElementTable(form.template, with_gate(columns, gate), len(part))
        if left.any():
            raise PdkError(
                f"family {self.family.name} has no device for {batch.phi}",
                hint="use --device ideal",
            )

    def _names(self, trace: Trace, suffix: str) -> Computed[str]:
        """Names of elements after the first checkpoint edge behind each."""

        def name(start: int, stop: int) -> list[str]:
            first = trace.index[trace.ptr[start:stop]].tolist()
            return [f"{self.prefix}{edge}{suffix}" for edge in first]

        return Computed(len(trace), name)

    def _fits(self, batch: EdgeBatch, form: Form) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        usable = (
            form.control != "table" and batch.phi in form.phi and (form.gated or not self.gating)
        )
        fit = np.full(len(batch), usable)
        if not usable:
            return fit
        if form.control == "diff":
            fit &= batch.is_diff & (batch.a != 0) & (batch.src != batch.dst)
            if math.isfinite(form.reach):
                fit &= np.abs(batch.c) <= form.reach * np.abs(batch.a)
        if form.conductive:
            fit &= batch.w * batch.a > _LEAST
        if not form.offset:
            fit &= batch.c == 0
        return fit


def _starts(graph: Graph, index: int) -> tuple[Start, ...]:
    """Where each node's initial voltage comes from; mirrors ``kcompile.ir.hand_over``."""
    phase = graph.phases[index]
    given = graph.inputs if index == 0 else graph.phases[index - 1].nodes
    starts: list[Start] = []
    for node in range(1, phase.nodes + 1):
        repeats = phase.fill is Fill.REPEAT and given > 0
        source = node if node <= given else (node - 1) % given + 1 if repeats else None
        if source is None:
            starts.append(Start())
        else:
            starts.append(Start(input=source) if index == 0 else Start(node=source))
    return tuple(starts)
