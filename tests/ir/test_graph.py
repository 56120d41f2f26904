"""The circuit graph: arrays, validation, digest, traces, the networkx view."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from graphs import graphs
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import GraphError
from kcompile.ir import (
    EdgeBatch,
    Fill,
    Graph,
    Phase,
    Tables,
    Trace,
    digest,
    to_networkx,
    validate,
    write_graphml,
)


def batch(**changes) -> EdgeBatch:
    fields = {"phi": "relu", "src": [1, 2], "dst": [2, 0], "w": [1.0, 2.0], "a": 1.0, "b": -1.0,
              "c": [0.1, 0.2]}  # fmt: skip
    return EdgeBatch(**{**fields, **changes})


def tabulated(*, ptr=(0, 2, 4), x=(0.0, 1.0, -1.0, 1.0), y=(0.0, 1.0, 2.0, 3.0), **changes):
    fields = {"phi": "tanh", "group_ptr": [0, 1, 2], "tables": Tables(ptr, x, y), **changes}
    return batch(**fields)


def graph(edges: EdgeBatch | None = None, *, phase=None, **changes) -> Graph:
    layer = {"nodes": 2, "duration": 1.0, "batches": (edges or batch(),), **(phase or {})}
    fields = {"phases": (Phase(**layer),), "inputs": 1, "outputs": [2], **changes}
    return Graph(**fields)


def test_arrays_are_frozen_and_typed():
    edges = batch()
    assert edges.src.dtype == np.int32
    assert edges.w.dtype == np.float64
    for name in ("src", "dst", "w", "a", "b", "c"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(edges, name)[...] = 0
    assert edges.column("a").tolist() == [1.0, 1.0]
    assert edges.is_diff.all()


def test_freezing_does_not_freeze_the_callers_array():
    w = np.array([1.0, 2.0])
    batch(w=w)
    w[0] = 3.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": batch(src=[1, 3])}, "src 3 of edge 1 is outside 0..2"),
        ({"edges": batch(dst=[-1, 0])}, "dst -1 of edge 0"),
        ({"edges": batch(w=[1.0, float("nan")])}, "w of edge 1 is nan"),
        ({"edges": batch(c=[float("inf"), 0.0])}, "c of edge 0 is inf"),
        ({"edges": batch(w=[1.0])}, r"w has \(1,\) values for 2 edges"),
        ({"edges": batch(dst=[1])}, "differ in length"),
        ({"edges": batch(group_ptr=[0, 2])}, "different node pairs"),
        ({"edges": batch(phi="tanh", group_ptr=[0, 1, 2])}, "piecewise linear, or have"),
        ({"edges": tabulated(group_ptr=None)}, "2 tables, but not as many groups"),
        ({"edges": tabulated(ptr=[0, 3])}, "1 tables, but not as many groups"),
        ({"edges": tabulated(ptr=[0, 2, 3])}, "fewer than two points"),
        ({"edges": tabulated(ptr=[0, 2, 4], y=[1.0])}, "x and y differ"),
        ({"edges": tabulated(x=[0.0, 0.0, -1.0, 1.0])}, "do not ascend"),
        ({"edges": tabulated(y=[0.0, 0.0, 0.0, float("nan")])}, "not finite"),
        ({"edges": batch(group_ptr=[0, 1])}, "does not cut"),
        ({"phase": {"duration": 0.0}}, "duration 0.0 is not positive"),
        ({"phase": {"duration": float("inf")}}, "duration inf"),
        ({"phase": {"nodes": 0, "batches": ()}, "inputs": 0}, "it has no node"),
        ({"phase": {"residual": 0}}, "not an earlier one"),
        ({"phases": ()}, "no phase"),
        ({"inputs": 3}, "3 inputs for 2 nodes"),
        ({"inputs": -1}, "-1 inputs"),
        ({"outputs": []}, "no node is read out"),
        ({"outputs": [0]}, "outside 1..2"),
        ({"outputs": [3]}, "outside 1..2"),
        ({"capacitance": [1.0, 0.0]}, "node 2: capacitance"),
        ({"capacitance": [1.0]}, "1 capacitances for 2 nodes"),
    ],
)
def test_broken_graphs_are_named_precisely(changes, message):
    with pytest.raises(GraphError, match=message):
        validate(graph(**changes))


def test_a_residual_of_another_size_is_refused():
    phases = (Phase(1, 1.0, ()), Phase(2, 1.0, (), residual=0))
    with pytest.raises(GraphError, match="adds 1 voltages to 2"):
        validate(Graph(phases, 1, [2]))


def test_batches_are_numbered_on():
    """Elements are named after edges: two of one name are no deck."""
    more = batch(phi="identity", trace=Trace.identity(2, 2))
    assert validate(graph(phase={"batches": (batch(), more)}))
    with pytest.raises(GraphError, match="phase 0: .*same checkpoint edge 0; .*Trace.identity"):
        validate(graph(phase={"batches": (batch(), batch(phi="identity"))}))


@given(graph=graphs())
def test_the_digest_is_of_content(graph: Graph):
    same = Graph(graph.phases, graph.inputs, graph.outputs.copy(), graph.capacitance.copy())
    assert digest(same) == digest(graph)


@pytest.mark.parametrize(
    "other",
    [
        graph(batch(w=[1.0, 2.0000000000000004])),
        graph(batch(phi="tanh")),
        graph(batch(src=[2, 1], dst=[0, 2], w=[2.0, 1.0], c=[0.2, 0.1])),
        graph(batch(group_ptr=[0, 1, 2])),
        graph(phase={"duration": 2.0}),
        graph(phase={"fill": Fill.REPEAT}),
        graph(inputs=2),
        graph(outputs=[1]),
        graph(capacitance=[1.0, 2.0]),
    ],
)
def test_the_digest_tells_different_graphs_apart(other):
    assert digest(validate(other)) != digest(graph())


def test_one_number_and_a_column_of_it_are_the_same_graph():
    assert digest(graph(batch(a=[1.0, 1.0]))) == digest(graph())


@given(data=st.data())
def test_traces_survive_reordering_and_merging(data):
    count = data.draw(st.integers(1, 8))
    order = np.array(data.draw(st.permutations(range(count))))
    starts = np.array(sorted({0, *data.draw(st.sets(st.integers(0, count - 1)))}))
    trace = Trace.identity(count, 5).take(order).merge(starts)
    runs = np.split(order + 5, starts[1:])
    assert len(trace) == len(runs)
    again = trace.take(np.arange(len(runs))[::-1])
    for k, run in enumerate(reversed(runs)):
        assert again.index[again.ptr[k] : again.ptr[k + 1]].tolist() == run.tolist()
    assert again.first.tolist() == [run[0] for run in reversed(runs)]


def test_networkx_view_keeps_multi_edges_ground_and_roles(tmp_path):
    edges = batch(src=[1, 1, 0], dst=[2, 2, 1], w=[1.0, 2.0, 3.0], c=0.5)
    one = validate(graph(edges))
    view = to_networkx(one)
    assert view.number_of_edges(1, 2) == 2
    assert view.nodes[0]["role"] == "ground"
    assert (view.nodes[1]["role"], view.nodes[2]["role"]) == ("input", "output")
    assert view.edges[0, 1, 2] == {"phi": "relu", "w": 3.0, "a": 1.0, "b": -1.0, "c": 0.5}
    write_graphml(one, tmp_path / "g.graphml")
    back = nx.read_graphml(tmp_path / "g.graphml", node_type=int, force_multigraph=True)
    assert sorted(w for _, _, w in back.edges(data="w")) == [1.0, 2.0, 3.0]
    with pytest.raises(GraphError, match="no phase 1"):
        to_networkx(one, 1)


def test_live_says_where_a_node_holds_a_voltage():
    two = Graph((Phase(1, 1.0, ()), Phase(3, 1.0, ())), 1, [3])
    assert two.live(1) == (0, 1)
    assert two.live(2) == (1,)
    assert (two.nodes, two.edges, two.duration) == (3, 0, 2.0)


def test_tables_count_in_the_digest():
    plain, other = tabulated(), tabulated(y=[0.0, 1.0, 2.0, 3.5])
    assert digest(validate(graph(plain))) == digest(graph(tabulated()))
    assert digest(graph(plain)) != digest(graph(other))


def test_tables_are_linear_between_and_beyond_their_points():
    tables = Tables([0, 2, 5], [0.0, 1.0, -1.0, 0.0, 2.0], [1.0, 3.0, 5.0, 4.0, 0.0])
    u = np.array([[-1.0, -2.0], [0.5, -1.0], [2.0, 0.0], [0.0, 1.0], [1.0, 4.0]])
    expected = [[-1.0, 6.0], [2.0, 5.0], [5.0, 4.0], [1.0, 2.0], [3.0, -4.0]]
    assert tables.currents(u).tolist() == expected
    assert tables.part(1, 2).currents(np.array([1.0])).tolist() == [2.0]


def test_edges_taken_from_a_tabulated_batch_are_themselves_again():
    alone = tabulated().take([1])
    assert alone.group_ptr is None
    assert alone.tables is None
