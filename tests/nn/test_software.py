"""Software around the circuit: torch against numpy, training, and what a checkpoint keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import published
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import as_tensor, gathering, numpy_outputs, random_edges

from kcompile.errors import CheckpointError, InputError
from kcompile.frontend.checkpoint import load, save
from kcompile.frontend.published import published_checkpoint, read_config
from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software, Step
from kcompile.frontend.torch_file import read_state
from kcompile.nn import KirchhoffNet, Layer, Solver
from kcompile.nn.software import SoftwareModule

RK4 = Solver("rk4", steps=32)


def linear(given_width: int, out: int, seed: int = 0, dtype: str = "f4") -> Linear:
    """A linear step whose weights a float32 holds, unless ``dtype`` says otherwise."""
    random = np.random.default_rng(seed)
    weight, bias = random.normal(size=(out, given_width)), random.normal(size=out)
    return Linear(weight.astype(dtype), bias.astype(dtype))


@st.composite
def software(draw: st.DrawFn, width: int, reshape: bool = True) -> Software:
    """Steps that take ``width`` values."""
    steps: list[Step] = []
    first = width
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["linear", "relu", "select", "reshape"][: 4 if reshape else 3]))
        if kind == "linear":
            steps.append(linear(width, draw(st.integers(1, 4)), draw(st.integers(0, 99))))
        elif kind == "relu":
            steps.append(Relu())
        elif kind == "select":
            ends = st.none() | st.integers(-width, width)
            step = Select(draw(ends), draw(ends))
            steps += [step] if step.output_width(width) else []
        else:
            steps.append(Reshape(draw(st.sampled_from([n for n in (1, 2, 3) if not width % n]))))
        width = Software(tuple(steps)).output_width(first)
    return Software(tuple(steps))


def circuit(
    encoder: Software | None = None,
    head: Software | None = None,
    *,
    inputs: int = 3,
    outputs: tuple[int, ...] = (4, 1, 2),
    double: bool = False,
    sample_width: int | None = None,
) -> KirchhoffNet:
    """Two layers of random edges between software."""
    random = np.random.default_rng(3)
    layers = [Layer(random_edges("tanh_diff", 4, 20, random), 4, 0.3) for _ in range(2)]
    layers = layers if double else [layer.float() for layer in layers]
    return KirchhoffNet(
        layers, inputs, outputs, solver=RK4, encoder=encoder, head=head, sample_width=sample_width
    )


@given(st.integers(1, 6), st.data())
@settings(max_examples=80, deadline=None)
def test_steps_are_those_of_numpy(width: int, data: st.DataObject) -> None:
    """Catches a step that deals values out in another order, or slices another axis."""
    steps = data.draw(software(width))
    x = np.random.default_rng(1).normal(size=(5, width))
    got = SoftwareModule(steps, torch.float64)(as_tensor(x)).detach().numpy()
    expected = steps(x)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_network_is_encoder_circuit_head(data: st.DataObject) -> None:
    """Catches an encoder or a head that is left out, swapped, or applied to the wrong values."""
    encoder = data.draw(software(6, reshape=False).filter(lambda s: s.output_width(6) >= 2))
    head = data.draw(software(3))
    net = circuit(encoder, head, inputs=2, double=True, sample_width=6)
    model = net.to_checkpoint().model()
    x = np.random.default_rng(1).normal(size=(4, 6))
    expected = model.head(numpy_outputs(model.graph, model.initial_voltages(x), 32))
    got = net(as_tensor(x)).detach().numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    gathered = gathering(net)(as_tensor(x)).detach().numpy()
    np.testing.assert_allclose(gathered, got, rtol=1e-10, atol=1e-10)


def test_an_encoder_may_reshape() -> None:
    """Catches rows of one sample that are taken for nodes."""
    net = circuit(Software((Reshape(3),)), double=True, sample_width=6)
    x = np.random.default_rng(1).normal(size=(4, 6))
    model = net.to_checkpoint().model()
    expected = numpy_outputs(model.graph, model.initial_voltages(x), 32)
    got = net(as_tensor(x)).detach().numpy()
    assert got.shape == expected.shape == (4, 2, 3)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_a_published_network_with_mlps_goes_on_training(tmp_path: Path) -> None:
    """Catches published encoders and read-outs that cannot be loaded, trained and saved again."""
    said = published.config(
        [("_fully_connect", {"num_node": 5})], encoder=[6, 5, 4], projector=["last3", "mlp_3_2"]
    )
    weights = {
        f"{name}__{part}": values.astype("f4")
        for name, step in (
            ("encoder__net__0", linear(6, 5, 1)),
            ("encoder__net__2", linear(5, 4, 2)),
            ("projector__1__net__0", linear(3, 2, 3)),
        )
        for part, values in (("weight", step.weight), ("bias", step.bias))
    }
    path = published.write(tmp_path, said, **weights)
    state = read_state(path)
    checkpoint, _ = published_checkpoint(state, read_config(tmp_path / "config.yaml"))
    net = KirchhoffNet.from_checkpoint(checkpoint)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    model = checkpoint.model()
    x = np.random.default_rng(1).normal(size=(4, 6))
    expected = model.head(numpy_outputs(model.graph, model.initial_voltages(x), 64))
    got = net(as_tensor(x), Solver("rk4", steps=64)).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    net(as_tensor(x), RK4).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    save(tmp_path / "ours", net.to_checkpoint())
    again = load(tmp_path / "ours")
    for one, other in ((checkpoint.encoder, again.encoder), (checkpoint.head, again.head)):
        assert one.describe() == other.describe()
        for a, b in zip(one.steps, other.steps, strict=True):
            if isinstance(a, Linear) and isinstance(b, Linear):
                assert np.array_equal(a.weight, b.weight)
                assert np.array_equal(a.bias, b.bias)


def test_evolution_is_the_circuit_alone() -> None:
    net = circuit(Software((linear(5, 3),)), Software((linear(3, 10),)))
    bare = circuit()
    v = torch.as_tensor(np.random.default_rng(1).normal(size=(3, 6))).float()
    assert torch.equal(net.evolve(v), bare.evolve(v))
    assert net(torch.zeros(6, 5)).shape == (6, 10)


def test_everything_is_trained() -> None:
    """Catches weights that no optimiser sees, and an encoder that the circuit cuts off."""
    net = circuit(Software((linear(5, 3, 1), Relu())), Software((linear(3, 10, 2),)))
    assert net.parameter_count == circuit().parameter_count + 5 * 3 + 3 + 3 * 10 + 10
    random = torch.Generator().manual_seed(1)
    x, labels = torch.randn(64, 5, generator=random), torch.arange(64) % 10
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    losses: list[float] = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0]
    for old, new in zip(before, net.parameters(), strict=True):
        assert not torch.equal(old, new)


@given(st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_a_checkpoint_keeps_every_bit(
    tmp_path_factory: pytest.TempPathFactory, double: bool, data: st.DataObject
) -> None:
    """Catches weights that pass through another type on their way, and steps that change."""
    encoder = data.draw(software(6, reshape=False).filter(lambda s: s.output_width(6) >= 2))
    head = data.draw(software(3))
    net = circuit(encoder, head, inputs=2, double=double, sample_width=6)
    dtype = torch.float64 if double else torch.float32
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    for part in (net.encoder, net.head):
        part.initialise(random)  # float64 draws are such that float32 would round them
    folder = tmp_path_factory.mktemp("software")
    save(folder / "one", net.to_checkpoint(task="mnist"))
    again = KirchhoffNet.from_checkpoint(load(folder / "one"))
    save(folder / "two", again.to_checkpoint(task="mnist"))
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    for (name, one), (other_name, other) in zip(
        net.named_parameters(), again.named_parameters(), strict=True
    ):
        assert name == other_name
        assert one.dtype == other.dtype == dtype
        assert torch.equal(one, other)
    x = torch.as_tensor(np.random.default_rng(1).normal(size=(4, 6)))
    assert torch.equal(net(x), again(x))


def test_weights_that_float32_would_round_stay_float64() -> None:
    """Catches a float32 circuit that rounds the weights of a head written by someone else."""
    head = Software((linear(3, 2, dtype="f8"),))
    net = circuit(head=head)
    (given_step,), (step,) = head.steps, net.to_checkpoint().head.steps
    assert isinstance(step, Linear)
    assert isinstance(given_step, Linear)
    assert np.array_equal(step.weight, given_step.weight)
    assert net.dtype == torch.float32
    out = net(torch.zeros(1, 3))
    assert out.dtype == torch.float64
    read = net.evolve(torch.zeros(3, 1)).T.detach().numpy().astype(np.float64)
    np.testing.assert_allclose(out.detach().numpy(), head(read), rtol=1e-14)


def test_a_new_draw_follows_its_generator() -> None:
    module = SoftwareModule(Software((linear(400, 50), Relu(), linear(50, 10))))

    def draw(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(99)  # the global generator has no say
        module.initialise(torch.Generator().manual_seed(seed))
        return [parameter.detach().clone() for parameter in module.parameters()]

    first = draw(7)
    assert all(map(torch.equal, first, draw(7)))
    assert not any(map(torch.equal, first, draw(8)))
    for weights, width in zip(first, (400, 400, 50, 50), strict=True):
        assert weights.abs().max() <= width**-0.5
    assert first[0].std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.02)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CheckpointError, match="linear 4x2"):
        circuit(head=Software((linear(4, 2),)))
    with pytest.raises(CheckpointError, match="2 values reach 3 input nodes"):
        circuit(Software((linear(5, 2),)))
    net = circuit(Software((linear(5, 3),)))
    with pytest.raises(InputError, match="give \\[samples, 5\\]"):
        net(torch.zeros(2, 3))
    with torch.no_grad():
        next(net.encoder.parameters()).fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        net.to_checkpoint()


def test_samples_are_cut_to_the_inputs() -> None:
    net = circuit(sample_width=5)
    x = torch.as_tensor(np.random.default_rng(1).normal(size=(2, 5))).float()
    assert torch.equal(net(x), circuit()(x[:, :3]))
    again = KirchhoffNet.from_checkpoint(net.to_checkpoint())
    assert (again.sample_width, again.input_width) == (5, 5)


def test_without_software_none_is_stored() -> None:
    """Catches a format that changes for networks that are all circuit."""
    net = circuit()
    checkpoint = net.to_checkpoint()
    assert not checkpoint.encoder
    assert not checkpoint.head
    assert all(name.startswith("layers.") for name in net.state_dict())
