"""The right-hand side of the circuit equations, in plain numpy (Eqs. (4)-(6)).

``C dv/dt = sum of currents in - sum of currents out`` at every node but ground.
"""

from __future__ import annotations

import numpy as np

from kcompile.errors import GraphError
from kcompile.ir.arrays import FloatArray
from kcompile.ir.graph import EdgeBatch, Fill, Graph, Phase


def edge_currents(batch: EdgeBatch, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The current that leaves each edge's source and the one that enters its destination.

    Ideal laws have both equal; a measured cell need not, so callers keep them apart. Where groups
    have tables, the first edge of each carries the whole group's current.

    Args:
        batch: E edges.
        v: ``float64[..., N+1]``, node voltages with ground first, software units.

    Returns:
        Two arrays ``[..., E]`` in software current units.
    """
    if batch.tables is not None:
        current = _table_currents(batch, v)
        return current, current
    argument = batch.a * v[..., batch.src] + batch.b * v[..., batch.dst] + batch.c
    current = batch.w * batch.phi(argument)
    return current, current


def _table_currents(batch: EdgeBatch, v: FloatArray) -> FloatArray:
    assert batch.tables is not None
    assert batch.group_ptr is not None
    first = batch.group_ptr[:-1]
    src, dst = batch.src[first], batch.dst[first]
    sign = np.where(src < dst, -1.0, 1.0)
    current = np.zeros((*v.shape[:-1], len(batch)))
    current[..., first] = sign * batch.tables.currents(sign * (v[..., src] - v[..., dst]))
    return current


def derivative(graph: Graph, phase: int, v: FloatArray, time: float | None = None) -> FloatArray:
    """dv/dt of the nodes of one phase.

    Args:
        graph: the circuit.
        phase: index of the phase.
        v: ``float64[..., N]``, the voltages of nodes ``1..N``, software units.
        time: software time since the phase began; only injected currents depend on it.

    Returns:
        ``float64[..., N]`` in software voltage units per software time unit.

    Raises:
        GraphError: ``v`` does not have one voltage per node, or the time is needed and not given.
    """
    layer = graph.phases[phase]
    v = np.asarray(v, dtype=np.float64)
    if v.shape[-1:] != (layer.nodes,):
        raise GraphError(
            f"voltages of shape {v.shape} for {layer.nodes} nodes", where=f"phase {phase}"
        )
    grounded = np.concatenate((np.zeros((*v.shape[:-1], 1)), v), axis=-1)
    rows = grounded.reshape(-1, layer.nodes + 1)
    total = np.zeros_like(rows)
    for batch in layer.batches:
        for k, row in enumerate(rows):
            leaving, entering = edge_currents(batch, row)
            total[k] += np.bincount(batch.dst, entering, layer.nodes + 1)
            total[k] -= np.bincount(batch.src, leaving, layer.nodes + 1)
    if layer.injected is not None:
        if time is None:
            raise GraphError("injected currents depend on the time", where=f"phase {phase}")
        total[:, 1:] += layer.injected.at(time)
    return total[:, 1:].reshape(v.shape) / graph.capacitance[: layer.nodes]


def hand_over(v: FloatArray, phase: Phase) -> FloatArray:
    """The voltages a phase starts with, given those that reach it.

    Args:
        v: ``[..., M]``, the input of the network or the output of the phase before.
        phase: the phase that starts, with N nodes.

    Returns:
        ``[..., N]``: the first N voltages, and for the nodes beyond M zeros or ``v`` repeated
        cyclically.
    """
    given = v.shape[-1]
    if given >= phase.nodes:
        return v[..., : phase.nodes]
    if phase.fill is Fill.REPEAT and given:
        return v[..., np.arange(phase.nodes) % given]
    return np.concatenate((v, np.zeros((*v.shape[:-1], phase.nodes - given))), axis=-1)


def phase_output(graph: Graph, phase: int, v: FloatArray, outputs: list[FloatArray]) -> FloatArray:
    """What a phase passes on: its final voltages ``v``, plus an earlier output where it has one.

    Args:
        graph: the circuit.
        phase: index of the phase that ended.
        v: ``[..., N]``, its final voltages.
        outputs: what the phases before it passed on.
    """
    source = graph.phases[phase].residual
    return v if source is None else v + outputs[source]
