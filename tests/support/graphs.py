"""Random circuit graphs for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kcompile.ir import EdgeBatch, Graph, Phase, Phi, Trace, validate

# A coarse grid makes equal, opposite and zero coefficients likely: what passes look for.
_COEFFICIENTS = st.one_of(
    st.sampled_from([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0]),
    st.floats(-3, 3, allow_subnormal=False),
)


@st.composite
def batches(draw: st.DrawFn, nodes: int, start: int = 0) -> EdgeBatch:
    """A batch over nodes 0..nodes with many parallel, grounded, diff and zero edges."""
    phi = draw(st.sampled_from(list(Phi)))
    count = draw(st.integers(0, 12))
    node = st.integers(0, nodes)
    src = draw(st.lists(node, min_size=count, max_size=count))
    dst = draw(st.lists(node, min_size=count, max_size=count))
    columns = [
        np.array(draw(st.lists(_COEFFICIENTS, min_size=count, max_size=count)), dtype=float)
        for _ in range(4)
    ]
    w, a, b, c = columns
    diff = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=bool)
    b = np.where(diff, -a, b)
    if draw(st.booleans()):  # a published law: one number for the whole batch
        a, b = 1.0, -1.0
    return EdgeBatch(phi, src, dst, w, a, b, c, trace=Trace.identity(count, start))


@st.composite
def graphs(draw: st.DrawFn, *, phases: int = 2) -> Graph:
    """A valid graph of one or more phases."""
    built: list[Phase] = []
    for _ in range(draw(st.integers(1, phases))):
        nodes = draw(st.integers(1, 4))
        parts: list[EdgeBatch] = []
        for _ in range(draw(st.integers(0, 2))):
            parts.append(draw(batches(nodes, sum(map(len, parts)))))
        duration = draw(st.floats(0.1, 2.0))
        fill = draw(st.sampled_from(["zero", "repeat"]))
        built.append(Phase(nodes, duration, tuple(parts), fill))
    inputs = draw(st.integers(0, built[0].nodes))
    capacitance = draw(
        st.lists(
            st.floats(0.5, 2.0),
            min_size=max(p.nodes for p in built),
            max_size=max(p.nodes for p in built),
        )
    )
    return validate(Graph(tuple(built), inputs, [built[-1].nodes], capacitance))


def states(graph: Graph, phase: int) -> st.SearchStrategy[np.ndarray]:
    """Voltages of a phase's nodes."""
    count = graph.phases[phase].nodes
    return st.lists(st.floats(-5, 5), min_size=count, max_size=count).map(np.array)
