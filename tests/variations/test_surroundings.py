"""What loads the nodes, and the capacitors: as documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model

from kcompile.ir import Graph, Phi
from kcompile.reference import FixedSteps, solve
from kcompile.variations import Chance, draw, read_variations, varied
from kcompile.variations.surroundings import degrees


def quiet(*nodes: int) -> Graph:
    """A circuit whose edges carry nothing."""
    graph = make_model(nodes=nodes).graph
    phases = (
        replace(phase, batches=tuple(replace(b, w=np.zeros(())) for b in phase.batches))
        for phase in graph.phases
    )
    return replace(graph, phases=tuple(phases))


def outputs(graph: Graph, start: list[float]) -> np.ndarray:
    v0 = np.zeros((1, graph.phases[0].nodes))
    v0[0, : len(start)] = start
    return solve(graph, v0, 1e-6).outputs[0]


def test_a_leaking_node_decays_exponentially() -> None:
    graph = varied(quiet(2), read_variations(["leakage.conductance=0.5"]), Chance(0, 0))
    expected = np.exp(-0.5 * graph.duration)
    assert outputs(graph, [1.0, -2.0]) == pytest.approx([expected, -2 * expected], rel=1e-5)


def test_a_leaking_current_discharges_linearly() -> None:
    graph = varied(quiet(2), read_variations(["leakage.current=0.25"]), Chance(0, 0))
    drop = 0.25 * graph.duration
    assert outputs(graph, [1.0, -2.0]) == pytest.approx([1 - drop, -2 - drop], rel=1e-6)


def test_a_hold_adds_droop_between_layers_and_nothing_else() -> None:
    words = ["leakage.conductance=0.1", "leakage.hold=2"]
    graph = varied(quiet(2, 2, 2), read_variations(words), Chance(0, 0))
    assert len(graph.phases) == 5
    time = sum(p.duration for p in make_model(nodes=(2, 2, 2)).graph.phases) + 2 * 2.0
    assert outputs(graph, [1.0, 0.5]) == pytest.approx(
        [np.exp(-0.1 * time), 0.5 * np.exp(-0.1 * time)], rel=1e-5
    )


def test_residuals_find_their_layer_across_holds() -> None:
    model = make_model(nodes=(3, 3, 3), residual=0)
    words = ["leakage.conductance=1e-9", "leakage.hold=1e-3"]
    graph = varied(model.graph, read_variations(words), Chance(0, 0))
    v0 = model.initial_voltages(np.array([[0.4, -0.2]]))
    plain, held = solve(model.graph, v0, 1e-6).outputs, solve(graph, v0, 1e-6).outputs
    assert held == pytest.approx(plain, abs=1e-6)


def test_leaks_spread_over_nodes_around_their_mean() -> None:
    variations = read_variations(["leakage.conductance=0.2", "leakage.spread=0.3"])
    graph = quiet(4)
    leaks = np.array(
        [
            varied(graph, variations, Chance(0, k)).phases[0].batches[-1].column("w")
            for k in range(2000)
        ]
    )
    assert (leaks > 0).all()
    assert abs(leaks.mean() / 0.2 - 1) < 5 * 0.3 / np.sqrt(leaks.size)
    assert leaks.std() / 0.2 == pytest.approx(0.3, rel=0.05)
    assert np.abs(np.corrcoef(leaks.T) - np.eye(4)).max() < 5 / np.sqrt(len(leaks))


def test_output_conductance_loads_both_nodes_of_every_device() -> None:
    model = make_model(nodes=(3,))
    graph = varied(model.graph, read_variations(["output.conductance=0.01"]), Chance(0, 0))
    *_, load = graph.phases[0].batches
    (batch,) = model.graph.phases[0].batches
    expected = np.zeros(4)
    np.add.at(expected, batch.src, 0.01 * np.abs(batch.w))
    np.add.at(expected, batch.dst, 0.01 * np.abs(batch.w))
    assert load.phi is Phi.IDENTITY
    assert load.src.tolist() == [1, 2, 3]
    assert load.column("w") == pytest.approx(expected[1:])


def test_capacitors_differ_by_the_spread_that_is_asked_for() -> None:
    graph = make_model(nodes=(5,)).graph
    variations = read_variations(["capacitors.mismatch=0.04"])
    found = np.array([varied(graph, variations, Chance(3, k)).capacitance for k in range(2000)])
    assert abs(found.mean() - 1) < 5 * 0.04 / np.sqrt(found.size)
    assert found.std() == pytest.approx(0.04, rel=0.05)
    assert np.abs(np.corrcoef(found.T) - np.eye(5)).max() < 5 / np.sqrt(len(found))


def test_parasitics_grow_with_the_degree() -> None:
    graph = make_model(nodes=(2, 4)).graph
    found = varied(graph, read_variations(["capacitors.parasitic=0.01"]), Chance(0, 0))
    # Each pair of nodes and ground has two edges: 2 * (nodes + ground - 1) terminals a layer.
    assert degrees(graph).tolist() == [4 + 8, 4 + 8, 8, 8]
    assert found.capacitance == pytest.approx(1 + 0.01 * degrees(graph))


def test_added_elements_bear_numbers_beyond_the_checkpoint() -> None:
    """Elements are named after them; the checkpoint's own keep their names."""
    model = make_model(nodes=(3,))
    words = ["leakage.conductance=0.1", "leakage.current=0.1", "output.conductance=0.1"]
    graph = draw(model, read_variations(words)).model.graph
    edges = model.graph.edges
    named = np.concatenate([batch.trace.first for batch in graph.phases[0].batches])
    assert sorted(named.tolist()) == list(range(edges + 6))


def test_fixed_steps_know_leaks() -> None:
    model = make_model(nodes=(3, 3))
    words = ["leakage.conductance=0.2", "capacitors.mismatch=0.1", "leakage.hold=0.3"]
    graph = draw(model, read_variations(words)).model.graph
    v0 = model.initial_voltages(np.array([[0.4, -0.2], [1.0, 2.0]]))
    assert FixedSteps().outputs(graph, v0, 400) == pytest.approx(
        solve(graph, v0, 1e-6).outputs, abs=1e-5
    )
