"""Our own checkpoint: a safetensors file whose JSON metadata says everything about the network.

Metadata key ``kcompile`` holds one JSON object (schema ``kcompile.checkpoint/1``); the tensors are

    phase.<k>.batch.<m>.params   float32 or float64 [P, E]   rows of the batch's law
    phase.<k>.batch.<m>.src      int32 [E]                   0 is ground
    phase.<k>.batch.<m>.dst      int32 [E]
    capacitance                  float64 [N]                 absent: 1 each
    encoder.<i>.weight, .bias    [out, in], [out]            likewise head.<i>
    samples.inputs, .targets     [S, Nin], [S] or [S, M]     first samples of the task's test split

so that any safetensors reader can load it; nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError, KcompileError
from kcompile.files import read_bytes, sha256, written
from kcompile.frontend.model import Model, Samples, TrainingSolver
from kcompile.frontend.software import Linear, Relu, Select, Software
from kcompile.ir import EdgeBatch, Fill, Graph, Phase, Trace, get_law, validate

SCHEMA = "kcompile.checkpoint/1"
_KEY = "kcompile"


@dataclass(frozen=True, eq=False)
class BatchRecord:
    """Edges of one law with their parameters as trained.

    Args:
        law: a name in ``kcompile.ir.LAWS``.
        src, dst: ``int32[E]``.
        params: ``[P, E]``, float32 or float64.
        topology: the generator call that made the edges, for those who train on.
    """

    law: str
    src: NDArray[Any]
    dst: NDArray[Any]
    params: NDArray[Any]
    topology: Mapping[str, Any] | None = None

    def lower(self, start: int) -> EdgeBatch:
        """The batch in canonical form, its edges numbered from ``start``."""
        law = get_law(self.law)
        if self.params.shape != (law.rows, len(self.src)):
            raise CheckpointError(
                f"law {law.name} wants parameters [{law.rows}, {len(self.src)}], "
                f"the file has {list(self.params.shape)}"
            )
        form = law.coefficients(self.params.astype(np.float64))
        return EdgeBatch(
            law.phi, self.src, self.dst, form.w, form.a, form.b, form.c,
            trace=Trace.identity(len(self.src), start),
        )  # fmt: skip


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
    """Everything one of our files holds; the fields are those of ``Model`` and ``Graph``."""

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

    def model(self, source: Path | None = None) -> Model:
        """The network ready to be compiled.

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
        return Model(
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
            samples=self.samples,
        )


def save(path: Path | str, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    from safetensors.numpy import save as serialise

    tensors: dict[str, NDArray[Any]] = {}
    phases: list[dict[str, Any]] = []
    for k, phase in enumerate(checkpoint.phases):
        batches: list[dict[str, Any]] = []
        for m, batch in enumerate(phase.batches):
            prefix = f"phase.{k}.batch.{m}."
            tensors[prefix + "params"] = np.ascontiguousarray(batch.params)
            tensors[prefix + "src"] = np.ascontiguousarray(batch.src, dtype=np.int32)
            tensors[prefix + "dst"] = np.ascontiguousarray(batch.dst, dtype=np.int32)
            topology = None if batch.topology is None else dict(batch.topology)
            batches.append({"law": batch.law, "topology": topology})
        phases.append(
            {
                "nodes": int(phase.nodes),
                "duration": float(phase.duration),
                "fill": str(phase.fill),
                "residual": phase.residual,
                "batches": batches,
            }
        )
    if checkpoint.capacitance is not None:
        tensors["capacitance"] = np.ascontiguousarray(checkpoint.capacitance, dtype=np.float64)
    if checkpoint.samples is not None:
        tensors["samples.inputs"] = np.ascontiguousarray(checkpoint.samples.inputs)
        tensors["samples.targets"] = np.ascontiguousarray(checkpoint.samples.targets)
    solver = checkpoint.solver
    description = {
        "schema": SCHEMA,
        "phases": phases,
        "inputs": int(checkpoint.inputs),
        "outputs": np.asarray(checkpoint.outputs).tolist(),
        "task": checkpoint.task,
        "encoder": _software_out(checkpoint.encoder, "encoder", tensors),
        "head": _software_out(checkpoint.head, "head", tensors),
        "solver": None if solver is None else {
            "method": solver.method, "rtol": solver.rtol, "atol": solver.atol,
            "steps": solver.steps, "options": dict(solver.options),
        },
        "normalisation": checkpoint.normalisation,
        "training": dict(checkpoint.training),
    }  # fmt: skip
    content = serialise(tensors, {_KEY: json.dumps(description, allow_nan=False)})
    with written(Path(path)) as stream:
        stream.write(content)


def is_checkpoint(head: bytes) -> bool:
    """Whether a file that begins with ``head`` may be one of ours (safetensors)."""
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 28


def load(path: Path | str) -> Checkpoint:
    """Reads one of our checkpoints; runs nothing in it.

    Raises:
        CheckpointError: it is cut, foreign, of a later version, or contradicts itself.
        UsageError, StorageError: it is not there or cannot be read.
    """
    path = Path(path)
    try:
        return _parse(read_bytes(path))
    except KcompileError as error:
        error.where = error.where or str(path)
        raise


def _parse(content: bytes) -> Checkpoint:
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialise

    again = "write it again with kcompile"
    try:
        tensors = deserialise(content)
        size = int.from_bytes(content[:8], "little")
        text = json.loads(content[8 : 8 + size])["__metadata__"][_KEY]
        description: Any = json.loads(text)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError("not a whole kcompile checkpoint", hint=again) from error
    if not isinstance(description, dict):
        raise CheckpointError("its description is not an object", hint=again)
    description = cast(dict[str, Any], description)
    schema = description.get("schema")
    if schema != SCHEMA:
        raise CheckpointError(f"schema {schema!r}, this version reads {SCHEMA}", hint=again)
    try:
        return _build(description, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"its description is incomplete ({type(error).__name__}: {error})", hint=again
        ) from error


def _build(description: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Checkpoint:
    phases: list[PhaseRecord] = []
    for k, phase in enumerate(description["phases"]):
        batches: list[BatchRecord] = []
        for m, batch in enumerate(phase["batches"]):
            prefix = f"phase.{k}.batch.{m}."
            params = tensors[prefix + "params"]
            if params.ndim != 2 or params.dtype.kind != "f":
                raise CheckpointError(f"{prefix}params is not a float matrix")
            record = BatchRecord(
                str(batch["law"]), tensors[prefix + "src"], tensors[prefix + "dst"], params,
                batch.get("topology"),
            )  # fmt: skip
            batches.append(record)
        residual = phase.get("residual")
        phases.append(
            PhaseRecord(
                int(phase["nodes"]),
                float(phase["duration"]),
                tuple(batches),
                Fill(phase["fill"]),
                None if residual is None else int(residual),
            )
        )
    solver = description.get("solver")
    return Checkpoint(
        tuple(phases),
        int(description["inputs"]),
        np.asarray(description["outputs"], dtype=np.int32),
        tensors.get("capacitance"),
        description.get("task"),
        _software_in(description.get("encoder"), "encoder", tensors),
        _software_in(description.get("head"), "head", tensors),
        None if solver is None else TrainingSolver(**solver),
        description.get("normalisation"),
        description.get("training") or {},
        Samples(tensors["samples.inputs"], tensors["samples.targets"])
        if "samples.inputs" in tensors
        else None,
    )


def _software_out(
    software: Software, name: str, tensors: dict[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for i, step in enumerate(software.steps):
        if isinstance(step, Linear):
            tensors[f"{name}.{i}.weight"] = np.ascontiguousarray(step.weight)
            tensors[f"{name}.{i}.bias"] = np.ascontiguousarray(step.bias)
            steps.append({"step": "linear"})
        elif isinstance(step, Relu):
            steps.append({"step": "relu"})
        else:
            steps.append({"step": "select", "start": step.start, "stop": step.stop})
    return steps


def _software_in(
    steps: list[dict[str, Any]] | None, name: str, tensors: dict[str, NDArray[Any]]
) -> Software:
    built: list[Linear | Relu | Select] = []
    for i, step in enumerate(steps or []):
        match step["step"]:
            case "linear":
                built.append(Linear(tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]))
            case "relu":
                built.append(Relu())
            case "select":
                built.append(Select(step["start"], step["stop"]))
            case other:
                raise CheckpointError(f"unknown {name} step {other!r}")
    return Software(tuple(built))
