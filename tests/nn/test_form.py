"""A layer through the compiled kernel and in plain torch: the same numbers, the same gradients."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import as_tensor, gathering, networks, random_edges
from torch import Tensor

from kcompile import kernels
from kcompile.errors import UsageError
from kcompile.ir import LAWS
from kcompile.nn import Edges, KirchhoffNet, Layer, Solver, integrate
from kcompile.nn import compiled as module
from kcompile.nn.compiled import PART, CompiledForm
from kcompile.nn.plain import PlainForm

needs_kernel = pytest.mark.skipif(
    kernels.chosen() is None, reason="no compiled kernel is used: one form is all there is"
)


def layer_of(law: str, nodes: int = 4, edges: int = 20, seed: int = 5) -> Layer:
    random = np.random.default_rng(seed)
    layer = Layer(random_edges(law, nodes, edges, random), nodes, 0.4)
    for parameters in layer.parameters():
        parameters.data *= 0.7
    return layer


def plain(layer: Layer) -> Layer:
    other = copy.deepcopy(layer)
    other.compiled = False
    return other


def results(layer: Layer, v: Tensor, capacitance: Tensor | None, what: str) -> list[Tensor]:
    """What a form gives, and the gradients of a sum of its powers."""
    v = v.clone().requires_grad_()
    form = layer.form(capacitance)
    if what == "derivative":
        outputs = [form.derivative(v)]
    elif what == "with_trace":
        outputs = list(form.with_trace(v))
    elif what == "rk4":
        outputs = [form.rk4(v, -0.3, 3)]
    else:
        outputs = [form.rk4_flow(torch.cat((v, v[:1])), 0.3, 3)]
    loss = sum(((out**2).sum() for out in outputs), v.new_zeros(()))
    grads = torch.autograd.grad(loss, [v, *layer.parameters()], materialize_grads=True)
    return [*(out.detach() for out in outputs), *grads]


@needs_kernel
@pytest.mark.parametrize("what", ["derivative", "with_trace", "rk4", "rk4_flow"])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_both_forms_are_the_same(law: str, what: str) -> None:
    random = np.random.default_rng(3)
    layer = layer_of(law)
    capacitance = as_tensor(random.uniform(0.5, 2.0, 4)) if "affine" in law else None
    for samples in (1, 5, PART + 3):
        v = as_tensor(random.normal(size=(4, samples)))
        found = (results(one, v, capacitance, what) for one in (layer, plain(layer)))
        for got, want in zip(*found, strict=True):
            close = 1e-11 * float(want.abs().max().clamp(min=1))
            torch.testing.assert_close(got, want, rtol=1e-11, atol=close)


@needs_kernel
@given(networks(phases=2), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_networks_of_mixed_laws_are_the_same(net: KirchhoffNet, seed: int) -> None:
    """Layers without edges, several laws in a layer, residuals, every hand-over."""
    inputs = as_tensor(np.random.default_rng(seed).normal(size=(3, net.inputs)))
    solver = Solver("rk4", steps=2)
    found: list[list[Tensor]] = []
    for one in (net, gathering(copy.deepcopy(net))):
        out = one(inputs, solver)
        parameters = list(one.parameters())
        grads: tuple[Tensor, ...] = ()
        if parameters:
            grads = torch.autograd.grad(
                out.tanh().sum(), parameters, allow_unused=True, materialize_grads=True
            )
        found.append([out.detach(), *grads])
    for got, want in zip(*found, strict=True):
        close = 1e-9 * float(want.abs().max()) if want.numel() else 0.0
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12 + close)


@needs_kernel
@pytest.mark.parametrize("flow", [False, True])
def test_no_bit_depends_on_how_many_threads_there_are(
    flow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches gradients that are added up in the order in which threads come to an end."""
    monkeypatch.setattr(module, "_WORTHWHILE", 0)
    layer = layer_of("tanh_affine", 6, 40)
    samples = 5 * PART + 7
    v = as_tensor(np.random.default_rng(1).normal(size=(6 + flow, samples)))
    found: list[list[Tensor]] = []
    for count in (1, 2, 3, 8):
        monkeypatch.setattr(module, "workers", lambda count=count: count)
        start = v.clone().requires_grad_()
        end = integrate(layer, start, Solver("rk4", steps=2), flow=flow)
        slope = layer.form().derivative(start[:6])
        loss = (end**2).sum() + (slope**3).sum()
        found.append([end.detach(), *torch.autograd.grad(loss, [start, *layer.parameters()])])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@needs_kernel
def test_a_bad_number_of_threads_is_refused_also_where_one_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(kernels.THREADS, "many")
    with pytest.raises(UsageError, match=f"{kernels.THREADS}: 'many' is no number of threads"):
        layer_of("shift_relu").form()


def _solve_in_child(layer: Layer, v: Tensor) -> None:
    with torch.no_grad():
        layer.form().rk4(v, 0.1, 2)
    os._exit(7)


@needs_kernel
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a child that waits for ever for threads that only its parent has."""
    monkeypatch.setattr(module, "_WORTHWHILE", 0)
    monkeypatch.setattr(module, "workers", lambda: 2)
    layer, v = layer_of("tanh_affine"), torch.zeros(4, 3 * PART, dtype=torch.float64)
    with torch.no_grad():
        layer.form().rk4(v, 0.1, 2)
    child = multiprocessing.get_context("fork").Process(target=_solve_in_child, args=(layer, v))
    child.start()
    child.join(30)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 7


def test_which_form_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of("shift_relu")
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    expected = CompiledForm if kernels.suites() else PlainForm
    assert isinstance(layer.form(), expected)
    monkeypatch.setenv(kernels.VARIABLE, "none")
    assert isinstance(layer.form(), PlainForm)
    assert isinstance(plain(layer).form(), PlainForm)
    if kernels.suites():
        monkeypatch.setenv(kernels.VARIABLE, "magic")
        with pytest.raises(UsageError, match="no kernel 'magic'"):
            layer.form()


def test_without_the_kernel_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "none")
    random = np.random.default_rng(2)
    net = KirchhoffNet([layer_of("shift_relu"), layer_of("tanh_diff", 3)], 4, [1, 3]).float()
    inputs = torch.as_tensor(random.normal(size=(8, 4)))
    losses: list[float] = []
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(5):
        optimiser.zero_grad()
        loss = (net(inputs, Solver("rk4", steps=4)) - 1).pow(2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


@needs_kernel
@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_looks_at_edges_of_its_own(how: Callable[[Layer], Layer]) -> None:
    """Catches a copy whose kernel reads the edges of a layer that may be gone by then."""
    layer, v = layer_of("tanh_affine"), torch.ones(4, 3, dtype=torch.float64)
    expected = layer.form().derivative(v)
    other = how(layer)
    structure = layer._structure
    assert structure is not None
    for batch in structure.wirings:
        batch.dst[:] = batch.src  # as memory that something else has now
    assert torch.equal(other.form().derivative(v), expected)


def test_what_changed_is_seen() -> None:
    """Catches coefficients or edges that were kept from an earlier solve."""
    random = np.random.default_rng(4)
    layer = layer_of("tanh_affine")
    v = as_tensor(random.normal(size=(4, 6)))
    before = layer.form().derivative(v).detach()
    other = layer_of("tanh_affine", seed=6)
    layer.load_state_dict(other.state_dict())
    after = layer.form().derivative(v).detach()
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, plain(other).form().derivative(v).detach())
    with torch.no_grad():
        next(layer.parameters()).mul_(2)
    assert not torch.equal(after, layer.form().derivative(v).detach())
    narrow = layer.float().form().derivative(v.float())
    assert narrow.dtype is torch.float32


def test_edges_that_share_parameters_add_up_their_gradients() -> None:
    random = np.random.default_rng(8)
    src, dst = random.integers(0, 5, (2, 12))
    share = random.integers(0, 3, 12)
    share[:3] = range(3)
    layer = Layer(Edges("tanh_diff", src, dst, random.normal(size=(2, 3)), share=share), 4, 1.0)
    v = as_tensor(random.normal(size=(4, 9)))
    one, other = (results(form, v, None, "rk4") for form in (layer, plain(layer)))
    for got, want in zip(one, other, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)


def test_samples_that_are_no_contiguous_array_are_taken() -> None:
    """Catches strides that are ignored: networks hand over transposed batches."""
    layer = layer_of("tanh_affine")
    wide = as_tensor(np.random.default_rng(0).normal(size=(6, 8)))
    v = wide.T[::2][:4]
    form = layer.form()
    torch.testing.assert_close(form.derivative(v), form.derivative(v.contiguous()))
    torch.testing.assert_close(form.rk4(v, 0.2, 2), form.rk4(v.contiguous(), 0.2, 2))
    start = v.clone().requires_grad_()
    (grad,) = torch.autograd.grad(form.derivative(start), start, torch.ones(6, 4).double().T)
    assert grad.shape == v.shape
