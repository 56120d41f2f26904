"""A model turns samples into initial voltages, and final voltages into read-outs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kcompile.errors import CheckpointError, InputError
from kcompile.frontend import Linear, Model, Samples, Software
from kcompile.ir import EdgeBatch, Fill, Graph, Phase


def model(nodes=4, inputs=2, fill=Fill.ZERO, **fields):
    batch = EdgeBatch("relu", [1], [2], 1.0, 1.0, -1.0, 0.0)
    graph = Graph((Phase(nodes, 1.0, (batch,), fill),), inputs, [3, 1])
    return Model(graph, "relu_diff", **fields)


def test_short_samples_are_padded_or_repeated():
    assert model().initial_voltages([5.0, 6.0]).tolist() == [5, 6, 0, 0]
    assert model(fill=Fill.REPEAT).initial_voltages([5.0, 6.0]).tolist() == [5, 6, 5, 6]
    batch = model().initial_voltages(np.ones((3, 2)))
    assert batch.shape == (3, 4)
    assert batch.dtype == np.float64


def test_long_samples_are_cut():
    wide = model(inputs=4, sample_width=6)
    assert wide.input_width == 6
    assert wide.initial_voltages(np.arange(6.0)).tolist() == [0, 1, 2, 3]


def test_an_encoder_comes_first():
    encoder = Software((Linear(np.array([[1.0], [2.0], [3.0]]), np.zeros(3)),))
    encoded = model(encoder=encoder)
    assert encoded.input_width == 1
    assert encoded.initial_voltages([2.0]).tolist() == [2, 4, 0, 0]


@pytest.mark.parametrize(
    "inputs",
    [
        1.0,
        [1.0],
        [1.0, 2.0, 3.0],
        [[1.0]],
        [],
        [np.nan, 1.0],
        [1.0, np.inf],
        ["a", "b"],
        [1j, 2.0],
        [None, 1.0],
        [[1.0, 2.0], [1.0]],
    ],
)
def test_samples_that_do_not_fit(inputs):
    with pytest.raises(InputError) as caught:
        model().initial_voltages(inputs)
    assert caught.value.exit_status == 3


def test_read_out_takes_the_nodes_in_order():
    assert model().read_out(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[3.0, 1.0]]


def test_generative_tasks():
    assert model(task="genmnist").generative
    assert not model(task="mnist").generative
    assert not model().generative


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (None, "network"),
        (Path("runs/twomoon/model.pth"), "twomoon"),
        (Path("runs/friedman.pt"), "friedman"),
        (Path("/model.pt"), "network"),
    ],
)
def test_a_name_for_folders(source, name):
    assert model(source=source).name == name


def test_the_task_names_a_model_without_a_file():
    assert model(task="friedman").name == "friedman"


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (np.ones(3), np.ones(3)),
        (np.ones((3, 2)), np.ones(2)),
        (np.ones((3, 2)), np.ones((3, 1, 1))),
        (np.full((3, 2), np.nan), np.ones(3)),
        (np.ones((3, 2)), np.full(3, np.inf)),
    ],
)
def test_test_samples_that_are_none(inputs, targets):
    with pytest.raises(CheckpointError):
        Samples(inputs, targets)
