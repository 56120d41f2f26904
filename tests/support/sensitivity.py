"""What a change of a network does to its answers, by the ODE: what edited decks are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, hand_over, phase_output
from kcompile.lower.tables import piecewise_linear
from kcompile.reference import solve

FINE = 1e-6
"""Tolerance of single solutions: a thousandth of what verdicts allow by default."""


def outputs(graph: Graph, v0: FloatArray) -> FloatArray:
    """The golden solution's read-outs ``[M]`` for one start ``[N]``."""
    return solve(graph, v0[None], FINE).outputs[0]


def with_batches(graph: Graph, phase: int, *batches: EdgeBatch) -> Graph:
    """The same graph with other edges in one phase."""
    phases = [*graph.phases]
    phases[phase] = phases[phase].with_batches(batches)
    return graph.with_phases(tuple(phases))


def with_duration(graph: Graph, phase: int, duration: float) -> Graph:
    """The same graph, one phase of which lasts longer or shorter."""
    phases = [*graph.phases]
    phases[phase] = replace(phases[phase], duration=duration)
    return graph.with_phases(tuple(phases))


def batch_of(graph: Graph, phase: int) -> EdgeBatch:
    """The one batch of a phase."""
    (batch,) = graph.phases[phase].batches
    return batch


def changed(graph: Graph, phase: int, edges: Sequence[int], **columns: Sequence[float]) -> Graph:
    """The same graph with other coefficients of some edges of a phase."""
    batch = batch_of(graph, phase)
    new = {name: batch.column(name).copy() for name in columns}
    for name, values in columns.items():
        new[name][list(edges)] = values
    return with_batches(graph, phase, replace(batch, **new))


def sensitivities(graph: Graph, v0: FloatArray, phase: int, name: str) -> FloatArray:
    """d(read-outs)/d(coefficient ``name``) of the edges of a phase's last batch, ``[E, M]``.

    Central differences of solutions by the classical Runge-Kutta method, all edges at once.
    """
    step = 1e-3
    base = graph.phases[phase].batches[-1].column(name)
    shifts = step * np.concatenate((np.eye(len(base)), -np.eye(len(base))))
    v = np.tile(v0, (len(shifts), 1))
    passed: list[FloatArray] = []
    for index, layer in enumerate(graph.phases):
        given = {name: base + shifts} if index == phase else {}
        v = _run(layer, hand_over(v, layer), given)
        v = phase_output(graph, index, v, passed)
        passed.append(v)
    found = v[:, graph.outputs - 1]
    return (found[: len(base)] - found[len(base) :]) / (2 * step)


def _run(layer: Phase, v: FloatArray, given: dict[str, FloatArray], steps: int = 64) -> FloatArray:
    """V solutions of a phase; ``given`` replaces coefficients ``[V, E]`` of its last batch."""
    prepared: list[tuple[EdgeBatch, list[FloatArray], FloatArray]] = []
    for batch in layer.batches:
        own = given if batch is layer.batches[-1] else {}
        coefficients = [own.get(name, batch.column(name)) for name in "wabc"]
        incidence = np.zeros((len(batch), layer.nodes + 1))
        np.add.at(incidence, (np.arange(len(batch)), batch.dst), 1.0)
        np.add.at(incidence, (np.arange(len(batch)), batch.src), -1.0)
        prepared.append((batch, coefficients, incidence))

    def rate(v: FloatArray) -> FloatArray:
        grounded = np.concatenate((np.zeros((len(v), 1)), v), axis=1)
        total = np.zeros_like(grounded)
        for batch, (w, a, b, c), incidence in prepared:
            argument = a * grounded[:, batch.src] + b * grounded[:, batch.dst] + c
            total += (w * batch.phi(argument)) @ incidence
        return total[:, 1:]

    h = layer.duration / steps
    for _ in range(steps):
        k1 = rate(v)
        k2 = rate(v + h / 2 * k1)
        k3 = rate(v + h / 2 * k2)
        v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(v + h * k3))
    return v


@dataclass(frozen=True)
class Hat:
    """What raising an inner point of a table adds to its function: three relu edges.

    Args:
        group: number of the group of edges.
        ends: its nodes, high and low.
        point: number of the point in its table.
        x: the abscissae before, at and after the point.
        last: whether the one after it is the table's last, whose slope goes on beyond it.
    """

    group: int
    ends: tuple[int, int]
    point: int
    x: FloatArray
    last: bool

    @property
    def slopes(self) -> FloatArray:
        """How the slope changes at each abscissa, for a hat of height 1."""
        rise, fall = 1 / np.diff(self.x)
        return np.array([rise, -rise - fall, 0.0 if self.last else fall])


def hats(graph: Graph, phase: int) -> list[Hat]:
    """The inner points of all tables of a grouped graph, but for each table's second.

    Raising that one would turn the line that goes on for ever to the left, which no relu edge does.
    """
    found = piecewise_linear(batch_of(graph, phase))
    ends = zip(found.high.tolist(), found.low.tolist(), strict=True)
    tables = [found.x[found.ptr[k] : found.ptr[k + 1]] for k in range(len(found.high))]
    return [
        Hat(group, pair, point, x[point - 1 : point + 2], point == len(x) - 2)
        for group, (pair, x) in enumerate(zip(ends, tables, strict=True))
        for point in range(2, len(x) - 1)
    ]


def with_hats(graph: Graph, phase: int, added: Sequence[Hat], height: float) -> Graph:
    """The graph with points of its tables raised by ``height``."""
    ends = np.repeat([hat.ends for hat in added], 3, axis=0)
    slopes = np.concatenate([hat.slopes for hat in added])
    x = np.concatenate([hat.x for hat in added])
    batch = EdgeBatch("relu", ends[:, 0], ends[:, 1], height * slopes, 1.0, -1.0, -x)
    return with_batches(graph, phase, *graph.phases[phase].batches, batch)


def hat_sensitivities(graph: Graph, v0: FloatArray, phase: int, added: Sequence[Hat]) -> FloatArray:
    """d(read-outs)/d(height) of every hat, ``[H, M]``."""
    weights = sensitivities(with_hats(graph, phase, added, 0.0), v0, phase, "w")
    slopes = np.stack([hat.slopes for hat in added])
    return (weights.reshape(len(added), 3, -1) * slopes[:, :, None]).sum(axis=1)


def with_groups_swapped(graph: Graph, phase: int, one: int, other: int) -> Graph:
    """A grouped graph in which the devices of two groups have changed places."""
    batch = batch_of(graph, phase)
    ptr = batch.group_ptr
    assert ptr is not None
    src, dst = batch.src.copy(), batch.dst.copy()
    high, low = np.maximum(src, dst)[ptr[:-1]], np.minimum(src, dst)[ptr[:-1]]
    for group, target in ((one, other), (other, one)):
        members = slice(ptr[group], ptr[group + 1])
        upwards = batch.src[members] == high[group]
        src[members] = np.where(upwards, high[target], low[target])
        dst[members] = np.where(upwards, low[target], high[target])
    return with_batches(graph, phase, replace(batch, src=src, dst=dst, group_ptr=None))
