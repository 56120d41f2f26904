"""The two halves of our file format: a JSON description and the tensors it speaks of.

``encode`` makes them from a checkpoint, ``decode`` reads them back and trusts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError
from kcompile.frontend.fields import Field
from kcompile.frontend.model import Samples, TrainingSolver
from kcompile.frontend.records import (
    NODE_LIMIT,
    BatchRecord,
    Checkpoint,
    PhaseRecord,
    check_share,
)
from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software, Step
from kcompile.ir import Fill, IndexArray

SCHEMA = "kcompile.checkpoint/1"

Tensors = dict[str, NDArray[Any]]

_WIDTH_LIMIT = 1 << 28
_OPTIMISER = "optimiser."


def encode(checkpoint: Checkpoint) -> tuple[dict[str, Any], Tensors]:
    """The description (plain values, fit for JSON) and the tensors of a checkpoint."""
    tensors: Tensors = {}
    description = {
        "schema": SCHEMA,
        "phases": [
            _phase_out(phase, f"phase.{k}", tensors) for k, phase in enumerate(checkpoint.phases)
        ],
        "inputs": int(checkpoint.inputs),
        "outputs": np.asarray(checkpoint.outputs).tolist(),
        "sample_width": checkpoint.sample_width,
        "task": checkpoint.task,
        "encoder": _software_out(checkpoint.encoder, "encoder", tensors),
        "head": _software_out(checkpoint.head, "head", tensors),
        "solver": _solver_out(checkpoint.solver),
        "normalisation": checkpoint.normalisation,
        "training": dict(checkpoint.training),
    }
    if checkpoint.capacitance is not None:
        tensors["capacitance"] = np.ascontiguousarray(checkpoint.capacitance, dtype=np.float64)
    if checkpoint.samples is not None:
        tensors["samples.inputs"] = np.ascontiguousarray(checkpoint.samples.inputs)
        tensors["samples.targets"] = np.ascontiguousarray(checkpoint.samples.targets)
    for name, values in checkpoint.optimiser.items():
        tensors[_OPTIMISER + name] = np.ascontiguousarray(values)
    return description, tensors


def decode(value: object, tensors: Mapping[str, NDArray[Any]]) -> Checkpoint:
    """The checkpoint that a description and its tensors speak of.

    Raises:
        CheckpointError: it is of another schema, incomplete, or of the wrong types.
    """
    root = Field(value, "", CheckpointError)
    schema = root.get("schema")
    if schema is None or schema.value != SCHEMA:
        said = "no schema" if schema is None else f"schema {schema.value!r:.60}"
        raise CheckpointError(f"{said}, this version reads {SCHEMA}", hint="update kcompile")
    phases = tuple(
        _phase_in(phase, k, tensors) for k, phase in enumerate(root.key("phases").items())
    )
    task, width = root.get("task"), root.get("sample_width")
    outputs = [node.integer(1, NODE_LIMIT) for node in root.key("outputs").items(low=1)]
    return Checkpoint(
        phases,
        root.key("inputs").integer(0, NODE_LIMIT),
        np.array(outputs, dtype=np.int32),
        _floats(tensors, "capacitance", 1) if "capacitance" in tensors else None,
        None if task is None else task.text(),
        _software_in(root.get("encoder"), "encoder", tensors),
        _software_in(root.get("head"), "head", tensors),
        _solver_in(root.get("solver")),
        _mapping(root.get("normalisation")),
        _mapping(root.get("training")) or {},
        _samples_in(tensors),
        None if width is None else width.integer(1, _WIDTH_LIMIT),
        {
            name.removeprefix(_OPTIMISER): values
            for name, values in tensors.items()
            if name.startswith(_OPTIMISER)
        },
    )


def _phase_out(phase: PhaseRecord, prefix: str, tensors: Tensors) -> dict[str, Any]:
    batches: list[dict[str, Any]] = []
    for m, batch in enumerate(phase.batches):
        name = f"{prefix}.batch.{m}."
        tensors[name + "params"] = np.ascontiguousarray(batch.params)
        tensors[name + "src"] = np.ascontiguousarray(batch.src, dtype=np.int32)
        tensors[name + "dst"] = np.ascontiguousarray(batch.dst, dtype=np.int32)
        if batch.share is not None:
            tensors[name + "share"] = np.ascontiguousarray(batch.share, dtype=np.int32)
        topology = None if batch.topology is None else dict(batch.topology)
        batches.append({"law": batch.law, "topology": topology})
    return {
        "nodes": int(phase.nodes),
        "duration": float(phase.duration),
        "fill": str(phase.fill),
        "residual": None if phase.residual is None else int(phase.residual),
        "batches": batches,
    }


def _phase_in(phase: Field, k: int, tensors: Mapping[str, NDArray[Any]]) -> PhaseRecord:
    nodes = phase.key("nodes").integer(1, NODE_LIMIT)
    residual = phase.get("residual")
    return PhaseRecord(
        nodes,
        phase.key("duration").number(positive=True),
        tuple(
            _batch_in(batch, f"phase.{k}.batch.{m}.", nodes, tensors)
            for m, batch in enumerate(phase.key("batches").items())
        ),
        Fill(phase.key("fill").choice(Fill)),
        None if residual is None else residual.integer(0, k),
    )


def _batch_in(
    batch: Field, prefix: str, nodes: int, tensors: Mapping[str, NDArray[Any]]
) -> BatchRecord:
    src, dst = (_ends(tensors, prefix + name, nodes) for name in ("src", "dst"))
    if src.shape != dst.shape:
        raise CheckpointError(f"{prefix}src has {len(src)} edges, {prefix}dst {len(dst)}")
    params = _floats(tensors, prefix + "params", 2)
    share = tensors.get(prefix + "share")
    if share is not None:
        check_share(prefix + "share", share, len(src), params.shape[1])
        share = share.astype(np.int32, copy=False)
    topology = _mapping(batch.get("topology"))
    return BatchRecord(batch.key("law").text(), src, dst, params, topology, share)


def _ends(tensors: Mapping[str, NDArray[Any]], name: str, nodes: int) -> IndexArray:
    values = _tensor(tensors, name)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise CheckpointError(f"{name} is not a list of node numbers")
    bad = np.flatnonzero((values < 0) | (values > nodes))
    if bad.size:
        raise CheckpointError(f"{name} of edge {bad[0]} is {values[bad[0]]}, outside 0..{nodes}")
    return values.astype(np.int32, copy=False)


def _floats(tensors: Mapping[str, NDArray[Any]], name: str, ndim: int) -> NDArray[Any]:
    values = _tensor(tensors, name)
    if values.ndim != ndim or values.dtype.kind != "f":
        raise CheckpointError(
            f"{name} is {values.ndim}-dimensional {values.dtype}, not {ndim} float"
        )
    return values


def _tensor(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in tensors:
        raise CheckpointError(f"the tensor {name} is missing")
    return tensors[name]


def _software_out(software: Software, name: str, tensors: Tensors) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for i, step in enumerate(software.steps):
        match step:
            case Linear():
                tensors[f"{name}.{i}.weight"] = np.ascontiguousarray(step.weight)
                tensors[f"{name}.{i}.bias"] = np.ascontiguousarray(step.bias)
                steps.append({"step": "linear"})
            case Relu():
                steps.append({"step": "relu"})
            case Select():
                steps.append({"step": "select", "start": step.start, "stop": step.stop})
            case Reshape():
                steps.append({"step": "reshape", "columns": step.columns})
    return steps


def _software_in(steps: Field | None, name: str, tensors: Mapping[str, NDArray[Any]]) -> Software:
    built: list[Step] = []
    for i, step in enumerate(() if steps is None else steps.items()):
        match step.key("step").choice(("linear", "relu", "select", "reshape")):
            case "linear":
                weight, bias = f"{name}.{i}.weight", f"{name}.{i}.bias"
                built.append(Linear(_floats(tensors, weight, 2), _floats(tensors, bias, 1)))
            case "relu":
                built.append(Relu())
            case "select":
                ends = (step.get("start"), step.get("stop"))
                built.append(Select(*(e and e.integer(-_WIDTH_LIMIT, _WIDTH_LIMIT) for e in ends)))
            case _:
                built.append(Reshape(step.key("columns").integer(1, _WIDTH_LIMIT)))
    return Software(tuple(built))


def _solver_out(solver: TrainingSolver | None) -> dict[str, Any] | None:
    if solver is None:
        return None
    return {
        "method": solver.method,
        "rtol": solver.rtol,
        "atol": solver.atol,
        "steps": solver.steps,
        "options": dict(solver.options),
    }


def _solver_in(solver: Field | None) -> TrainingSolver | None:
    if solver is None:
        return None
    steps, options = solver.get("steps"), solver.get("options")
    names = () if options is None else options.names()
    return TrainingSolver(
        solver.key("method").text(),
        solver.key("rtol").number(),
        solver.key("atol").number(),
        None if steps is None else steps.integer(1),
        {} if options is None else {name: options.key(name).number() for name in names},
    )


def _samples_in(tensors: Mapping[str, NDArray[Any]]) -> Samples | None:
    if "samples.inputs" not in tensors:
        return None
    return Samples(_floats(tensors, "samples.inputs", 2), _tensor(tensors, "samples.targets"))


def _mapping(field: Field | None) -> dict[str, object] | None:
    return None if field is None else field.mapping()
