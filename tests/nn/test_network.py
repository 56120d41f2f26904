"""The torch network against the graph that it stands for."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import as_tensor, gathering, graph_of, networks, numpy_outputs, random_edges

from kcompile.errors import CheckpointError, GraphError, InputError, UsageError
from kcompile.frontend.checkpoint import load, save
from kcompile.ir import LAWS, derivative, digest
from kcompile.nn import Edges, KirchhoffNet, Layer, Solver, initialise


@given(networks(), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_derivative_is_that_of_the_graph(net: KirchhoffNet, seed: int) -> None:
    graph = graph_of(net)
    v = np.random.default_rng(seed).normal(size=(3, graph.nodes)) * 3
    expected = derivative(graph, 0, v)
    for form in (net, gathering(copy.deepcopy(net))):
        got = form.derivative(0, as_tensor(v)).detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@given(networks(phases=3), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_phases_hand_over_as_the_graph_says(net: KirchhoffNet, seed: int) -> None:
    inputs = np.random.default_rng(seed).normal(size=(2, net.inputs))
    expected = numpy_outputs(graph_of(net), inputs, 64)
    got = net(as_tensor(inputs), Solver("rk4", steps=64)).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("law", sorted(LAWS))
def test_both_forms_have_the_same_gradients(law: str) -> None:
    random = np.random.default_rng(5)
    compiled = KirchhoffNet([Layer(random_edges(law, 4, 20, random), 4, 1.0)], 4, [1, 4])
    gathered = gathering(copy.deepcopy(compiled))
    v = as_tensor(random.normal(size=(6, 4))).requires_grad_()
    weight = as_tensor(random.normal(size=(6, 4)))
    one, other = (
        torch.autograd.grad(
            (net.derivative(0, v) * weight).sum(), [v, *net.parameters()], materialize_grads=True
        )
        for net in (compiled, gathered)
    )
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(networks(phases=3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_checkpoint_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, net: KirchhoffNet, single: bool
) -> None:
    net = net.float() if single else net
    folder = tmp_path_factory.mktemp("round-trip")
    fields = {"task": "friedman", "training": {"seed": 3}}
    save(folder / "one", net.to_checkpoint(**fields))
    again = KirchhoffNet.from_checkpoint(load(folder / "one"))
    save(folder / "two", again.to_checkpoint(**fields))
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert digest(graph_of(net)) == digest(graph_of(again))
    assert again.solver == net.solver


def test_a_graph_becomes_a_network_that_computes_the_same() -> None:
    random = np.random.default_rng(2)
    net = KirchhoffNet([Layer(random_edges("shift_relu", 5, 30, random), 5, 1.0)], 5, [5])
    again = KirchhoffNet.from_graph(graph_of(net))
    v = as_tensor(random.normal(size=(4, 5)))
    torch.testing.assert_close(again.derivative(0, v), net.derivative(0, v), rtol=1e-14, atol=1e-14)


def test_initialisation_is_kaiming_normal_and_follows_the_seed() -> None:
    ends = np.zeros(20_000, dtype=np.int32)
    net = KirchhoffNet([Layer(Edges("shift_relu", ends, ends), 1, 1.0)], 1, [1])
    initialise(net, 7)
    first = next(net.parameters()).detach().clone()
    assert first.std().item() == pytest.approx((2 / 20_000) ** 0.5, rel=0.02)
    torch.manual_seed(99)  # the global generator has no say
    initialise(net, 7)
    assert torch.equal(first, next(net.parameters()))
    initialise(net, 8)
    assert not torch.equal(first, next(net.parameters()))
    with pytest.raises(UsageError, match="kaiming_normal"):
        initialise(net, 0, "magic")


def test_refusals() -> None:
    edges = Edges("shift_relu", np.array([0]), np.array([1]))
    net = KirchhoffNet([Layer(edges, 2, 1.0)], 2, [1])
    with pytest.raises(InputError, match="give \\[samples, 2\\]"):
        net(torch.zeros(3, 1))
    with pytest.raises(InputError, match="voltages of shape"):
        net.derivative(0, torch.zeros(3, 1))
    with pytest.raises(GraphError, match="outside 1..2"):
        KirchhoffNet([Layer(edges, 2, 1.0)], 2, [3])
    with pytest.raises(GraphError, match="outside 0..1"):
        KirchhoffNet([Layer(Edges("shift_relu", [0], [2]), 1, 1.0)], 1, [1])
    with pytest.raises(CheckpointError, match="unknown law"):
        Edges("magic", np.array([0]), np.array([1]))
    with pytest.raises(CheckpointError, match="wants parameters \\[2, 1\\]"):
        Edges("shift_relu", np.array([0]), np.array([1]), np.zeros((3, 1)))


def test_without_torch_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from kcompile.errors import MissingExtra\n"
        "try:\n    import kcompile.nn\nexcept MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == (
        "torch is not installed; install it with: pip install 'kcompile[train]'\n"
    )
