"""What must hold of every graph, checked with errors that name the phase and the edge."""

from __future__ import annotations

import math

import numpy as np

from kcompile.errors import GraphError
from kcompile.ir.graph import COEFFICIENTS, EdgeBatch, Graph, Phase


def validate(graph: Graph) -> Graph:
    """The same graph, once every invariant has been seen to hold.

    Raises:
        GraphError: no phase; a node, output, input count or residual that does not exist; an
            array of the wrong length; a coefficient, duration or capacitance that is not finite
            (capacitance and duration: positive); a grouping, or a table, that is not one; injected
            currents that do not cover their phase; batches whose edges have the same numbers.
    """
    if not graph.phases:
        raise GraphError("the graph has no phase")
    for index, phase in enumerate(graph.phases):
        _check_phase(graph, index, phase)
    if len(graph.capacitance) != graph.nodes:
        raise GraphError(f"{len(graph.capacitance)} capacitances for {graph.nodes} nodes")
    bad = np.flatnonzero(~(np.isfinite(graph.capacitance) & (graph.capacitance > 0)))
    if bad.size:
        node = int(bad[0]) + 1
        raise GraphError(
            f"capacitance {float(graph.capacitance[node - 1])!r} is not positive",
            where=f"node {node}",
        )
    if not 0 <= graph.inputs <= graph.phases[0].nodes:
        raise GraphError(f"{graph.inputs} inputs for {graph.phases[0].nodes} nodes of phase 0")
    last = graph.phases[-1].nodes
    if not len(graph.outputs):
        raise GraphError("no node is read out")
    if graph.outputs.min() < 1 or graph.outputs.max() > last:
        raise GraphError(f"a read-out node is outside 1..{last}, the nodes of the last phase")
    return graph


def _check_phase(graph: Graph, index: int, phase: Phase) -> None:
    where = f"phase {index}"
    if phase.nodes < 1:
        raise GraphError("it has no node", where=where)
    if not (math.isfinite(phase.duration) and phase.duration > 0):
        raise GraphError(f"duration {phase.duration!r} is not positive", where=where)
    if phase.residual is not None:
        if not 0 <= phase.residual < index:
            raise GraphError(
                f"residual from phase {phase.residual}, not an earlier one", where=where
            )
        source = graph.phases[phase.residual].nodes
        if source != phase.nodes:
            raise GraphError(f"residual adds {source} voltages to {phase.nodes}", where=where)
    for number, batch in enumerate(phase.batches):
        _check_batch(batch, phase.nodes, f"{where}, batch {number}")
    _check_traces(phase, where)
    _check_injected(phase, where)


def _check_injected(phase: Phase, where: str) -> None:
    injected = phase.injected
    if injected is None:
        return
    times, currents = injected.times, injected.currents
    if times.ndim != 1 or len(times) < 2 or currents.shape != (len(times), phase.nodes):
        raise GraphError(
            f"injected currents {currents.shape} at {times.shape} instants for {phase.nodes} nodes",
            where=where,
        )
    if not (np.isfinite(times).all() and np.isfinite(currents).all()):
        raise GraphError("an injected current or its time is not finite", where=where)
    if times[0] != 0 or not (np.diff(times) > 0).all() or times[-1] < phase.duration:
        raise GraphError("the injected currents' times do not cover the phase", where=where)


def _check_traces(phase: Phase, where: str) -> None:
    """Elements are named after the first checkpoint edge behind them: no two may share it."""
    if len(phase.batches) < 2:
        return
    first = np.sort(np.concatenate([batch.trace.first for batch in phase.batches]))
    same = np.flatnonzero(first[1:] == first[:-1])
    if same.size:
        raise GraphError(
            f"edges of two batches stand for the same checkpoint edge {first[same[0]]}",
            where=where,
            hint="number the edges of each batch on: trace=Trace.identity(count, start)",
        )


def _check_batch(batch: EdgeBatch, nodes: int, where: str) -> None:
    count = len(batch)
    if batch.src.ndim != 1 or batch.dst.shape != batch.src.shape or len(batch.trace) != count:
        raise GraphError("src, dst and trace differ in length", where=where)
    for name in ("src", "dst"):
        ends = getattr(batch, name)
        bad = np.flatnonzero((ends < 0) | (ends > nodes))
        if bad.size:
            edge = int(bad[0])
            raise GraphError(
                f"{name} {ends[edge]} of edge {edge} is outside 0..{nodes}", where=where
            )
    for name in COEFFICIENTS:
        values = getattr(batch, name)
        if values.ndim and values.shape != (count,):
            raise GraphError(f"{name} has {values.shape} values for {count} edges", where=where)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            edge = int(bad[0])
            raise GraphError(f"{name} of edge {edge} is {float(values.flat[edge])!r}", where=where)
    if batch.group_ptr is not None:
        _check_groups(batch, where)
    if batch.tables is not None:
        _check_tables(batch, where)


def _check_groups(batch: EdgeBatch, where: str) -> None:
    ptr = batch.group_ptr
    assert ptr is not None
    if ptr[0] != 0 or ptr[-1] != len(batch) or (np.diff(ptr) < 1).any():
        raise GraphError("group_ptr does not cut the edges into groups", where=where)
    if not ((batch.phi.piecewise_linear or batch.tables is not None) and batch.is_diff.all()):
        raise GraphError(
            "only diff edges that are piecewise linear, or have tables, can be grouped",
            where=where,
        )
    low, high = np.minimum(batch.src, batch.dst), np.maximum(batch.src, batch.dst)
    same = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
    inner = np.ones(max(len(batch) - 1, 0), dtype=bool)
    inner[ptr[1:-1] - 1] = False
    if not same[inner].all():
        raise GraphError("a group holds edges of different node pairs", where=where)


def _check_tables(batch: EdgeBatch, where: str) -> None:
    tables, ptr = batch.tables, batch.group_ptr
    assert tables is not None
    if ptr is None or len(tables) != len(ptr) - 1:
        raise GraphError(f"{len(tables)} tables, but not as many groups", where=where)
    count = len(tables.x)
    whole = tables.ptr[0] == 0 and tables.ptr[-1] == count and tables.y.shape == (count,)
    if not whole or (np.diff(tables.ptr) < 2).any():
        raise GraphError("a table has fewer than two points, or x and y differ", where=where)
    if not (np.isfinite(tables.x).all() and np.isfinite(tables.y).all()):
        raise GraphError("a table holds a number that is not finite", where=where)
    within = np.ones(max(count - 1, 0), dtype=bool)
    within[tables.ptr[1:-1] - 1] = False
    if not (np.diff(tables.x) > 0)[within].all():
        raise GraphError("the voltages of a table do not ascend", where=where)
