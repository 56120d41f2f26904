"""What a network computes with its training solver, and converged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import as_tensor, graph_of, random_edges
from solutions import converged_solution
from torchdiffeq import odeint

from kcompile import frontend
from kcompile.errors import InputError, SolverError
from kcompile.nn import KirchhoffNet, Layer, Solver, training_solution
from kcompile.reference import solve

PUBLISHED = Path(
    os.environ.get("KCOMPILE_PUBLISHED") or Path(__file__).parents[3] / "shared" / "published"
)


def network(solver: Solver | None = None) -> KirchhoffNet:
    """One relu layer of six nodes, one of four."""
    random = np.random.default_rng(8)
    layers = [
        Layer(random_edges("shift_relu", 6, 40, random), 6, 1.0),
        Layer(random_edges("tanh_diff", 4, 20, random), 4, 0.5),
    ]
    net = KirchhoffNet(layers, 5, [4, 2], solver=solver)
    for parameters in net.parameters():
        parameters.data *= 0.5
    return net


def test_converged_is_the_reference() -> None:
    net = network()
    graph = graph_of(net)
    inputs = np.random.default_rng(1).uniform(size=(3, 5))
    got = converged_solution(net, inputs, 1e-6)
    start = np.concatenate((inputs, np.zeros((3, 1))), axis=1)
    expected = solve(graph, start, 1e-4).outputs
    assert got.error <= 1e-6
    np.testing.assert_allclose(got.outputs, expected, rtol=0, atol=2e-4)
    assert net.dtype is torch.float64


def test_converged_leaves_the_network_in_float32() -> None:
    net = network().float()
    converged_solution(net, np.zeros((1, 5)))
    assert net.dtype is torch.float32


def test_a_tolerance_that_float64_does_not_carry_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kcompile.nn.solution._MOST", 128)
    with pytest.raises(SolverError, match="at 128 steps a layer"):
        converged_solution(network(), np.ones((1, 5)), 1e-18)


def test_training_solution_uses_the_recorded_settings_in_float32() -> None:
    coarse = Solver("rk4", steps=2)
    model = network(coarse).to_checkpoint().model()
    inputs = np.random.default_rng(2).uniform(size=(4, 5))
    expected = network().float()(as_tensor(inputs), coarse).detach().numpy()
    got = training_solution(model, inputs)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(got - converged_solution(network(), inputs).outputs).max() > 1e-4


def test_training_solution_solves_the_batch_together() -> None:
    """Published settings: a sample's answer moves with its batch-mates; that is what we report."""
    options = {"min_step": 1e-2, "first_step": 0.2}
    model = network(Solver("dopri5", 1e-2, 1e-2, options=options)).to_checkpoint().model()
    inputs = np.random.default_rng(3).uniform(size=(6, 5)) * np.array(
        [[1], [9], [3], [1], [5], [2]]
    )
    together = training_solution(model, inputs)
    alone = np.concatenate([training_solution(model, row[None]) for row in inputs])
    net = network().float()
    layers = list(net.phases)
    v = layers[0].hand_over(as_tensor(inputs).float().T)
    for layer in layers:
        field = layer.form().derivative
        times = torch.tensor([0.0, layer.duration])
        v = layer.hand_over(v)
        v = odeint(
            lambda t, u, field=field: field(u), v, times, rtol=1e-2, atol=1e-2, method="dopri5",
            options=options,
        )[-1]  # fmt: skip
    expected = v[[3, 1]].T.detach().numpy()
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(together - alone).max() > 1e-4


def test_training_solution_refuses() -> None:
    checkpoint = network().to_checkpoint()
    with pytest.raises(InputError):
        training_solution(checkpoint.model(), np.zeros((1, 3)))
    object.__setattr__(checkpoint, "solver", None)
    with pytest.raises(SolverError, match="which solver"):
        training_solution(checkpoint.model(), np.zeros((1, 5)))


@pytest.mark.parametrize("name", ["twomoon", "circle", "potential2", "genmnist"])
def test_published_settings_come_near_the_answer(name: str) -> None:
    if not (PUBLISHED / name).is_dir():
        pytest.skip(f"no published checkpoints in {PUBLISHED}; set KCOMPILE_PUBLISHED")
    model = frontend.load(PUBLISHED / name / "model.pth")
    inputs = np.random.default_rng(0).standard_normal((2, model.input_width))
    got = training_solution(model, inputs)
    net = KirchhoffNet.from_graph(model.graph)
    with torch.no_grad():
        tight = net(as_tensor(inputs), Solver("dopri5", 1e-6, 1e-6)).numpy()
    error = np.abs(got - tight).max()
    assert 0 < error < 0.05 * max(1.0, np.abs(tight).max())
