"""Edges that share parameters against the same edges with copies of them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import as_tensor, gathering, graph_of

from kcompile.errors import CheckpointError
from kcompile.frontend.checkpoint import load, save
from kcompile.frontend.topology import Mixed, Neighbourhood, describe, share_of
from kcompile.ir import LAWS, derivative, digest
from kcompile.nn import Edges, KirchhoffNet, Layer


def one_layer(edges: Edges, nodes: int) -> KirchhoffNet:
    """A network of one layer that reads its first node."""
    return KirchhoffNet([Layer(edges, nodes, 0.5)], nodes, [1])


def edges_of(net: KirchhoffNet) -> Edges:
    """The edges of a network's first layer."""
    return next(next(net.phases).batches)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[KirchhoffNet, KirchhoffNet]:
    """A network whose edges share columns, some of them idle, and one with the columns copied."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    law = draw(st.sampled_from(sorted(LAWS)))
    nodes, count, columns = (draw(st.integers(1, most)) for most in (5, 20, 6))
    src, dst = random.integers(0, nodes + 1, (2, count))
    share = random.integers(0, columns, count)
    params = random.normal(size=(LAWS[law].rows, columns))
    shared = Edges(law, src, dst, params, share=share)
    return one_layer(shared, nodes), one_layer(Edges(law, src, dst, params[:, share]), nodes)


@given(pairs(), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_shared_parameters_act_like_copies_and_add_up_their_gradients(
    nets: tuple[KirchhoffNet, KirchhoffNet], gather: bool, seed: int
) -> None:
    """Catches columns that are mixed up, and gradients that overwrite instead of adding up."""
    random = np.random.default_rng(seed)
    v = random.normal(size=(3, next(nets[0].phases).nodes))
    shared, copied = (gathering(copy.deepcopy(net)) if gather else net for net in nets)
    one, other = (net.derivative(0, as_tensor(v)) for net in (shared, copied))
    torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(
        one.detach().numpy(), derivative(graph_of(shared), 0, v), rtol=1e-12, atol=1e-12
    )
    weight = as_tensor(random.normal(size=v.shape))
    found, copies = (
        torch.autograd.grad((dv * weight).sum(), edges_of(net).params)[0]
        for net, dv in ((shared, one), (copied, other))
    )
    expected = np.zeros(found.shape)
    share = edges_of(shared).share
    assert share is not None
    for edge, column in enumerate(share.tolist()):
        expected[:, column] += copies[:, edge].numpy()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@given(pairs(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_keeps_what_is_shared(
    tmp_path_factory: pytest.TempPathFactory,
    nets: tuple[KirchhoffNet, KirchhoffNet],
    single: bool,
) -> None:
    """Catches a network that is saved with copies, which training would pull apart."""
    shared, copied = (net.float() if single else net for net in nets)
    folder = tmp_path_factory.mktemp("shared")
    save(folder / "one", shared.to_checkpoint())
    again = KirchhoffNet.from_checkpoint(load(folder / "one"))
    save(folder / "two", again.to_checkpoint())
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert again.parameter_count == shared.parameter_count
    assert digest(graph_of(again)) == digest(graph_of(copied))


@pytest.mark.parametrize(
    "topology",
    [
        Neighbourhood(2, 4, 3, 2, padding=True, repeat=2, sharing=True),
        Mixed(1, 4, 4, 3, 2, (1, 1), parallel=2, sharing=True),
        Mixed(1, 4, 4, 3, 2, (1, 1)),
    ],
)
def test_columns_of_a_topology(topology: Neighbourhood | Mixed) -> None:
    """Catches columns in another order than the edges: a step of training moves kernels as one."""
    src, dst = topology.edges()
    share = share_of(topology)
    edges = Edges("tanh_diff", src, dst, topology=describe(topology), share=share)
    columns = topology.count if share is None else int(share.max()) + 1
    assert edges.params.shape == (2, columns)
    torch.nn.init.normal_(edges.params, generator=torch.Generator().manual_seed(1))
    net = one_layer(edges, int(max(src.max(), dst.max())))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    net.derivative(0, torch.ones(2, next(net.phases).nodes)).square().sum().backward()
    optimiser.step()
    rows = edges.rows().detach().numpy()
    assert rows.shape == (2, topology.count)
    for column in range(columns):
        mine = rows[:, np.arange(topology.count) == column if share is None else share == column]
        assert np.array_equal(mine, np.repeat(mine[:, :1], mine.shape[1], axis=1))


def test_edges_refuse_columns_that_are_not_there() -> None:
    src, dst, params = np.array([0, 1]), np.array([1, 0]), np.zeros((2, 3))
    with pytest.raises(CheckpointError, match="share of edge 1 is 3"):
        Edges("shift_relu", src, dst, params, share=np.array([0, 3]))
    with pytest.raises(CheckpointError, match="share of edge 0 is -1"):
        Edges("shift_relu", src, dst, share=np.array([-1, 0]))
    with pytest.raises(CheckpointError, match="1 entries for 2 edges"):
        Edges("shift_relu", src, dst, params, share=np.array([0]))
    with pytest.raises(CheckpointError, match="wants parameters \\[2, 3\\]"):
        Edges("shift_relu", src, dst, np.zeros((1, 3)), share=np.array([0, 1]))


def test_unshared_edges_are_stored_as_before() -> None:
    net = one_layer(Edges("shift_relu", np.array([0]), np.array([1])), 1)
    (batch,) = net.to_checkpoint().phases[0].batches
    assert batch.share is None
    assert list(net.state_dict()) == [
        "layers.0.edges.0.params", "layers.0.edges.0.src", "layers.0.edges.0.dst",
    ]  # fmt: skip
    assert replace(batch, share=np.array([0])).lower(0).src.tolist() == [0]
