"""The authors' minimal form: edges in the file, law and duration from the caller."""

from __future__ import annotations

import numpy as np
import published
import pytest
import torch

from kcompile.errors import CheckpointError, UsageError
from kcompile.frontend import load
from kcompile.frontend.published.minimal import MINIMAL_LAWS

RANDOM = np.random.default_rng(3)
SRC = [0, 1, 2, 3, 4, 3, 2, 2]
NOBODY = torch.zeros(0, dtype=torch.int64)
DST = [4, 2, 3, 0, 1, 3, 1, 1]


def params(rows):
    return RANDOM.normal(size=(rows, len(SRC))).astype("f4")


def write(folder, **replaced):
    state = {"src_node": SRC, "des_node": DST, "model.param": params(2)}
    state |= {name.replace("__", "."): value for name, value in replaced.items()}
    state = {k: v if isinstance(v, torch.Tensor) else torch.tensor(v) for k, v in state.items()}
    torch.save(state, folder / "mini.pth")
    return folder / "mini.pth"


def current(law, p, vs, vd):
    """As the minimal example writes it: p0 is the slope and p1 the offset of a diff law."""
    name, form = law.rsplit("_", 1)
    act = published.ACTIVATIONS[None if name == "identity" else name]
    return act(p[0] * (vs - vd) + p[1] if form == "diff" else p[0] * vs + p[1] * vd + p[2])


@pytest.mark.parametrize("law", MINIMAL_LAWS)
def test_every_law(tmp_path, law):
    values = params(2 if law.endswith("diff") else 3)
    model = load(write(tmp_path, model__param=values), law=law, duration=1.5)
    assert (model.graph.nodes, model.graph.edges, model.graph.duration) == (4, len(SRC), 1.5)
    assert model.graph.outputs.tolist() == [1, 2, 3, 4]
    assert model.input_width == 4
    v = RANDOM.normal(size=4)
    expected = published.derivative(
        list(zip(SRC, DST, strict=True)), lambda p, vs, vd: current(law, p, vs, vd), values, v
    )
    np.testing.assert_allclose(model.derivative(0, v), expected, rtol=1e-12)


def test_the_four_laws_of_the_paper_are_among_them():
    assert {"relu_diff", "tanh_diff", "relu_affine", "tanh_affine"} <= set(MINIMAL_LAWS)


@pytest.mark.parametrize(
    ("law", "duration", "option"),
    [
        (None, 1.0, "--law"),
        ("relu_diff", None, "--duration"),
        ("shift_relu", 1.0, "--law"),
        ("magic", 1.0, "--law"),
        ("relu_diff", 0.0, "--duration"),
        ("relu_diff", -1.0, "--duration"),
        ("relu_diff", float("nan"), "--duration"),
        ("relu_diff", float("inf"), "--duration"),
    ],
)
def test_options_that_are_missing_or_wrong(tmp_path, law, duration, option):
    path = write(tmp_path)
    with pytest.raises(UsageError) as caught:
        load(path, law=law, duration=duration)
    assert option in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_rows_tell_diff_from_affine(tmp_path):
    with pytest.raises(CheckpointError, match="relu_affine takes float"):
        load(write(tmp_path), law="relu_affine", duration=1.0)


@pytest.mark.parametrize(
    "replaced",
    [
        {"src_node": SRC[:-1]},
        {"des_node": [*DST[:-1], -1]},
        {"des_node": [*DST[:-1], 2**40]},
        {"des_node": [*DST[:-1], 2**30]},
        {"src_node": [float(s) for s in SRC]},
        {"src_node": [[s] for s in SRC]},
        {"src_node": [0] * 8, "des_node": [0] * 8},
        {"model__param": params(2)[0]},
        {"model__param": params(2)[:, :-1]},
        {"model__param": np.full((2, 8), np.nan)},
        {"src_node": NOBODY, "des_node": NOBODY, "model__param": torch.zeros(2, 0)},
        {"something": [1.0]},
    ],
)  # fmt: skip
def test_states_that_contradict_themselves(tmp_path, replaced):
    with pytest.raises(CheckpointError):
        load(write(tmp_path, **replaced), law="relu_diff", duration=1.0)


def test_a_config_is_not_needed(tmp_path):
    (tmp_path / "config.yaml").write_text("nonsense")
    path = write(tmp_path)
    assert not load(path, law="relu_diff", duration=1.0).notes
    model = load(path, tmp_path / "config.yaml", law="relu_diff", duration=1.0)
    assert any("not read" in note for note in model.notes)
