"""Grouped edges become tables that are exact everywhere, not only at their points."""

from __future__ import annotations

import numpy as np
from graphs import graphs
from hypothesis import given
from hypothesis import strategies as st

from kcompile.ir import EdgeBatch, edge_currents
from kcompile.lower import piecewise_linear
from kcompile.lower.tables import segments
from kcompile.passes import GroupPairs, TabulatePairs, VoltageRange


def interpolate(table, group: int, u: np.ndarray) -> np.ndarray:
    """What a simulator's pwl() does: linear between points and beyond the outer ones."""
    part = slice(table.ptr[group], table.ptr[group + 1])
    x, y = table.x[part], table.y[part]
    k = np.clip(np.searchsorted(x, u) - 1, 0, len(x) - 2)
    return y[k] + (u - x[k]) * (y[k + 1] - y[k]) / (x[k + 1] - x[k])


@given(graph=graphs(phases=1), u=st.lists(st.floats(-20, 20), min_size=1, max_size=8))
def test_a_table_equals_the_sum_of_its_edges(graph, u):
    voltages = np.array(u)
    for batch in GroupPairs().apply(graph).graph.phases[0].batches:
        if batch.group_ptr is None:
            continue
        table = piecewise_linear(batch)
        for g in range(len(table.high)):
            assert (np.diff(table.x[table.ptr[g] : table.ptr[g + 1]]) > 0).all()
            edges = np.arange(batch.group_ptr[g], batch.group_ptr[g + 1])
            part = batch.take(edges)
            v = np.zeros((len(voltages), graph.nodes + 1))
            v[:, table.high[g]] = voltages
            leaving, _ = edge_currents(part, v)
            expected = (leaving * np.where(part.src == table.high[g], 1.0, -1.0)).sum(axis=1)
            scale = 1 + np.abs(table.y[table.ptr[g] : table.ptr[g + 1]]).max()
            np.testing.assert_allclose(interpolate(table, g, voltages), expected, atol=1e-9 * scale)


def test_a_table_does_not_depend_on_other_groups():
    """A running sum across groups would drown the small ones behind a large one."""

    def last_table(*large: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        w, c = np.array([*large, (0.3, 0.2), (-0.7, -0.1), (1e-3, 0.35)]).T
        src = np.where(np.arange(len(w)) < len(large), 2, 4)
        groups = [0, len(large), len(w)] if large else [0, len(w)]
        batch = EdgeBatch("relu", src, src - 1, w, 1.0, -1.0, c, group_ptr=groups)
        table = piecewise_linear(batch)
        part = slice(table.ptr[-2], None)
        return table.x[part], table.y[part]

    for alone, beside in zip(last_table(), last_table((1e16, -100.3), (3e15, 70.0)), strict=True):
        np.testing.assert_array_equal(alone, beside)


@given(graph=graphs(phases=1), u=st.lists(st.floats(-20, 20), min_size=1, max_size=8))
def test_points_and_segments_say_what_the_tables_of_a_pass_say(graph, u):
    nodes = graph.phases[0].nodes
    found = (VoltageRange(np.full(nodes, -1.0), np.full(nodes, 1.0)),)
    for batch in TabulatePairs(found, 1e-2).apply(graph).graph.phases[0].batches:
        if batch.tables is None:
            continue
        table, parts = piecewise_linear(batch), segments(batch)
        np.testing.assert_array_equal(parts.high, table.high)
        np.testing.assert_array_equal(parts.low, table.low)
        for value in u:
            expected = batch.tables.currents(np.full(len(batch.tables), value))
            for g, current in enumerate(expected):
                scale = 1e-12 * (1 + abs(current))
                assert abs(interpolate(table, g, np.array([value]))[0] - current) <= scale
                kinks = parts.kink[parts.ptr[g] : parts.ptr[g + 1]]
                place = int(np.searchsorted(kinks, value, side="right"))
                slope, offset = (
                    (parts.left_slope[g], parts.left_offset[g])
                    if place == 0
                    else (parts.slope[parts.ptr[g] + place - 1],
                          parts.offset[parts.ptr[g] + place - 1])
                )  # fmt: skip
                assert abs(float(slope * value + offset) - current) <= scale
