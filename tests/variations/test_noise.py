"""Noise currents have the density that is asked for, and flow out of one node into another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model

from kcompile.errors import UsageError
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, Graph, Phase, Phi, validate
from kcompile.reference import FixedSteps
from kcompile.variations import draw, read_variations
from kcompile.variations.noise import _covariance, _root


def resistors(count: int, duration: float) -> Model:
    """So many nodes, each with its capacitor and a resistor of 1 to ground."""
    edges = EdgeBatch(
        Phi.IDENTITY, np.arange(1, count + 1), np.zeros(count, int), 1.0, 1.0, -1.0, 0.0
    )
    graph = Graph((Phase(count, duration, (edges,)),), 1, np.arange(1, count + 1))
    return Model(validate(graph), "conductance")


def noisy(model: Model, *words: str, samples: int = 1, index: int = 0) -> np.ndarray:
    """The read-outs of one circuit, every sample from 0 V."""
    drawn = draw(model, read_variations(words), 0, index)
    start = np.zeros((samples, model.graph.phases[0].nodes))
    return FixedSteps().outputs(drawn.model.graph, start, 300, currents=drawn.injected)


def currents(*words: str, nodes: tuple[int, ...] = (3,), sample: int = 0) -> list:
    """The currents of every phase, ``[K, N]`` each; None where there are none."""
    found = draw(make_model(nodes=nodes), read_variations(words)).injected(sample)
    return [None if each is None else each.currents for each in found]


def test_a_resistors_noise_fills_its_capacitor_with_kt() -> None:
    """C dv/dt = -g v + i with density S: the variance ends at S / (4 g C), which is kT/C."""
    finals = noisy(resistors(500, 6.0), "noise.density=0.04", "noise.step=0.02", samples=10)
    assert finals.size >= 4000
    assert finals.std() == pytest.approx(np.sqrt(0.04 / 4), rel=0.03)
    assert abs(finals.mean()) < 5 * finals.std() / np.sqrt(finals.size)


@pytest.mark.parametrize("step", [0.01, 0.1, 0])
def test_the_charge_that_it_moves_is_white_noises_whatever_the_step(step: float) -> None:
    """Into a capacitor alone: the variance is S T / 2."""
    model = resistors(500, 1.0)
    (phase,) = model.graph.phases
    (batch,) = phase.batches
    quiet = replace(batch, w=np.full(500, 1e-12))
    graph = replace(model.graph, phases=(replace(phase, batches=(quiet,)),))
    words = ("noise.density=0.3", f"noise.step={step}")
    finals = noisy(replace(model, graph=graph), *words, samples=8)
    assert finals.var() == pytest.approx(0.15, rel=5 * np.sqrt(2 / finals.size))


def test_every_sample_and_every_circuit_has_noise_of_its_own() -> None:
    model = resistors(40, 1.0)
    finals = np.stack([noisy(model, "noise.density=0.1", samples=6, index=k) for k in range(6)])
    rows = np.corrcoef(finals.reshape(36, 40))
    off = rows[~np.eye(36, dtype=bool)]
    assert np.abs(off).max() < 0.8
    assert abs(off.mean()) < 5 / np.sqrt(off.size * 40 / 2)
    again = noisy(model, "noise.density=0.1", samples=3, index=2)
    assert again == pytest.approx(finals[2, :3], abs=1e-12)


def test_currents_of_one_device_are_opposite_at_its_nodes() -> None:
    phase = make_model(nodes=(3,)).graph.phases[0]
    root = _root(_covariance(phase, phase.edges))
    (batch,) = phase.batches
    expected = np.zeros((4, 4))
    for s, d in zip(batch.src.tolist(), batch.dst.tolist(), strict=True):
        u = np.zeros(4)
        u[s], u[d] = -1, 1
        expected += np.outer(u, u)
    assert root @ root.T == pytest.approx(expected[1:, 1:])
    assert root == pytest.approx(root.T)


def test_without_ground_noise_moves_charge_but_makes_none() -> None:
    edges = EdgeBatch(Phi.RELU, [1, 2, 3], [2, 3, 1], 0.1, 1.0, -1.0, 0.0)
    model = Model(validate(Graph((Phase(3, 1.0, (edges,)),), 3, [1, 2, 3])), "shift_relu")
    final = noisy(model, "noise.density=0.1")
    assert np.abs(final).max() > 0.01
    assert final.sum() == pytest.approx(0, abs=1e-9)


def test_devices_that_carry_nothing_and_leaks_make_no_noise() -> None:
    model = make_model(nodes=(3,))
    drawn = draw(model, read_variations(["stuck.open=1", "noise.density=0.1"]))
    assert drawn.injected(0) == (None,)
    words = ["noise.density=0.1", "noise.step=0.01"]
    (loaded,) = currents(*words, "leakage.conductance=0.1")
    (plain,) = currents(*words)
    assert (loaded == plain).all()


def test_pauses_have_none_and_layers_keep_their_own() -> None:
    words = ["noise.density=0.1", "leakage.conductance=0.1"]
    held = currents(*words, "leakage.hold=0.5", nodes=(3, 3), sample=1)
    plain = currents(*words, nodes=(3, 3), sample=1)
    assert held[1] is None
    assert (held[0] == plain[0]).all()
    assert (held[2] == plain[1]).all()


@pytest.mark.parametrize("step", [0.3, 1e-9])
def test_steps_that_make_no_noise_are_refused(step: float) -> None:
    with pytest.raises(UsageError, match=r"noise\.step"):
        draw(make_model(), read_variations(["noise.density=0.1", f"noise.step={step}"]))
