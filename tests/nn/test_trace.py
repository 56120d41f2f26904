"""The trace of dv/dt's Jacobian in closed form, and its integral: by it log-densities change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import as_tensor, random_edges
from torch import Tensor

from kcompile.ir import LAWS, Phi
from kcompile.nn import Layer, Solver, integrate
from kcompile.nn.form import Form

SMOOTH = sorted(name for name, law in LAWS.items() if law.phi in (Phi.TANH, Phi.IDENTITY))


def layer_of(law: str, compiled: bool, seed: int = 7, size: float = 0.5) -> Layer:
    """Two batches, ground and self-loops among their edges."""
    random = np.random.default_rng(seed)
    batches = [random_edges(law, 4, 18, random), random_edges("tanh_diff", 4, 9, random)]
    layer = Layer(batches, 4, 0.6)
    layer.compiled = compiled
    for parameters in layer.parameters():
        parameters.data *= size
    return layer


def capacitance() -> Tensor:
    return as_tensor([0.7, 1.0, 1.6, 2.0])


def autograd_trace(form: Form, v: Tensor) -> Tensor:
    """``[S]``, one gradient a node."""
    v = v.detach().requires_grad_()
    slope = form.derivative(v)
    total = v.new_zeros(v.shape[1])
    for j in range(len(v)):
        (grad,) = torch.autograd.grad(slope[j].sum(), v, retain_graph=True, allow_unused=True)
        total = total if grad is None else total + grad[j]
    return total


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_trace_is_autograds(law: str, compiled: bool) -> None:
    layer = layer_of(law, compiled, size=1.5)
    v = as_tensor(np.random.default_rng(1).normal(size=(4, 40)) * 2)
    for given in (None, capacitance()):
        form = layer.form(given)
        slope, trace = form.with_trace(v)
        torch.testing.assert_close(trace, autograd_trace(form, v), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(slope, form.derivative(v), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_log_density_is_autograds(law: str, compiled: bool) -> None:
    """The same solve, with traces by autograd."""
    layer, c = layer_of(law, compiled), capacitance()
    form = layer.form(c)
    start = as_tensor(np.random.default_rng(2).normal(size=(5, 6)))
    got = integrate(layer, start, Solver("rk4", steps=4), c, flow=True)

    def slope(state: Tensor) -> Tensor:
        v = state[:-1]
        return torch.cat((form.derivative(v), autograd_trace(form, v)[None])).detach()

    y, h = start, layer.duration / 4
    for _ in range(4):
        k1 = slope(y)
        k2 = slope(y + h * k1 / 3)
        k3 = slope(y + h * (k2 - k1 / 3))
        k4 = slope(y + h * (k1 - k2 + k3))
        y = y + h * (k1 + 3 * k2 + 3 * k3 + k4) / 8
    torch.testing.assert_close(got, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("law", SMOOTH)
def test_the_integral_is_the_flows_log_determinant(law: str, compiled: bool) -> None:
    """Neither the trace's formula nor the solver's bookkeeping enters the expected value."""
    layer, c, solver = layer_of(law, compiled), capacitance(), Solver("rk4", steps=24)
    v = as_tensor(np.random.default_rng(3).normal(size=(4, 2)))
    end = integrate(layer, torch.cat((v, torch.zeros(1, 2).double())), solver, c, flow=True)
    for sample in range(2):

        def map_of(x: Tensor) -> Tensor:
            return integrate(layer, x[:, None], solver, c)[:, 0]

        jacobian = torch.autograd.functional.jacobian(map_of, v[:, sample])
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(end[-1, sample], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "solver",
    [
        Solver("rk4", steps=100),
        Solver("rk4", steps=100, adjoint=True),
        Solver("dopri5", rtol=1e-9, atol=1e-9),
        Solver("dopri5", rtol=1e-9, atol=1e-9, adjoint=True),
    ],
    ids=lambda s: f"{s.method}-adjoint={s.adjoint}",
)
def test_back_through_a_layer_is_where_it_began(solver: Solver) -> None:
    layer, c = layer_of("tanh_affine", True), capacitance()
    start = as_tensor(np.random.default_rng(4).normal(size=(5, 6)))
    end = integrate(layer, start, solver, c, flow=True)
    again = integrate(layer, end, solver, c, flow=True, backwards=True)
    torch.testing.assert_close(again, start, rtol=1e-6, atol=1e-6)
    assert (end[-1] - start[-1]).abs().max() > 1e-2
    alone = integrate(layer, end[:-1], solver, c, backwards=True)
    torch.testing.assert_close(alone, start[:-1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_discrete_gradients_are_finite_differences(law: str, compiled: bool) -> None:
    """Of states and log-densities in every parameter, through steps that are coarse on purpose."""
    layer, solver = layer_of(law, compiled, size=0.3), Solver("rk4", steps=2)
    start = as_tensor(np.random.default_rng(5).normal(size=(5, 2))).requires_grad_()
    parameters = list(layer.parameters())

    for backwards in (False, True):

        def either(state: Tensor, *values: Tensor, backwards: bool = backwards) -> Tensor:
            return integrate(layer, state, solver, capacitance(), flow=True, backwards=backwards)

        assert torch.autograd.gradcheck(either, (start, *parameters), fast_mode=True)


@pytest.mark.parametrize(
    ("law", "flow", "backwards", "compiled"),
    [
        *((law, True, False, True) for law in SMOOTH),
        ("tanh_affine", True, True, True),
        ("tanh_affine", True, True, False),
        ("tanh_affine", False, False, True),
        ("canonical_tanh", False, True, True),
        ("canonical_tanh", False, False, False),
    ],
)
def test_the_adjoints_gradients_are_the_discrete_ones(
    law: str, flow: bool, backwards: bool, compiled: bool
) -> None:
    layer, c = layer_of(law, compiled), capacitance()
    start = as_tensor(np.random.default_rng(6).normal(size=(4 + flow, 5)))
    found: list[tuple[Tensor, ...]] = []
    for solver in (
        Solver("rk4", steps=40),
        Solver("rk4", steps=40, adjoint=True),
        Solver("dopri5", rtol=1e-8, atol=1e-8, adjoint=True),
    ):
        state = start.clone().requires_grad_()
        end = integrate(layer, state, solver, c, flow=flow, backwards=backwards)
        found.append(torch.autograd.grad((end**2).sum(), [state, *layer.parameters()]))
    for other in found[1:]:
        for got, want in zip(other, found[0], strict=True):
            close = 1e-6 * float(want.abs().max().clamp(min=1))
            torch.testing.assert_close(got, want, rtol=1e-5, atol=close)
