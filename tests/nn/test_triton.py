"""The fused kernel: equal to plain torch, on a GPU where there is one, else in the interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from captures import again
from networks import as_tensor, random_edges
from torch import Tensor

from kcompile import kernels
from kcompile.errors import MissingExtra, UsageError
from kcompile.nn import Edges, Form, Layer
from kcompile.nn import layer as layer_module
from kcompile.nn.compiled import CompiledForm
from kcompile.nn.form import _rk4
from kcompile.nn.plain import PlainForm

if TYPE_CHECKING:
    from kcompile.nn.triton_form import TritonForm

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":  # Triton looks at it once, when it is imported
    os.environ["TRITON_INTERPRET"] = "1"

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _through_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("triton") is None and not os.environ.get("CI"):
        pytest.skip("triton is not installed")
    monkeypatch.setenv(kernels.VARIABLE, "triton")


def layer_of(
    *batches: Edges, nodes: int, dtype: torch.dtype = torch.float64, duration: float = 0.6
) -> Layer:
    return Layer(list(batches), nodes, duration).to(DEVICE, dtype)


def fused(layer: Layer, capacitance: Tensor | None = None) -> TritonForm:
    """The layer's form, which must be Triton's."""
    from kcompile.nn.triton_form import TritonForm

    form = layer.form(capacitance)
    assert isinstance(form, TritonForm)
    return form


def plain(layer: Layer, capacitance: Tensor | None = None) -> PlainForm:
    return PlainForm(list(layer.batches), layer.nodes, capacitance)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return as_tensor(np.random.default_rng(seed).normal(size=shape)).to(DEVICE)


def pulled(
    layer: Layer, compute: Callable[[Form, Tensor], Sequence[Tensor]], form: Form, v: Tensor
) -> list[Tensor]:
    """What ``compute`` gives, and the gradients of a loss of it in voltages and parameters."""
    v = v.clone().requires_grad_()
    results = compute(form, v)
    loss = sum((r * drawn(*r.shape, seed=k).to(r)).sum() for k, r in enumerate(results))
    return [*results, *torch.autograd.grad(loss, [v, *layer.parameters()])]


def slope_and_trace(form: Form, v: Tensor) -> Sequence[Tensor]:
    return form.with_trace(v)


def slope(form: Form, v: Tensor) -> Sequence[Tensor]:
    return (form.derivative(v),)


def assert_equal(
    layer: Layer,
    compute: Callable[[Form, Tensor], Sequence[Tensor]],
    v: Tensor,
    capacitance: Tensor | None = None,
) -> None:
    """Values and all gradients are those of plain torch."""
    got = pulled(layer, compute, fused(layer, capacitance), v)
    expected = pulled(layer, compute, plain(layer, capacitance), v)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize(
    "law",
    ["tanh_affine", "relu_diff", "shift_leaky_relu", "conductance", "canonical_tanh"],
)
@pytest.mark.parametrize("compute", [slope, slope_and_trace])
def test_values_and_gradients_are_those_of_plain_torch(
    law: str, compute: Callable[[Form, Tensor], Sequence[Tensor]]
) -> None:
    """Two laws in one layer; a wrong end, sign, capacitance or shared coefficient would show."""
    random = np.random.default_rng(1)
    layer = layer_of(
        random_edges(law, 3, 20, random), random_edges("tanh_diff", 3, 4, random), nodes=3
    )
    assert any(bool((b.src == b.dst).any()) for b in layer.batches)
    assert_equal(layer, compute, drawn(3, 5), drawn(3).exp())


@pytest.mark.parametrize("samples", [1, 16, 70])
def test_tiles_need_not_be_full(samples: int) -> None:
    """More edges at a node than a tile has, and samples that fill none, one, or one and a bit."""
    layer = layer_of(random_edges("tanh_affine", 2, 200, np.random.default_rng(2)), nodes=2)
    assert_equal(layer, slope_and_trace, drawn(2, samples))


def test_single_precision_stays_single() -> None:
    layer = layer_of(
        random_edges("tanh_affine", 3, 20, np.random.default_rng(3)), nodes=3, dtype=torch.float32
    )
    v = drawn(3, 5).float()
    got = pulled(layer, slope_and_trace, fused(layer), v)
    assert all(tensor.dtype == torch.float32 for tensor in got)
    double = layer.double()
    for ours, exact in zip(
        got, pulled(double, slope_and_trace, plain(double), v.double()), strict=True
    ):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5)


def test_only_what_is_wanted_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen parameters or voltages must not cost a kernel, nor be given a gradient."""
    from kcompile.nn import triton_form, triton_kernels

    launched: list[object] = []
    launch = triton_form._launch
    monkeypatch.setattr(
        triton_form,
        "_launch",
        lambda kernel, *args, **how: (launched.append(kernel), launch(kernel, *args, **how)),
    )
    layer = layer_of(random_edges("tanh_affine", 3, 12, np.random.default_rng(4)), nodes=3)
    (batch,) = layer.batches
    v = drawn(3, 4)
    _, of_voltages, of_parameters = pulled(layer, slope, plain(layer), v)

    def pull() -> None:
        (fused(layer).derivative(v) * drawn(3, 4)).sum().backward()

    pull()
    assert v.grad is None
    torch.testing.assert_close(batch.params.grad, of_parameters, **CLOSE)
    assert launched == [triton_kernels.add_currents, triton_kernels.pull_coefficients]
    launched.clear()
    batch.params.requires_grad_(False)
    v.requires_grad_()
    pull()
    torch.testing.assert_close(v.grad, of_voltages, **CLOSE)
    assert launched == [triton_kernels.add_currents, triton_kernels.pull_voltages]


@pytest.mark.parametrize("flow", [False, True])
def test_a_solve_and_its_gradients_are_those_of_plain_torch(flow: bool) -> None:
    layer = layer_of(random_edges("tanh_diff", 3, 12, np.random.default_rng(5)), nodes=3)

    def solve(form: Form, state: Tensor) -> Sequence[Tensor]:
        return ((form.rk4_flow if flow else form.rk4)(state, 0.6, 2),)

    assert_equal(layer, solve, drawn(3 + flow, 3))


@pytest.mark.parametrize("flow", [False, True])
def test_a_solve_that_is_asked_for_again_gives_the_same_bits(
    flow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters, capacitances, states and steps change from solve to solve, and its direction."""
    from kcompile.nn import captured, triton_form

    if DEVICE == "cpu":
        monkeypatch.setattr(triton_form, "_can_capture", lambda _state: True)
        monkeypatch.setattr(captured, "_capture_on", lambda _device: again)
    layer = layer_of(random_edges("tanh_affine", 3, 12, np.random.default_rng(5)), nodes=3)
    for turn in range(3):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.1)
        state, capacitance = drawn(3 + flow, 5, seed=turn), drawn(3, seed=turn).exp()
        for duration, steps in ((0.6, 2), (-0.6, 2), (0.6, 3)):

            def solve(form: Form, v: Tensor, *how: float) -> Sequence[Tensor]:
                return ((form.rk4_flow if flow else form.rk4)(v, how[0], int(how[1])),)

            def alone(form: Form, v: Tensor, *how: float) -> Sequence[Tensor]:
                return (_rk4(form.flow if flow else form.derivative, v, how[0], int(how[1])),)

            got, expected = (
                pulled(
                    layer,
                    lambda form, v, way=way, how=(duration, steps): way(form, v, *how),
                    fused(layer, capacitance),
                    state,
                )
                for way in (solve, alone)
            )
            assert all(map(torch.equal, got, expected))
    assert layer._incidences is not None
    assert len(layer._incidences.captures._graphs) == 3


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 1e-38), (torch.float64, 1e-307)])
def test_tanh_is_good_to_the_last_places(dtype: torch.dtype, least: float) -> None:
    """A formula in exp alone would lose small arguments, and overflow for large ones."""
    edge = Edges("canonical_tanh", np.array([1]), np.array([2]), np.array([[1.0], [1], [0], [0]]))
    layer = layer_of(edge, nodes=2, dtype=dtype)
    x = torch.cat((torch.zeros(1), torch.logspace(np.log10(least), 3, 400, dtype=torch.float64)))
    x = torch.cat((x, torch.linspace(0.01, 25, 500), torch.tensor([1e30]))).to(DEVICE, dtype)
    zeros = torch.zeros_like(x)
    got = fused(layer).derivative(torch.stack((x, zeros)))[1].double()
    mirrored = fused(layer).derivative(torch.stack((-x, zeros)))[1].double()
    exact = torch.tanh(x.double())
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(got, exact, rtol=4 * unit, atol=0.0)
    assert torch.equal(mirrored, -got)


@pytest.mark.parametrize("law", ["canonical_tanh", "canonical_relu", "canonical_leaky_relu"])
def test_nan_stays_nan_and_only_where_it_is(law: str) -> None:
    edge = Edges(law, np.array([1]), np.array([2]), np.array([[1.0], [1], [0], [0]]))
    v = drawn(3, 4)
    v[0, 1] = torch.nan
    got = fused(layer_of(edge, nodes=3)).derivative(v)
    bad = torch.zeros(3, 4, dtype=torch.bool)
    bad[:2, 1] = True
    assert torch.equal(got.isnan().cpu(), bad)


def test_nothing_to_compute() -> None:
    """No edge, and no sample: a launch of no program is an error on a GPU."""
    none = random_edges("tanh_affine", 3, 0, np.random.default_rng(6))
    some = random_edges("tanh_affine", 3, 4, np.random.default_rng(6))
    assert_equal(layer_of(none, nodes=3), slope_and_trace, drawn(3, 2))
    assert_equal(layer_of(some, nodes=3), slope_and_trace, drawn(3, 0))


def test_edges_that_are_loaded_are_those_that_are_walked() -> None:
    layer = layer_of(random_edges("tanh_affine", 3, 8, np.random.default_rng(7)), nodes=3)
    other = layer_of(random_edges("tanh_affine", 3, 8, np.random.default_rng(8)), nodes=3)
    v = drawn(3, 2)
    fused(layer).derivative(v)
    layer.load_state_dict(other.state_dict())
    torch.testing.assert_close(fused(layer).derivative(v), plain(other).derivative(v), **CLOSE)


def test_what_runs_where(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer(random_edges("tanh_affine", 3, 8, np.random.default_rng(9)), 3, 1.0)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    fused(layer)
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(UsageError, match="TRITON_INTERPRET=1"):
        layer.form()
    monkeypatch.setenv(kernels.VARIABLE, "none")
    assert isinstance(layer.form(), PlainForm)
    monkeypatch.delenv(kernels.VARIABLE)
    assert isinstance(layer.form(), CompiledForm if kernels.suites() else PlainForm)


def test_a_gpu_takes_triton_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    monkeypatch.delenv(kernels.VARIABLE)
    assert layer_module._takes_triton(gpu)
    assert not layer_module._takes_triton(cpu)
    monkeypatch.setenv(kernels.VARIABLE, "none")
    assert not layer_module._takes_triton(gpu)
    monkeypatch.setattr(layer_module, "_triton_fits", lambda: False)
    monkeypatch.delenv(kernels.VARIABLE)
    assert not layer_module._takes_triton(gpu)
    monkeypatch.setenv(kernels.VARIABLE, "triton")
    with pytest.raises(MissingExtra, match="kcompile\\[cuda\\]"):
        layer_module._takes_triton(cpu)


def test_every_kernel_compiles_for_a_gpu(tmp_path: Path) -> None:
    """The interpreter takes what the compiler refuses, and it does not say how it is compiled."""
    support = Path(__file__).parents[1] / "support"
    environment = {
        **os.environ,
        "TRITON_INTERPRET": "0",
        "TRITON_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join((str(support.parents[1]), str(support))),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", support / "triton_compiler.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = ("add_currents", "pull_voltages", "pull_coefficients")
    assert done.stdout.split("\n")[:-1] == [f"{name} clean" for name in names] * 3
