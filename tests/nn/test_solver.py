"""Solvers: the values they give and the gradients through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import as_tensor, random_edges
from torch import Tensor
from torchdiffeq import odeint

from kcompile.errors import SolverError
from kcompile.frontend.model import TrainingSolver
from kcompile.nn import KirchhoffNet, Layer, Solver, integrate

TIGHT = Solver("dopri8", rtol=1e-11, atol=1e-11)


def network(law: str = "tanh_affine") -> KirchhoffNet:
    """Two layers that shrink, with a capacitance at every node."""
    random = np.random.default_rng(11)
    layers = [
        Layer(random_edges(law, 4, 14, random), 4, 0.8),
        Layer(random_edges(law, 3, 10, random), 3, 0.4),
    ]
    return KirchhoffNet(layers, 3, [1, 3], np.array([0.7, 1.0, 1.6, 2.0]))


def gradients(net: KirchhoffNet, inputs: Tensor, solver: Solver) -> list[Tensor]:
    """Of a loss with respect to inputs and parameters."""
    inputs = inputs.clone().requires_grad_()
    loss = (net(inputs, solver) ** 3).sum()
    return list(torch.autograd.grad(loss, [inputs, *net.parameters()]))


def test_rk4_is_that_of_torchdiffeq() -> None:
    layer = Layer(random_edges("relu_affine", 4, 20, np.random.default_rng(1)), 4, 1.3)
    v = as_tensor(np.random.default_rng(2).normal(size=(4, 5)))
    field = layer.form().derivative
    expected = odeint(
        lambda t, u: field(u),
        v,
        as_tensor([0.0, 1.3]),
        method="rk4",
        options={"grid_constructor": lambda f, y, t: torch.linspace(0, 1.3, 8, dtype=t.dtype)},
    )[-1]
    got = integrate(layer, v, Solver("rk4", steps=7))
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("solver", "close"),
    [
        (Solver("rk4", steps=64), 1e-6),
        (Solver("midpoint", steps=64), 1e-2),
        (Solver("euler", steps=2000), 1e-2),
        (Solver("dopri5", rtol=1e-8, atol=1e-8), 1e-6),
        (Solver("bosh3", rtol=1e-8, atol=1e-8), 1e-4),
        (Solver("rk4", steps=64, adjoint=True), 1e-6),
    ],
)
def test_every_method_solves_the_same_equations(solver: Solver, close: float) -> None:
    net = network()
    inputs = as_tensor(np.random.default_rng(3).normal(size=(5, 3)))
    expected = net(inputs, TIGHT)
    torch.testing.assert_close(net(inputs, solver), expected, rtol=close, atol=close)


@pytest.mark.parametrize(
    "solver",
    [Solver("dopri5", rtol=1e-9, atol=1e-9, adjoint=True), Solver("rk4", steps=100, adjoint=True)],
)
def test_adjoint_gradients_are_those_through_a_tight_solve(solver: Solver) -> None:
    net = network()
    inputs = as_tensor(np.random.default_rng(4).normal(size=(5, 3)))
    expected = gradients(net, inputs, Solver("dopri5", rtol=1e-11, atol=1e-11))
    for got, want in zip(gradients(net, inputs, solver), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("law", ["tanh_affine", "shift_leaky_relu"])
def test_discrete_gradients_are_those_of_the_steps(law: str) -> None:
    """Coarse steps on purpose: the gradient is that of the numbers computed, not of the ODE."""
    net = network(law)
    inputs = as_tensor(np.random.default_rng(5).normal(size=(2, 3)))
    names = [name for name, _ in net.named_parameters()]

    def outputs(v: Tensor, *parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(net, values, (v, Solver("rk4", steps=3)))

    arguments = [inputs, *(p.detach().clone() for p in net.parameters())]
    assert torch.autograd.gradcheck(outputs, [a.requires_grad_() for a in arguments])


def test_a_solver_that_gives_up_says_so() -> None:
    net = network()
    solver = Solver("dopri5", rtol=1e-9, atol=1e-9, options={"max_num_steps": 1})
    with pytest.raises(SolverError, match="dopri5 gave up"):
        net(torch.ones(2, 3), solver)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "magic"}, "unknown method"),
        ({"method": "rk4"}, "None steps"),
        ({"method": "rk4", "steps": 0}, "0 steps"),
        ({"method": "dopri5", "steps": 4}, "its own steps"),
        ({"rtol": 0.0}, "tolerances"),
        ({"atol": float("nan")}, "tolerances"),
        ({"method": "rk4", "steps": 4, "options": {"min_step": 1e-3}}, "rk4 takes no min_step"),
        ({"options": {"speed": 3.0}}, "unknown option 'speed'"),
    ],
)
def test_settings_that_make_no_solver(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SolverError, match=said):
        Solver(**settings)


def test_records_say_the_solver() -> None:
    fixed = Solver("rk4", steps=16)
    adaptive = Solver("dopri5", 1e-3, 1e-4, options={"min_step": 1e-5})
    for solver in (fixed, adaptive):
        again = Solver.from_record(solver.record())
        assert again.record() == solver.record()
    assert fixed.record() == TrainingSolver("rk4", 0.0, 0.0, 16)
    assert Solver.from_record(adaptive.record()) == adaptive
    assert Solver.from_record(adaptive.record(), adjoint=True) == replace(adaptive, adjoint=True)
