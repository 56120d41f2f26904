"""Noise currents have the density that is asked for, and flow out of one node into another."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model

from kcompile.ir import EdgeBatch, Graph, Phase, Phi, digest, validate
from kcompile.reference import FixedSteps
from kcompile.variations import Chance, read_variations, varied
from kcompile.variations.noise import incidence_root


def resistors(count: int, duration: float) -> Graph:
    """So many nodes, each with its capacitor and a resistor of 1 to ground."""
    edges = EdgeBatch(
        Phi.IDENTITY, np.arange(1, count + 1), np.zeros(count, int), 1.0, 1.0, -1.0, 0.0
    )
    return validate(Graph((Phase(count, duration, (edges,)),), 1, np.arange(1, count + 1)))


def test_a_resistors_noise_fills_its_capacitor_with_kt() -> None:
    """C dv/dt = -g v + i with density S: the variance ends at S / (4 g C), which is kT/C."""
    graph = resistors(500, 6.0)
    variations = read_variations(["noise.density=0.04", "noise.step=0.02"])
    finals = np.concatenate(
        [
            FixedSteps().outputs(varied(graph, variations, Chance(0, k)), np.zeros((1, 500)), 300)
            for k in range(10)
        ]
    )
    assert finals.size >= 4000
    assert finals.std() == pytest.approx(np.sqrt(0.04 / 4), rel=0.03)
    assert abs(finals.mean()) < 5 * finals.std() / np.sqrt(finals.size)


def test_currents_of_one_device_are_opposite_at_its_nodes() -> None:
    phase = make_model(nodes=(3,)).graph.phases[0]
    root = incidence_root(phase)
    (batch,) = phase.batches
    expected = np.zeros((4, 4))
    for s, d in zip(batch.src.tolist(), batch.dst.tolist(), strict=True):
        u = np.zeros(4)
        u[s], u[d] = -1, 1
        expected += np.outer(u, u)
    assert root @ root.T == pytest.approx(expected[1:, 1:])


def test_without_ground_noise_moves_charge_but_makes_none() -> None:
    edges = EdgeBatch(Phi.RELU, [1, 2, 3], [2, 3, 1], 0.1, 1.0, -1.0, 0.0)
    graph = validate(Graph((Phase(3, 1.0, (edges,)),), 3, [1, 2, 3]))
    drawn = varied(graph, read_variations(["noise.density=0.1"]), Chance(0, 1))
    v0 = np.array([[0.3, -0.1, 0.5]])
    final = FixedSteps().outputs(drawn, v0, 200)
    assert np.abs(final - v0).max() > 0.01
    assert final.sum() == pytest.approx(v0.sum(), abs=1e-9)


def test_the_step_sets_the_band_and_not_the_density() -> None:
    phase = make_model(nodes=(3,)).graph.phases[0]
    currents = {}
    for step in (0.01, 0.05):
        variations = read_variations(["noise.density=0.3", f"noise.step={step}"])
        graph = varied(make_model(nodes=(3,)).graph, variations, Chance(0, 0))
        currents[step] = graph.phases[0].injected
    for step, injected in currents.items():
        assert len(injected.times) == round(phase.duration / step) + 1
        variance = 0.3 / (2 * step)
        expected = variance * np.trace(incidence_root(phase) @ incidence_root(phase).T)
        found = (injected.currents**2).sum(axis=1).mean()
        assert found == pytest.approx(expected, rel=6 / np.sqrt(len(injected.times)))


def test_digests_and_checks_know_injected_currents() -> None:
    graph = make_model(nodes=(3,)).graph
    variations = read_variations(["noise.density=0.3"])
    one, other = (varied(graph, variations, Chance(0, k)) for k in range(2))
    assert len({digest(graph), digest(one), digest(other)}) == 3
