"""What a checkpoint holds, as stored: named laws with the parameters as they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError
from kcompile.files import sha256
from kcompile.frontend.model import Model, Samples, TrainingSolver
from kcompile.frontend.software import Software
from kcompile.ir import EdgeBatch, Fill, Graph, Phase, Trace, get_law, validate

NODE_LIMIT = 1 << 24
"""The most nodes that a file may ask for; more is taken for damage."""


@dataclass(frozen=True, eq=False)
class BatchRecord:
    """Edges of one law with their parameters as trained.

    Args:
        law: a name in ``kcompile.ir.LAWS``.
        src, dst: ``int32[E]``.
        params: ``[P, E]``, float32 or float64; with ``share`` ``[P, K]``.
        topology: the generator call that made the edges, for those who train on.
        share: ``int32[E]``, the column of ``params`` that each edge uses, in ``0..K-1``; None: one
            column an edge.
    """

    law: str
    src: NDArray[Any]
    dst: NDArray[Any]
    params: NDArray[Any]
    topology: Mapping[str, Any] | None = None
    share: NDArray[Any] | None = None

    def lower(self, start: int) -> EdgeBatch:
        """The batch in canonical form, its edges numbered from ``start``.

        Raises:
            CheckpointError: the law is unknown, or parameters or columns do not fit.
        """
        law = get_law(self.law)
        columns = len(self.src) if self.share is None else self.params.shape[-1]
        if self.params.shape != (law.rows, columns):
            raise CheckpointError(
                f"law {law.name} wants parameters [{law.rows}, {columns}], "
                f"the file has {list(self.params.shape)}"
            )
        params = self.params.astype(np.float64)
        if self.share is not None:
            check_share("share", self.share, len(self.src), columns)
            params = params[:, self.share]
        form = law.coefficients(params)
        return EdgeBatch(
            law.phi, self.src, self.dst, form.w, form.a, form.b, form.c,
            trace=Trace.identity(len(self.src), start),
        )  # fmt: skip


def check_share(name: str, share: NDArray[Any], edges: int, columns: int) -> None:
    """Sees that every edge has a column of parameters; columns may be left unused.

    Args:
        name: what the list is called.
        share: to be ``int[E]``, each in ``0..columns-1``.
        edges: E.
        columns: K.

    Raises:
        CheckpointError: it is not; it names the first edge at fault.
    """
    if share.ndim != 1 or share.dtype.kind not in "iu":
        raise CheckpointError(f"{name} is not a list of column numbers")
    if len(share) != edges:
        raise CheckpointError(f"{name} has {len(share)} entries for {edges} edges")
    bad = np.flatnonzero((share < 0) | (share >= columns))
    if bad.size:
        edge = bad[0]
        raise CheckpointError(
            f"{name} of edge {edge} is {share[edge]}, there are {columns} columns of parameters"
        )


@dataclass(frozen=True, eq=False)
class PhaseRecord:
    """One layer as stored; the fields are those of ``kcompile.ir.Phase``."""

    nodes: int
    duration: float
    batches: tuple[BatchRecord, ...]
    fill: Fill = Fill.ZERO
    residual: int | None = None

    def lower(self) -> Phase:
        """The phase in canonical form."""
        batches: list[EdgeBatch] = []
        for record in self.batches:
            batches.append(record.lower(sum(map(len, batches))))
        return Phase(self.nodes, self.duration, tuple(batches), self.fill, self.residual)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything a checkpoint says; the fields are those of ``Model`` and ``Graph``.

    ``optimiser`` is the state of an unfinished training run, so that it can be resumed.
    """

    phases: tuple[PhaseRecord, ...]
    inputs: int
    outputs: NDArray[Any]
    capacitance: NDArray[Any] | None = None
    task: str | None = None
    encoder: Software = Software()
    head: Software = Software()
    solver: TrainingSolver | None = None
    normalisation: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    samples: Samples | None = None
    sample_width: int | None = None
    optimiser: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    @classmethod
    def from_graph(cls, graph: Graph, **fields: Any) -> Checkpoint:
        """A checkpoint that stores a graph's canonical coefficients; ``fields`` go with it."""
        phases: list[PhaseRecord] = []
        for phase in graph.phases:
            batches = tuple(
                BatchRecord(
                    f"canonical_{batch.phi}",
                    batch.src,
                    batch.dst,
                    np.stack([batch.column(name) for name in "wabc"]),
                )
                for batch in phase.batches
            )
            phases.append(
                PhaseRecord(phase.nodes, phase.duration, batches, phase.fill, phase.residual)
            )
        return cls(tuple(phases), graph.inputs, graph.outputs, graph.capacitance, **fields)

    def model(self, source: Path | None = None, notes: tuple[str, ...] = ()) -> Model:
        """The network ready to be compiled.

        Args:
            source: the file it came from.
            notes: what a reader should know about how it was read.

        Raises:
            CheckpointError, GraphError: it contradicts itself.
        """
        graph = Graph(
            tuple(phase.lower() for phase in self.phases),
            self.inputs,
            np.asarray(self.outputs),
            *(() if self.capacitance is None else (np.asarray(self.capacitance),)),
        )
        laws = {batch.law: None for phase in self.phases for batch in phase.batches}
        model = Model(
            validate(graph),
            ", ".join(laws),
            self.task,
            self.encoder,
            self.head,
            self.solver,
            self.normalisation,
            self.training,
            source,
            None if source is None else sha256(source),
            (*notes, *self._software_notes()),
            self.samples,
            self.sample_width,
        )
        self._check_widths(model)
        return model

    def _software_notes(self) -> tuple[str, ...]:
        said = (
            (self.encoder, "an encoder ({}) is applied in software, in front of the circuit"),
            (self.head, "a read-out ({}) is applied in software, behind the circuit"),
        )
        return tuple(text.format(software.describe()) for software, text in said if software)

    def _check_widths(self, model: Model) -> None:
        encoded = self.encoder.output_width(model.input_width)
        if encoded < self.inputs:
            raise CheckpointError(f"{encoded} values reach {self.inputs} input nodes")
        self.head.output_width(len(self.outputs))
        if self.samples is not None and self.samples.inputs.shape[1] != model.input_width:
            raise CheckpointError(
                f"test samples of {self.samples.inputs.shape[1]} values for a network that takes "
                f"{model.input_width}"
            )
