"""Equality of graphs: a digest of their arrays."""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from kcompile.ir.graph import COEFFICIENTS, Graph


def digest(graph: Graph) -> str:
    """SHA-256 (hex) of what the graph computes and how its edges are grouped.

    Independent of the machine: little-endian arrays, no padding, no names of files. The trace
    back to the checkpoint does not count.
    """
    state = hashlib.sha256(b"kcompile.graph/1")
    state.update(struct.pack("<qqq", len(graph.phases), graph.inputs, len(graph.outputs)))
    state.update(np.asarray(graph.outputs, "<i4").tobytes())
    state.update(np.asarray(graph.capacitance, "<f8").tobytes())
    for phase in graph.phases:
        residual = -1 if phase.residual is None else phase.residual
        state.update(
            struct.pack("<qdqq", phase.nodes, phase.duration, residual, len(phase.batches))
        )
        state.update(phase.fill.encode())
        if phase.injected is not None:
            state.update(b"injected" + struct.pack("<q", len(phase.injected.times)))
            state.update(np.asarray(phase.injected.times, "<f8").tobytes())
            state.update(np.asarray(phase.injected.currents, "<f8").tobytes())
        for batch in phase.batches:
            groups = -1 if batch.group_ptr is None else len(batch.group_ptr)
            state.update(batch.phi.encode() + struct.pack("<qq", len(batch), groups))
            state.update(np.asarray(batch.src, "<i4").tobytes())
            state.update(np.asarray(batch.dst, "<i4").tobytes())
            for name in COEFFICIENTS:
                state.update(np.asarray(batch.column(name), "<f8").tobytes())
            if batch.group_ptr is not None:
                state.update(np.asarray(batch.group_ptr, "<i8").tobytes())
            if batch.tables is not None:
                state.update(b"tables" + np.asarray(batch.tables.ptr, "<i8").tobytes())
                state.update(np.asarray(batch.tables.x, "<f8").tobytes())
                state.update(np.asarray(batch.tables.y, "<f8").tobytes())
    return state.hexdigest()
