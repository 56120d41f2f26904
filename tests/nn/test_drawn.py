"""A network with the imperfections of one drawn circuit: the drawn graph's, with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import as_tensor, gathering, graph_of, networks, random_edges
from torch import Tensor

from kcompile.errors import UsageError
from kcompile.ir import COEFFICIENTS, Fill, FloatArray, Phase, Phi, derivative
from kcompile.nn import KirchhoffNet, Layer, Solver, answers_at
from kcompile.nn.arithmetic import TorchArithmetic
from kcompile.nn.drawn import Drawing
from kcompile.reference.fixed import FixedSteps
from kcompile.variations import EFFECTS, Chance, Variations, draw, varied

EVERY = {
    "quantisation": {"bits": 4, "clip": 0.8},
    "programming": {"proportional": 0.05, "independent": 0.02},
    "mismatch": {"gain": 0.1, "offset": 0.05},
    "temperature": {"celsius": 80.0},
    "stuck": {"open": 0.2, "on": 0.2},
    "output": {"conductance": 0.1},
    "leakage": {"conductance": 0.1, "current": 0.05, "spread": 0.3},
    "capacitors": {"mismatch": 0.05, "parasitic": 0.02},
    "input": {"noise": 0.01, "offset": 0.02, "bits": 5, "span": 2.0},
    "readout": {"noise": 0.01, "offset": 0.02, "bits": 6, "span": 3.0},
}
REFUSED = {"noise": {"density": 0.01}, "device": {"roff": 1e6}}
FEW = Solver("rk4", steps=8)
EDGES = ("quantisation", "programming", "mismatch", "temperature", "stuck", "output", "leakage")


def variations(*names: str) -> Variations:
    return Variations.from_mapping({name: EVERY[name] for name in names})


def net_of(*laws: str, nodes: int = 4, edges: int = 12, seed: int = 3) -> KirchhoffNet:
    """Two layers of these laws."""
    random = np.random.default_rng(seed)
    layers = [
        Layer([random_edges(law, nodes, edges, random) for law in laws], nodes, 0.3)
        for _ in range(2)
    ]
    return KirchhoffNet(layers, 3, [2, 4], random.uniform(0.5, 2.0, nodes))


def numbers(phase: Phase) -> FloatArray:
    """Every edge of a phase as ``[phi, src, dst, w, a, b, c]``, but for those at no current."""
    found = [
        np.column_stack(
            (
                np.full(len(batch), list(Phi).index(batch.phi)),
                batch.src,
                batch.dst,
                *(batch.column(name) for name in COEFFICIENTS),
            )
        )
        for batch in phase.batches
    ]
    rows = np.concatenate(found)
    rows = rows[rows[:, 3] != 0]
    return rows[np.lexsort(rows.T)]


def drawn_numbers(net: KirchhoffNet, phase: int) -> FloatArray:
    """The same of a network within ``Drawing.drawn``."""
    layer = list(net.phases)[phase]
    assert layer.made is not None
    found: list[FloatArray] = []
    for batch in layer.made(list(layer.batches)):
        form = batch.coefficients()
        columns = [np.broadcast_to(_array(v), len(batch)) for v in (form.w, form.a, form.b, form.c)]
        kind = np.full(len(batch), list(Phi).index(batch.phi))
        found.append(np.column_stack((kind, batch.src, batch.dst, *columns)))
    rows = np.concatenate(found)
    rows = rows[rows[:, 3] != 0]
    return rows[np.lexsort(rows.T)]


def _array(value: Tensor | float) -> FloatArray:
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


def test_every_effect_is_here() -> None:
    assert {effect.name for effect in EFFECTS} == {*EVERY, *REFUSED} - {"device"}


@pytest.mark.parametrize("name", [*EDGES, "every"])
def test_for_one_chance_the_numbers_are_those_of_the_drawn_graph(name: str) -> None:
    """Catches effects, or the numbers they take, that differ between training and circuits."""
    net = net_of("shift_relu", "tanh_affine", "leaky_relu_diff")
    chosen, chance = variations(*(EVERY if name == "every" else [name])), Chance(7, 3)
    graph = varied(graph_of(net), chosen, chance)
    with Drawing(net, chosen).drawn(chance):
        for k, phase in enumerate(graph.phases):
            expected = numbers(phase)
            assert len(expected) > 20
            # Sums over a node's devices are added in another order.
            np.testing.assert_allclose(drawn_numbers(net, k), expected, rtol=1e-13, atol=1e-15)
    ideal = numbers(graph_of(net).phases[0])
    changed = numbers(graph.phases[0])
    assert len(ideal) != len(changed) or not np.allclose(ideal, changed, rtol=1e-3)


@pytest.mark.parametrize("name", [*EVERY, "every"])
def test_it_computes_what_the_drawn_circuit_computes(name: str) -> None:
    net = net_of("shift_relu", "tanh_affine")
    chosen = variations(*(EVERY if name == "every" else [name]))
    inputs = np.random.default_rng(1).normal(size=(5, 3))
    real = draw(net.to_checkpoint().model(), chosen, 11, 4)
    final = FixedSteps().outputs(real.model.graph, real.initial_voltages(inputs), 8)
    expected = real.read_out(final)
    with Drawing(net, chosen).drawn(Chance(11, 4)):
        found = net(as_tensor(inputs), FEW).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    ideal = net(as_tensor(inputs), FEW).detach().numpy()
    assert np.abs(ideal - expected).max() > 1e-3


def wider(fill: Fill) -> KirchhoffNet:
    """A network of 4 inputs and 9 nodes, all of them read."""
    random = np.random.default_rng(6)
    edges = random_edges("tanh_affine", 9, 30, random)
    return KirchhoffNet([Layer(edges, 9, 0.3, fill)], 4, np.arange(1, 10))


def drawn_answers(net: KirchhoffNet, chosen: Variations, inputs: FloatArray) -> FloatArray:
    """What circuit 4 of seed 11 gives, solved with 8 steps."""
    real = draw(net.to_checkpoint().model(), chosen, 11, 4)
    final = FixedSteps().outputs(real.model.graph, real.initial_voltages(inputs), 8)
    return real.read_out(final)


@pytest.mark.parametrize("effect", ["noise", "offset", "bits"])
@pytest.mark.parametrize("fill", list(Fill))
def test_a_layer_repeats_inputs_as_the_converter_set_them(effect: str, fill: Fill) -> None:
    """Catches repeated nodes that start with the voltages that should have been set."""
    net = wider(fill)
    number = EVERY["input"][effect]
    chosen = Variations.from_mapping({"input": {effect: number, "span": 2.0}})
    inputs = np.random.default_rng(1).normal(size=(5, 4))
    with Drawing(net, chosen).drawn(Chance(11, 4)):
        found = net(as_tensor(inputs), FEW).detach().numpy()
    expected = drawn_answers(net, chosen, inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    ideal = net(as_tensor(inputs), FEW).detach().numpy()
    assert np.abs(ideal - expected).max() > 1e-3


@pytest.mark.parametrize("together", [1, 3, 4096])
def test_noise_does_not_depend_on_how_many_samples_are_solved_together(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches parts that all begin with the noise of the first samples."""
    sizes = {"_TOGETHER": together, "_CACHED": 0, "_LEAST": together}  # with and without a kernel
    for name, size in sizes.items():
        monkeypatch.setattr(f"kcompile.nn.solution.{name}", size)
    net, chosen = wider(Fill.ZERO), variations("input", "readout")
    chosen = chosen.with_number("input.bits", 0).with_number("readout.bits", 0)
    inputs = np.tile(np.random.default_rng(1).normal(size=4), (8, 1))
    asked: list[int] = []

    def answers(net: KirchhoffNet, part: Tensor, solver: Solver) -> Tensor:
        asked.append(len(part))
        return net(part, solver)

    with Drawing(net, chosen).drawn(Chance(11, 4)):
        found = answers_at(net, inputs, answers, 8)
    assert asked[0] == min(together, 8)
    np.testing.assert_allclose(found, drawn_answers(net, chosen, inputs), rtol=1e-12, atol=1e-12)
    assert len(np.unique(found[:, 0])) == 8  # equal inputs differ by their noise alone


@settings(max_examples=40)
@given(networks(phases=2), st.integers(0, 2**32 - 1))
def test_currents_of_any_network_are_those_of_the_drawn_graph(net: KirchhoffNet, seed: int) -> None:
    """Laws of all kinds, grounds, self-loops, layers without edges; compiled and in plain torch."""
    assume(list(net.parameters()))  # else it is of another type than the voltages
    chosen, chance = variations(*EVERY), Chance(seed, 0)
    graph = varied(graph_of(net), chosen, chance)
    for form in (lambda same: same, gathering):
        with Drawing(form(net), chosen).drawn(chance):
            for k, phase in enumerate(graph.phases):
                v = np.random.default_rng(seed).normal(size=(3, phase.nodes))
                expected = derivative(graph, k, v)
                found = net.derivative(k, as_tensor(v)).detach().numpy()
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_afterwards_the_network_is_ideal_again() -> None:
    net, x = net_of("shift_relu"), as_tensor(np.ones((2, 3)))
    before = net(x, FEW)
    drawing = Drawing(net, variations(*EVERY))
    with drawing.drawn(Chance(0, 0)):
        one = net(x, FEW)
    with drawing.drawn(Chance(0, 1)):
        other = net(x, FEW)
    with drawing.drawn(Chance(0, 0)):
        again = net(x, FEW)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    with pytest.raises(RuntimeError), drawing.drawn(Chance(0, 0)):
        raise RuntimeError
    assert torch.equal(net(x, FEW), before)


def gradient(net: KirchhoffNet, x: Tensor, solver: Solver = FEW) -> list[Tensor]:
    """Of the sum of the outputs' squares."""
    return list(torch.autograd.grad((net(x, solver) ** 2).sum(), list(net.parameters())))


@pytest.mark.parametrize("law", ["tanh_affine", "tanh_diff", "shift_relu"])
def test_gradients_are_those_at_the_drawn_numbers(law: str) -> None:
    """Catches a gradient of the ideal network, or of another draw, and a load that has none."""
    smooth = variations(
        "programming", "mismatch", "temperature", "stuck", "output", "leakage", "capacitors"
    )
    # The full scale of an independent error is a number that no gradient flows through.
    smooth = smooth.with_number("programming.independent", 0.0)
    net, x = net_of(law), as_tensor(np.random.default_rng(2).normal(size=(4, 3)))
    drawing, chance = Drawing(net, smooth), Chance(5, 1)

    def loss() -> Tensor:
        with drawing.drawn(chance):
            return (net(x, Solver("rk4", steps=3)) ** 2).sum()

    found = torch.autograd.grad(loss(), list(net.parameters()))
    step = 1e-6
    for parameter, slope in zip(net.parameters(), found, strict=True):
        for at in range(0, parameter.numel(), 5):
            values = parameter.data.view(-1)
            stored = values[at].item()
            values[at] = stored + step
            up = loss().item()
            values[at] = stored - step
            down = loss().item()
            values[at] = stored
            assert slope.view(-1)[at].item() == pytest.approx(
                (up - down) / (2 * step), rel=1e-4, abs=1e-6
            )


def test_the_adjoint_equation_is_that_of_the_drawn_circuit() -> None:
    net, x = net_of("tanh_affine"), as_tensor(np.random.default_rng(2).normal(size=(4, 3)))
    drawing = Drawing(net, variations("programming", "mismatch", "output", "capacitors"))
    found: list[list[Tensor]] = []
    for solver in (Solver("rk4", steps=60), Solver("dopri5", 1e-9, 1e-9, adjoint=True)):
        with drawing.drawn(Chance(1, 1)):
            found.append(gradient(net, x, solver))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_gradients_pass_through_rounding_but_not_beyond_the_full_scale() -> None:
    arithmetic = TorchArithmetic(torch.float64, torch.device("cpu"))
    x = torch.tensor([-3.0, -1.2, 0.5, 1.5, 2.5], dtype=torch.float64, requires_grad=True)
    y = arithmetic.rounded(arithmetic.clipped(x, 2.4))
    assert y.tolist() == [-2.0, -1.0, 0.0, 2.0, 2.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_gradients_of_stored_numbers_pass_through_their_quantisation() -> None:
    """At the quantised numbers: as those of a network that has them from the start."""
    net, x = net_of("tanh_affine"), as_tensor(np.random.default_rng(2).normal(size=(4, 3)))
    chosen = Variations.from_mapping({"quantisation": {"bits": 4}})
    with Drawing(net, chosen).drawn(Chance(0, 0)):
        found = gradient(net, x)
    stored = varied(graph_of(net), chosen, Chance(0, 0))
    for layer, phase in zip(net.phases, stored.phases, strict=True):
        for edges, batch in zip(layer.batches, phase.batches, strict=True):
            edges.params.data = as_tensor(np.stack([batch.a, batch.b, batch.c]))
    expected = gradient(net, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"noise": {"density": 0.1}}, "noise"),
        ({"device": {"roff": 1e6}}, "device"),
        ({"leakage": {"current": 0.1, "hold": 1.0}}, "leakage.hold"),
        (
            {"mismatch": {"gain": 0.1}, "noise": {"density": 0.1}, "device": {"n": 1}},
            "noise, device",
        ),
    ],
)
def test_what_cannot_be_trained_with_is_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"no network can be trained with {named};"):
        Drawing(net_of("tanh_diff"), Variations.from_mapping(values))
