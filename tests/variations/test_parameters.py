"""Effects on devices' numbers: mean, spread and correlation over draws are as documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model

from kcompile.ir import Phi, edge_currents
from kcompile.variations import Chance, Variations, draw, read_variations, varied

DRAWS = 300


def numbers(model, name: str, *words: str, draws: int = DRAWS) -> np.ndarray:
    """One coefficient of the first phase's edges in every draw, ``[draws, E]``."""
    variations = read_variations(words)
    graphs = (varied(model.graph, variations, Chance(5, k)) for k in range(draws))
    return np.stack([g.phases[0].batches[0].column(name) for g in graphs])


def assert_normal(values: np.ndarray, mean: float, sd: float) -> None:
    """All values together have this mean and spread, within five standard errors."""
    count = values.size
    assert abs(values.mean() - mean) < 5 * sd / np.sqrt(count)
    assert abs(values.std() / sd - 1) < 5 / np.sqrt(2 * count)


def assert_independent(values: np.ndarray) -> None:
    """Edges of one draw do not know of each other, nor do draws."""
    for table in (values, values.T):
        matrix = np.corrcoef(table[:20], rowvar=True) if len(table) > 1 else np.eye(1)
        off = matrix[~np.eye(len(matrix), dtype=bool)]
        assert abs(off.mean()) < 5 / np.sqrt(off.size * table.shape[1])


@pytest.mark.parametrize("name", ["w", "c"])
def test_a_proportional_programming_error_is_relative_to_each_number(name: str) -> None:
    model = make_model()
    ideal = model.graph.phases[0].batches[0].column(name)
    relative = numbers(model, name, "programming.proportional=0.03") / ideal - 1
    assert_normal(relative, 0.0, 0.03)
    assert_independent(relative)


@pytest.mark.parametrize("name", ["w", "c"])
def test_an_independent_programming_error_is_relative_to_the_largest(name: str) -> None:
    model = make_model()
    ideal = model.graph.phases[0].batches[0].column(name)
    absolute = numbers(model, name, "programming.independent=0.02") - ideal
    assert_normal(absolute / np.abs(ideal).max(), 0.0, 0.02)
    assert_independent(absolute)


def test_what_a_circuit_is_built_for_is_not_programmed() -> None:
    """The slopes 1 and -1 of a shifted relu are wires, no stored numbers."""
    model = make_model()
    for name in "ab":
        assert numbers(model, name, "programming.proportional=0.1", draws=3).std() == 0
        assert numbers(model, name, "quantisation.bits=3", draws=1).std() == 0


def test_gain_mismatch_multiplies_the_current() -> None:
    model = make_model()
    relative = numbers(model, "w", "mismatch.gain=0.05") / numbers(model, "w", draws=1) - 1
    assert_normal(relative, 0.0, 0.05)
    assert_independent(relative)
    assert np.ptp(numbers(model, "c", "mismatch.gain=0.05", draws=3), axis=0).max() == 0


def test_an_offset_moves_the_voltage_at_which_a_device_sees_zero() -> None:
    model = make_model()
    shift = numbers(model, "c", "mismatch.offset=0.04") - numbers(model, "c", draws=1)
    assert_normal(shift, 0.0, 0.04)  # the slope is 1
    assert_independent(shift)


def test_an_affine_device_has_an_offset_at_each_input() -> None:
    model = make_model()
    phase = model.graph.phases[0]
    batch = phase.batches[0]
    affine = replace(batch, a=np.full(len(batch), 3.0), b=np.full(len(batch), 4.0))
    graph = replace(model.graph, phases=(replace(phase, batches=(affine,)), model.graph.phases[1]))
    shift = numbers(replace(model, graph=graph), "c", "mismatch.offset=0.1") - batch.c
    assert_normal(shift, 0.0, 0.1 * 5.0)


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_quantised_numbers_lie_on_equal_steps_around_zero(bits: int) -> None:
    model = make_model()
    for name in "wc":
        ideal = numbers(model, name, draws=1)[0]
        stored = numbers(model, name, f"quantisation.bits={bits}", draws=1)[0]
        step = np.abs(ideal).max() / (2 ** (bits - 1) - 1)
        assert np.allclose(stored / step, np.rint(stored / step), atol=1e-12)
        assert np.abs(stored - ideal).max() <= step / 2 * (1 + 1e-12)
        assert len(np.unique(stored)) <= 2**bits - 1


def test_what_exceeds_the_clip_becomes_the_full_scale() -> None:
    model = make_model()
    ideal = numbers(model, "w", draws=1)[0]
    full = 0.5 * np.abs(ideal).max()
    stored = numbers(model, "w", "quantisation.bits=8", "quantisation.clip=0.5", draws=1)[0]
    beyond = np.abs(ideal) >= full
    assert beyond.any()
    assert not beyond.all()
    assert np.allclose(np.abs(stored[beyond]), full)
    assert np.abs(stored - ideal)[~beyond].max() <= full / 127 / 2 * (1 + 1e-12)


def test_a_tanh_gets_flatter_when_it_is_hot_and_a_relu_does_not() -> None:
    hot = "temperature.celsius=127"
    tanh = make_model(phi="tanh")
    factor = (27 + 273.15) / (127 + 273.15)
    for name in "abc":
        ideal = numbers(tanh, name, draws=1)
        assert numbers(tanh, name, hot, draws=1) == pytest.approx(ideal * factor)
    relu = make_model()
    assert (numbers(relu, "c", hot, draws=1) == numbers(relu, "c", draws=1)).all()
    nominal = read_variations([hot, "temperature.nominal=127"])
    assert not nominal.active


def test_shares_of_devices_are_stuck() -> None:
    model = make_model(nodes=(9,))
    open_ = numbers(model, "w", "stuck.open=0.2", "stuck.on=0", draws=100) == 0
    assert abs(open_.mean() - 0.2) < 5 * np.sqrt(0.16 / open_.size)
    variations = read_variations(["stuck.open=0.1", "stuck.on=0.3"])
    counts = np.zeros(2)
    edges = model.graph.edges
    for k in range(100):
        batches = varied(model.graph, variations, Chance(1, k)).phases[0].batches
        assert sum(map(len, batches)) == edges
        on = [batch for batch in batches if batch.phi is Phi.IDENTITY]
        counts += [sum(int((b.column("w") == 0).sum()) for b in batches), sum(map(len, on))]
    shares = counts / (100 * edges)
    for share, expected in zip(shares, (0.1, 0.3), strict=True):
        assert abs(share - expected) < 5 * np.sqrt(expected / (100 * edges))


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_a_device_that_is_stuck_on_ignores_its_threshold(phi: str) -> None:
    model = make_model(phi=phi)
    graph = draw(model, read_variations(["stuck.on=1"])).model.graph
    (batch,) = graph.phases[0].batches
    ideal = model.graph.phases[0].batches[0]
    v = np.array([0.0, -0.7, 0.4, 0.2])
    argument = ideal.a * v[ideal.src] + ideal.b * v[ideal.dst] + ideal.c
    expected = ideal.w * (1.0 if phi == "tanh" else argument)
    assert edge_currents(batch, v)[0] == pytest.approx(expected)
    assert batch.trace.index.tolist() == ideal.trace.index.tolist()


def test_diff_devices_stay_diff_devices() -> None:
    """Their two inputs are one difference: no effect may pull a and b apart."""
    words = ["programming.proportional=0.1", "mismatch.offset=0.1", "quantisation.bits=6"]
    model = make_model(phi="tanh")
    phase = model.graph.phases[0]
    batch = phase.batches[0]
    slopes = np.linspace(1, 2, len(batch))
    graph = replace(
        model.graph,
        phases=(
            replace(phase, batches=(replace(batch, a=slopes, b=-slopes),)),
            model.graph.phases[1],
        ),
    )
    found = varied(graph, read_variations(words), Chance(0, 0)).phases[0].batches[0]
    assert found.is_diff.all()
    assert (found.a != slopes).all()


def test_effects_do_not_move_each_others_numbers() -> None:
    """Each effect alone, as a ranking runs it, is the one that all together have."""
    model = make_model()
    together = numbers(model, "w", "mismatch.gain=0.05", "stuck.open=0", "leakage.current=1e-3")
    assert (together == numbers(model, "w", "mismatch.gain=0.05")).all()


def test_seeds_and_numbers_make_other_circuits_and_the_same_again() -> None:
    model = make_model()
    variations = Variations.from_mapping({"mismatch": {"gain": 0.1}})

    def gains(seed: int, index: int) -> list[float]:
        return draw(model, variations, seed, index).model.graph.phases[0].batches[0].w.tolist()

    assert gains(1, 2) == gains(1, 2)
    assert gains(1, 2) != gains(2, 1)
    assert gains(1, 2) != gains(1, 3)


def test_one_affine_device_does_not_make_the_others_affine() -> None:
    """They lie in one batch where a graph has no named law."""
    model = make_model()
    phase = model.graph.phases[0]
    batch = phase.batches[0]
    b = np.full(len(batch), -1.0)
    b[0] = 0.5
    mixed = replace(batch, a=np.ones(len(batch)), b=b)
    graph = replace(model.graph, phases=(replace(phase, batches=(mixed,)), model.graph.phases[1]))
    words = ["mismatch.offset=0.1", "programming.proportional=0.05"]
    diff, affine = varied(graph, read_variations(words), Chance(0, 0)).phases[0].batches
    assert diff.is_diff.all()
    assert len(affine) == 1
    assert sorted([*diff.trace.first, *affine.trace.first]) == list(range(len(batch)))
