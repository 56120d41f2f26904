"""How inputs are set and outputs read: noise, offset and resolution are as documented."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import make_model

from kcompile.variations import draw, read_variations


def test_noise_is_another_for_every_sample_and_offsets_are_not() -> None:
    model = make_model()
    inputs = np.zeros((400, 2))
    noisy = np.array(
        [draw(model, read_variations(["input.noise=0.1"]), 0, k).initial_voltages(inputs)
         for k in range(20)]
    )  # fmt: skip
    assert noisy[..., :2].std() == pytest.approx(0.1, rel=0.05)
    assert abs(noisy[..., :2].mean()) < 5 * 0.1 / np.sqrt(noisy[..., :2].size)
    assert (noisy[..., 2:] == 0).all()  # nodes that the input does not reach
    offsets = np.array(
        [draw(model, read_variations(["input.offset=0.1"]), 0, k).initial_voltages(inputs)
         for k in range(1000)]
    )[..., :2]  # fmt: skip
    assert offsets.std(axis=1).max() < 1e-12
    assert offsets[:, 0].std() == pytest.approx(0.1, rel=0.1)
    assert abs(np.corrcoef(offsets[:, 0, 0], offsets[:, 0, 1])[0, 1]) < 5 / np.sqrt(1000)


def test_read_outs_have_noise_of_their_own() -> None:
    model = make_model()
    drawn = draw(model, read_variations(["readout.noise=0.2", "input.noise=0.2"]))
    outputs = drawn.read_out(np.zeros((5000, 2)))
    inputs = drawn.initial_voltages(np.zeros((5000, 2)))[:, :2]
    assert outputs.std() == pytest.approx(0.2, rel=0.03)
    assert abs(np.corrcoef(outputs.ravel(), inputs.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_converter_has_equal_levels_over_its_span(bits: int) -> None:
    words = [f"readout.bits={bits}", "readout.span=2"]
    drawn = draw(make_model(), read_variations(words))
    v = np.linspace(-3, 3, 1001)[:, None]
    read = drawn.read_out(v)
    levels = np.unique(read.round(12))
    assert levels == pytest.approx(np.linspace(-2, 2, 2**bits))
    inside = np.abs(v) <= 2
    assert np.abs(read - v)[inside].max() <= 2 / (2**bits - 1) * (1 + 1e-9)


def test_a_span_alone_does_nothing() -> None:
    model = make_model()
    drawn = draw(model, read_variations(["readout.span=0.1", "input.span=0.1"]))
    v = np.array([[3.0, -4.0]])
    assert drawn.read_out(v) is v
    assert drawn.initial_voltages(v)[0, :2].tolist() == [3.0, -4.0]
