"""Published networks compute what their config says, as told once more by a slow program."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import published
import pytest
from published import config, forward, parameters, write

from kcompile.errors import CheckpointError, ConfigError
from kcompile.frontend import load, load_checkpoint, save_checkpoint
from kcompile.frontend.fields import Field
from kcompile.frontend.published import published_checkpoint, read_config
from kcompile.frontend.published.generators import published_topology
from kcompile.frontend.topology import describe, share_of
from kcompile.frontend.torch_file import read_state
from kcompile.ir import Fill, digest

RANDOM = np.random.default_rng(7)

THREE = ("_fully_connect", {"num_node": 4})
FIVE = ("_fully_connect", {"num_node": 6, "repeat": [1, 0]})


def same(run, path, said, x, **weights):
    """The model in ``path`` does what the slow program makes of config ``said``."""
    model = load(path)
    expected = forward(said, parameters(said), x, **weights)
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-9, atol=1e-11)
    return model


def linear(given, out):
    return RANDOM.normal(size=(out, given)).astype("f4"), RANDOM.normal(size=out).astype("f4")


MODELS = [
    *((name, {}) for name in published.LAWS),
    *(
        ("Device", {"negation": negation, "activation": activation})
        for negation in (True, False)
        for activation in published.ACTIVATIONS
    ),
]


@pytest.mark.parametrize(("name", "args"), MODELS)
def test_every_law(tmp_path, run, name, args):
    said = config([THREE], name, args=args)
    for x in RANDOM.normal(size=(4, 3)):
        same(run, write(tmp_path, said), said, x)


@pytest.mark.parametrize(
    "layer",
    [
        ("_fully_connect", {"num_node": "3", "include_gnd": False, "repeat": [2, 1]}),
        ("_simple_connect", {"num_node": 4}),
        ("_simple_connect", {"num_node": 4, "include_gnd": False, "repeat": [2, 5]}),
        (
            "_neighbor_index",
            {"num_channel": 2, "width": 3, "height": 2, "neighbor_size": 2, "repeat": 2},
        ),
        (
            "_neighbor_index",
            {"num_channel": 1, "width": 2, "height": 3, "neighbor_size": 2, "padding": True,
             "sharing": True, "parallel": 2},
        ),
        (
            "_mix_connect",
            {"num_channel": 1, "width": 3, "height": 3, "neighbor_size": 2,
             "fully_connect_node": 2, "repeat": [2, 1], "kernel_repeat": 2},
        ),
        ("_pregiven", {"source_edge_index": [[0, 1, 2], [1, 2, 0]], "num_node_feature": 2}),
    ],
)  # fmt: skip
def test_every_generator(tmp_path, run, layer):
    name, args = layer
    plain = (name, {key: int(v) if isinstance(v, str) else v for key, v in args.items()})
    path = write(tmp_path, config([layer]), parameters(config([plain])))
    nodes = load(path).graph.nodes
    same(run, path, config([plain]), RANDOM.normal(size=nodes))


@pytest.mark.parametrize("name", ["_neighbor_index", "_mix_connect"])
def test_published_networks_have_a_column_for_every_edge(name):
    """Catches ``sharing`` being taken at its word: published checkpoints do not share."""
    args = {"num_channel": 1, "width": 3, "height": 3, "neighbor_size": 2, "sharing": True}
    args |= {"fully_connect_node": 1} if name == "_mix_connect" else {}
    topology = published_topology(Field({"name": name, "args": args}, "", ConfigError))
    assert share_of(topology) is None
    assert describe(topology)["sharing"] is False


@pytest.mark.parametrize("fill", ["zeros", "zero", "repeat", None])
@pytest.mark.parametrize("sizes", [(THREE, FIVE), (FIVE, THREE), (THREE, FIVE, THREE)])
def test_layers_of_different_sizes(tmp_path, run, fill, sizes):
    said = config(sizes, fill=fill)
    nodes = 3 if sizes[0] is THREE else 5
    same(run, write(tmp_path, said), said, RANDOM.normal(size=nodes))


def test_a_fill_that_fills_nothing_is_not_claimed(tmp_path):
    phases = load(write(tmp_path, config([FIVE, THREE, FIVE], fill="repeat"))).graph.phases
    assert [phase.fill for phase in phases] == [Fill.ZERO, Fill.ZERO, Fill.REPEAT]


@pytest.mark.parametrize("fill", ["zeros", "repeat"])
@pytest.mark.parametrize("nodes", [784, 790, 5])
def test_images_are_padded_or_cut_to_the_first_layer(tmp_path, run, fill, nodes):
    layer = ("_simple_connect", {"num_node": nodes})
    said = config([layer], bench="mnist", fill=fill, projector="last10" if nodes > 9 else None)
    model = same(run, write(tmp_path, said), said, RANDOM.uniform(size=784))
    assert model.input_width == 784
    assert model.graph.inputs == min(nodes, 784)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_residual(tmp_path, run, pair):
    said = config([THREE, THREE, THREE], residual=list(pair))
    model = same(run, write(tmp_path, said), said, RANDOM.normal(size=3))
    assert model.graph.phases[pair[1]].residual == pair[0]


def test_residual_where_a_layer_between_has_another_size(tmp_path, run):
    said = config([THREE, FIVE, THREE], residual=[0, 2], fill="repeat")
    same(run, write(tmp_path, said), said, RANDOM.normal(size=3))


@pytest.mark.parametrize("projector", ["last2", "first3", "none", None, [], ["first4", "last2"],
                                       ["none", "last1"]])  # fmt: skip
def test_choosing_nodes_needs_no_software(tmp_path, run, projector):
    said = config([FIVE], projector=projector)
    model = same(run, write(tmp_path, said), said, RANDOM.normal(size=5))
    assert not model.head


def test_mlp_read_out(tmp_path, run):
    said = config([FIVE], projector="mlp_5_2")
    weight, bias = linear(5, 2)
    path = write(tmp_path, said, projector__net__0__weight=weight, projector__net__0__bias=bias)
    model = same(run, path, said, RANDOM.normal(size=5), projectors=[(weight, bias)])
    assert model.graph.outputs.tolist() == [1, 2, 3, 4, 5]
    assert any("linear 5x2" in note and "software" in note for note in model.notes)


def test_a_list_of_read_outs(tmp_path, run):
    said = config([FIVE], projector=["last4", "mlp_4_6", "first3", "mlp_3_2"])
    pairs = [linear(4, 6), linear(3, 2)]
    extra = {
        f"projector__{i}__net__0__{part}": value
        for i, pair in zip((1, 3), pairs, strict=True)
        for part, value in zip(("weight", "bias"), pair, strict=True)
    }
    model = same(run, write(tmp_path, said, **extra), said, RANDOM.normal(size=5), projectors=pairs)
    assert model.graph.outputs.tolist() == [2, 3, 4, 5]


def test_reshape_deals_the_nodes_out_by_columns(tmp_path, run):
    six = ("_fully_connect", {"num_node": 7})
    said = config([six], projector="reshape2")
    model = same(run, write(tmp_path, said), said, RANDOM.normal(size=6))
    assert model.head(np.arange(1.0, 7.0)).tolist() == [[1, 4], [2, 5], [3, 6]]
    # A batch keeps its samples apart.
    batch = RANDOM.normal(size=(3, 6))
    np.testing.assert_array_equal(model.head(batch), [model.head(x) for x in batch])


def test_reshape_then_a_read_out_per_row(tmp_path, run):
    six = ("_fully_connect", {"num_node": 7})
    said = config([six], projector=["reshape2", "mlp_2_4", "last3"])
    weight, bias = linear(2, 4)
    path = write(tmp_path, said, projector__1__net__0__weight=weight,
                 projector__1__net__0__bias=bias)  # fmt: skip
    model = same(run, path, said, RANDOM.normal(size=6), projectors=[(weight, bias)])
    assert run(model, RANDOM.normal(size=6)).shape == (3, 3)


@pytest.mark.parametrize("widths", [(7, 3), (7, 4, 3), (2, 4, 6, 5), (2, 9)])
def test_encoder(tmp_path, run, widths):
    said = config([FIVE], encoder=list(widths), fill="repeat")
    pairs = [linear(*pair) for pair in pairwise(widths)]
    extra = {
        f"encoder__net__{2 * i}__{part}": value
        for i, pair in enumerate(pairs)
        for part, value in zip(("weight", "bias"), pair, strict=True)
    }
    x = RANDOM.normal(size=widths[0])
    model = same(run, write(tmp_path, said, **extra), said, x, encoder=pairs)
    assert model.input_width == widths[0]
    assert any("encoder" in note for note in model.notes)


@pytest.mark.parametrize("bench", sorted(published.GENERATIVE))
def test_generative_benches_ignore_what_does_not_apply(tmp_path, run, bench):
    said = config([THREE, THREE], bench=bench, projector="last10", encoder=[5, 3],
                  residual=[0, 1], fill="nonsense")  # fmt: skip
    path = write(tmp_path, said, projector__net__0__weight=np.ones((2, 2)))
    model = same(run, path, said, RANDOM.normal(size=3))
    assert model.generative
    assert model.input_width == 3
    assert [phase.fill for phase in model.graph.phases] == [Fill.REPEAT, Fill.ZERO]
    assert model.graph.outputs.tolist() == [1, 2, 3]
    assert not model.encoder
    assert not model.head
    (note,) = (note for note in model.notes if "ignored" in note)
    assert "last10" in note
    assert bench in note


def test_nodes_that_a_later_generative_layer_leaves_out_hold_their_voltage(tmp_path, run):
    said = config([FIVE, THREE], bench="circle")
    x = RANDOM.normal(size=5)
    model = same(run, write(tmp_path, said), said, x)
    assert model.graph.outputs.tolist() == [1, 2, 3, 4, 5]


def test_a_generative_network_cannot_grow(tmp_path):
    with pytest.raises(ConfigError, match=r"net_struct\[1\] has 5 nodes"):
        load(write(tmp_path, config([THREE, FIVE], bench="circle")))


def test_durations_are_those_written_down(tmp_path):
    layers = [THREE] * 4
    model = load(write(tmp_path, config(layers, t_end=[0.0, "0.2", 0.4, 0.6, 8e-1])))
    assert [phase.duration for phase in model.graph.phases] == [0.2] * 4


def test_training_solver(tmp_path):
    solver = load(write(tmp_path, config([THREE]))).solver
    assert solver is not None
    assert (solver.method, solver.rtol, solver.atol) == ("dopri5", 1e-3, 1e-3)
    assert solver.options == {"first_step": 1e-2, "min_step": 1e-5}
    said = config([THREE])
    said["simulation"]["method"] = "rk4"
    solver = load(write(tmp_path, said)).solver
    assert solver is not None
    assert solver.options == {"step_size": 1e-6}
    said["simulation"]["method"] = "magic"
    model = load(write(tmp_path, said))
    assert model.solver is None
    assert any("magic" in note for note in model.notes)
    del said["simulation"]["tol"]
    assert load(write(tmp_path, said)).solver is None


def test_what_the_config_does_not_say_is_noted(tmp_path):
    said = config([THREE])
    del said["test_bench"]
    model = load(write(tmp_path, said))
    assert model.task is None
    assert any("test_bench" in note for note in model.notes)
    assert any("3 values" in note for note in model.notes)


def test_parameters_become_double_without_rounding(tmp_path):
    said = config([THREE], "ShiftRelu1")
    params = parameters(said)
    (batch,) = load(write(tmp_path, said, params)).graph.phases[0].batches
    assert np.array_equal(batch.w, params[0][1].astype(np.float64))
    assert np.array_equal(batch.c, -params[0][0].astype(np.float64))


def test_a_published_network_can_be_kept_as_ours(tmp_path, run):
    said = config([FIVE, FIVE], bench="mnist", residual=[0, 1], projector=["last4", "reshape2"])
    path = write(tmp_path, said)
    model = load(path)
    found, _ = published_checkpoint(read_state(path), read_config(tmp_path / "config.yaml"))
    save_checkpoint(tmp_path / "ours.pt", found)
    ours = load(tmp_path / "ours.pt")
    assert digest(ours.graph) == digest(model.graph)
    assert ours.input_width == 784
    assert ours.solver == model.solver
    x = RANDOM.normal(size=784)
    np.testing.assert_array_equal(run(ours, x), run(model, x))
    assert load_checkpoint(tmp_path / "ours.pt").phases[0].batches[0].topology == {
        "name": "fully_connected", "num_node": 6, "include_gnd": True, "repeat": [1, 0],
    }  # fmt: skip


BAD_STATES = {
    "short": lambda p, said: write(p, said, [parameters(said)[0][:, :-1]]),
    "long": lambda p, said: write(p, said, [np.tile(parameters(said)[0], 2)]),
    "rows": lambda p, said: write(p, said, [parameters(said)[0][:2]]),
    "vector": lambda p, said: write(p, said, [parameters(said)[0][0]]),
    "integers": lambda p, said: write(p, said, [parameters(said)[0].astype(int)]),
    "no layer": lambda p, said: write(p, said, []),
    "two layers": lambda p, said: write(p, said, parameters(said) * 2),
    "unknown key": lambda p, said: write(p, said, attention__weight=np.ones(3)),
    "unclaimed read-out": lambda p, said: write(p, said, projector__net__0__weight=np.ones((1, 3))),
    "unclaimed encoder": lambda p, said: write(p, said, encoder__net__0__bias=np.ones(3)),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_states_that_do_not_fit_the_config(tmp_path, case):
    path = BAD_STATES[case](tmp_path, config([THREE]))
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_no_numbers_are_named(tmp_path, value):
    said = config([THREE, THREE], "ShiftTanh1")
    params = parameters(said)
    params[1][2, 5] = value
    with pytest.raises(CheckpointError, match=r"layer_list\.1\.model\.param, row 2 of edge 5"):
        load(write(tmp_path, said, params))


@pytest.mark.parametrize(
    ("network", "extra"),
    [
        ({"projector": "mlp_3_2"}, {}),
        ({"projector": "mlp_3_2"}, {"projector__net__0__weight": np.ones((2, 3))}),
        (
            {"projector": "mlp_3_2"},
            {"projector__net__0__weight": np.ones((3, 2)), "projector__net__0__bias": np.ones(2)},
        ),
        (
            {"projector": "mlp_3_2"},
            {"projector__net__0__weight": np.full((2, 3), np.nan),
             "projector__net__0__bias": np.ones(2)},
        ),
        ({"encoder": [4, 3]}, {}),
    ],
)  # fmt: skip
def test_software_whose_parameters_are_missing_or_wrong(tmp_path, network, extra):
    with pytest.raises(CheckpointError):
        load(write(tmp_path, config([THREE], **network), **extra))


@pytest.mark.parametrize(
    "projector",
    ["last4", "first4", "last0", "first0", "reshape2", "reshape0", "middle1", "last", "lastone",
     "mlp_3", 5, True, {"last": 1}, ["last2", 3], ["reshape3", "reshape1"], "last" + "9" * 30],
)  # fmt: skip
def test_read_outs_that_do_not_exist_or_fit(tmp_path, projector):
    path = write(tmp_path, config([THREE], projector=projector))
    with pytest.raises(ConfigError, match="network.projector") as caught:
        load(path)
    assert "config.yaml" in str(caught.value)


def test_an_mlp_of_the_wrong_width(tmp_path):
    extra = {
        "projector__net__0__weight": np.ones((2, 4)),
        "projector__net__0__bias": np.ones(2),
    }
    path = write(tmp_path, config([THREE], projector="mlp_4_2"), **extra)
    with pytest.raises(ConfigError, match="does not take the 3 values"):
        load(path)
