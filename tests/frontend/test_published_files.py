"""The authors' own checkpoints: sizes as published, currents as the slow telling has them."""

from __future__ import annotations

import numpy as np
import published
import pytest
import torch
import yaml

from kcompile.frontend import load

EXPECTED = {
    "twomoon": ("tanh_affine", 2, [300] * 2, [0.5] * 2),
    "circle": ("tanh_affine", 2, [300] * 4, [0.5] * 4),
    "potential2": ("tanh_diff", 2, [120] * 8, [0.2] * 8),
    "genmnist": ("tanh_diff", 784, [50_240] * 2, [1.0] * 2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_authors_own(name):
    path = published.FOLDER / name / "model.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not there: set KCOMPILE_PUBLISHED to where the checkpoints lie")
    model = load(path)
    law, nodes, edges, durations = EXPECTED[name]
    assert (model.law, model.graph.nodes, model.task, model.name) == (law, nodes, name, name)
    assert [phase.edges for phase in model.graph.phases] == edges
    assert [phase.duration for phase in model.graph.phases] == durations
    assert model.generative
    assert model.input_width == nodes
    assert model.graph.outputs.tolist() == list(range(1, nodes + 1))
    assert not model.head

    said = yaml.safe_load((path.parent / "config.yaml").read_text())
    state = torch.load(path, weights_only=True, map_location="cpu")
    _, current = published.law(said["network"]["model"])
    random = np.random.default_rng(0)
    for k in sorted({0, len(edges) - 1}):
        layer = said["network"]["net_struct"][k]
        ends = published.GENERATORS[layer["name"]](**layer["args"])
        params = state[f"circuit.layer_list.{k}.model.param"].numpy()
        v = random.normal(size=nodes)
        expected = published.derivative(ends, current, params, v)
        np.testing.assert_allclose(model.derivative(k, v), expected, rtol=1e-9, atol=1e-9)
