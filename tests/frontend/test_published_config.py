"""Configs that are wrong are refused with the path of the key at fault, and never run anything."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published import config, write

from kcompile.errors import ConfigError, KcompileError, UsageError
from kcompile.frontend import load
from kcompile.frontend.published import read_config

IMAGE = {"num_channel": 1, "width": 3, "height": 3, "neighbor_size": 2}
GOOD = config([("_fully_connect", {"num_node": 3}), ("_mix_connect", {**IMAGE,
              "fully_connect_node": 2})])  # fmt: skip
MISSING = object()


def edited(path, value):
    """``GOOD`` with the value at a dotted path replaced or removed."""
    said = copy.deepcopy(GOOD)
    at = said
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in parents:
        at = at[part]
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    return said


def read(folder, said):
    path = folder / "config.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said))
    return read_config(path)


def test_the_config_that_is_edited_is_good(tmp_path):
    read(tmp_path, GOOD)


FIRST, SECOND = "network.net_struct.0", "network.net_struct.1"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("network", MISSING, "network is missing"),
        ("network", None, "network is null"),
        ("network", [1], "network is a list"),
        ("simulation", MISSING, "simulation is missing"),
        ("test_bench", 5, "test_bench is 5"),
        ("network.model", MISSING, "network.model is missing"),
        ("network.model.name", MISSING, "network.model.name is missing"),
        ("network.model.name", "Memristor", "network.model.name is 'Memristor'"),
        ("network.model.name", ["ShiftRelu1"], "network.model.name is a list"),
        ("network.model.args", {"slope": 1}, "network.model.args.slope"),
        ("network.net_struct", MISSING, "network.net_struct is missing"),
        ("network.net_struct", [], "network.net_struct has 0 entries"),
        ("network.net_struct", {}, "network.net_struct is a dict"),
        ("network.net_struct", "all", "network.net_struct is 'all'"),
        (FIRST, "_fully_connect", "net_struct[0] is '_fully_connect', not a mapping"),
        (FIRST + ".name", "_spider_connect", "net_struct[0].name is '_spider_connect'"),
        (FIRST + ".name", "__import__", "net_struct[0].name is '__import__'"),
        (FIRST + ".args", MISSING, "net_struct[0].args is missing"),
        (FIRST + ".args", None, "net_struct[0].args is null"),
        (FIRST + ".args.num_node", MISSING, "net_struct[0].args.num_node is missing"),
        (FIRST + ".args.num_node", 0, "net_struct[0].args.num_node is 0"),
        (FIRST + ".args.num_node", -3, "net_struct[0].args.num_node is -3"),
        (FIRST + ".args.num_node", 2.5, "net_struct[0].args.num_node is 2.5"),
        (FIRST + ".args.num_node", "many", "net_struct[0].args.num_node is 'many'"),
        (FIRST + ".args.num_node", True, "net_struct[0].args.num_node is True"),
        (FIRST + ".args.num_node", 10**30, "net_struct[0].args.num_node is 1000"),
        (FIRST + ".args.num_node", 10**4000, "net_struct[0].args.num_node is a huge number"),
        (FIRST + ".args.num_node", 1, "net_struct[0].args: _fully_connect makes no edge"),
        (FIRST + ".args.repeat", [0, 0], "net_struct[0].args: _fully_connect makes no edge"),
        (FIRST + ".args.repeat", [1], "net_struct[0].args.repeat has 1 entries"),
        (FIRST + ".args.repeat", 2, "net_struct[0].args.repeat is 2"),
        (FIRST + ".args.repeat", [1, -1], "net_struct[0].args.repeat[1] is -1"),
        (FIRST + ".args.include_gnd", "no", "net_struct[0].args.include_gnd is 'no'"),
        (FIRST + ".args.nodes", 3, "net_struct[0].args.nodes is no argument"),
        (SECOND + ".args.neighbor_size", 4, "net_struct[1].args: neighbor_size 4 is larger"),
        (SECOND + ".args.neighbor_size", 1, "net_struct[1].args: no pixel has a neighbour"),
        (SECOND + ".args.width", 0, "net_struct[1].args.width is 0"),
        (SECOND + ".args.parallel", 99, "net_struct[1].args: parallel is 99"),
        (SECOND + ".args.fully_connect_node", -1, "net_struct[1].args.fully_connect_node is -1"),
        ("network.fill", "ones", "network.fill is 'ones'"),
        ("network.fill", ["zeros"], "network.fill is a list"),
        ("network.residual", [0], "network.residual has 1 entries"),
        ("network.residual", [1, 0], "network.residual is [1, 0]"),
        ("network.residual", [0, 0], "network.residual is [0, 0]"),
        ("network.residual", [0, 2], "network.residual is [0, 2]"),
        ("network.residual", [-1, 1], "network.residual[0] is -1"),
        ("network.residual", "all", "network.residual is 'all'"),
        ("network.encoder", [3], "network.encoder has 1 entries"),
        ("network.encoder", "mlp", "network.encoder is 'mlp'"),
        ("network.encoder", [3, 0], "network.encoder[1] is 0"),
        ("network.projector", 3, "network.projector is 3"),
        ("network.projector", [["last1"]], "network.projector[0] is a list"),
        ("simulation.t_end", MISSING, "simulation.t_end is missing"),
        ("simulation.t_end", 1.0, "simulation.t_end is 1.0"),
        ("simulation.t_end", [0, 1], "simulation.t_end has 2 entries, not 3"),
        ("simulation.t_end", [0, 1, 2, 3], "simulation.t_end has 4 entries, not 3"),
        ("simulation.t_end", [0, 1, 1], "simulation.t_end[2] is 1.0, not after"),
        ("simulation.t_end", [0, 2, 1], "simulation.t_end[2] is 1.0, not after"),
        ("simulation.t_end", [0, float("nan"), 1], "simulation.t_end[1] is nan"),
        ("simulation.t_end", [0, 1, float("inf")], "simulation.t_end[2] is inf"),
        ("simulation.t_end", [0, "soon", 1], "simulation.t_end[1] is 'soon'"),
        ("simulation.t_end", [0, "nan", 1], "simulation.t_end[1] is 'nan'"),
        ("simulation.t_end", [0, 10**400, 1], "simulation.t_end[1] is a huge number"),
        ("simulation.t_end", [-1.7e308, 0, 1.7e308], None),
        ("simulation.tol", 0, "simulation.tol is 0"),
        ("simulation.tol", "-1e-3", "simulation.tol is '-1e-3'"),
        ("simulation.method", 3, "simulation.method is 3"),
        ("simulation.min_step", "tiny", "simulation.min_step is 'tiny'"),
    ],
)  # fmt: skip
def test_the_key_at_fault_is_named(tmp_path, path, value, said):
    if said is None:
        read(tmp_path, edited(path, value))
        return
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, edited(path, value))
    text = str(caught.value)
    assert said in text
    assert "config.yaml" in text
    assert "\n" not in text
    assert len(text) < 400


def test_pregiven_without_its_list_says_what_is_missing(tmp_path):
    said = edited(FIRST, {"name": "_pregiven", "args": {"num_node_feature": 2}})
    with pytest.raises(ConfigError, match="source_edge_index"):
        read(tmp_path, said)


@pytest.mark.parametrize("edges", [[], [[]], [[], []], [[0, 1]], [[0, 1], [1]], [[0], [-1]],
                                   [[0], [1], [2]], [[0], [10**12]]])  # fmt: skip
def test_pregiven_with_a_list_that_is_none(tmp_path, edges):
    args = {"num_node_feature": 1, "source_edge_index": edges}
    with pytest.raises(ConfigError, match=r"net_struct\[0\].args.source_edge_index"):
        read(tmp_path, edited(FIRST, {"name": "_pregiven", "args": args}))


def test_device_needs_its_arguments(tmp_path):
    for args, said in (
        (None, "args is missing"),
        ({"negation": True}, "args.activation is missing"),
        ({"activation": "relu"}, "args.negation is missing"),
        ({"activation": "gelu", "negation": True}, "args.activation is 'gelu'"),
        ({"activation": "relu", "negation": 2}, "args.negation is 2"),
    ):
        with pytest.raises(ConfigError, match="network.model") as caught:
            read(tmp_path, edited("network.model", {"name": "Device", "args": args}))
        assert said in str(caught.value)


def test_numbers_may_be_text_and_unknown_keys_do_not_matter(tmp_path):
    said = edited("simulation.t_end", ["0", "1e-3", "2e-3"])
    said["network"]["net_struct"][0]["args"]["num_node"] = "3"
    said["train"] = {"lr": 1e-4}
    said["network"]["dropout"] = 0.5
    found = read(tmp_path, said)
    assert found.durations == (1e-3, 1e-3)
    assert found.layers[0].count == 12


def test_aliases_that_yaml_writes_itself_are_read(tmp_path):
    layer = {"name": "_fully_connect", "args": {"num_node": 3}}
    said = copy.deepcopy(GOOD)
    said["network"]["net_struct"] = [layer, layer]
    assert "&id" in yaml.safe_dump(said)
    assert read(tmp_path, said).layers[1].count == 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- 1\n- 2",
        "a: [1, 2",
        "a: b: c",
        "\t- x",
        "%YAML 9.9\n---\na: 1",
        "a: 1\n---\nb: 2",
        "? [1, 2]\n: 3",
        "1: 2",
        "network: 2001-99-99",
        "network: !!timestamp soon",
        "network: !!bool maybe",
        "network: !!int many",
        "network: !!float 1.2.3",
        "network: !!binary ''''",
        "network: 0x",
        "network: " + "9" * 5000,
        "network: *nobody",
        "network: &a [*a]",
        "network: \x00",
        "[" * 5000,
        "{a: " * 5000,
    ],
)
def test_texts_that_are_no_config(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert "config.yaml" in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00network")
    with pytest.raises(ConfigError):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [touch {}]",
        "!!python/object/apply:subprocess.run [[touch, {}]]",
        "!!python/object/new:pathlib.Path [{}]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!custom {{a: 1}}",
    ],
)
def test_tags_construct_nothing(tmp_path, tag):
    witness = tmp_path / "witness"
    text = yaml.safe_dump(GOOD) + "extra: " + tag.format(witness) + "\n"
    with pytest.raises(ConfigError, match="constructor"):
        read(tmp_path, text)
    assert not witness.exists()


def test_merge_keys_cannot_multiply(tmp_path):
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)]
    with pytest.raises(ConfigError, match="merges"):
        read(tmp_path, "\n".join(lines))


def test_aliases_do_not_multiply_and_are_not_printed(tmp_path):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "\n".join([*lines, "simulation: {}", "network: *a39", "test_bench: mnist"]))
    assert "network is a list, not a mapping" in str(caught.value)


def test_a_huge_file_is_not_parsed(tmp_path):
    with pytest.raises(ConfigError, match="too many"):
        read(tmp_path, "#" * (1 << 20) + "#")


@pytest.mark.parametrize(
    "args",
    [
        {"num_node": 2**31 - 1},
        {"num_node": 3, "repeat": [2**31 - 1, 2**31 - 1]},
    ],
)
def test_a_config_that_asks_for_terabytes_is_compared_first(tmp_path, args):
    path = write(tmp_path, config([("_fully_connect", {"num_node": 3})]))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config([("_fully_connect", args)])))
    with pytest.raises(KcompileError, match="12 columns"):
        load(path)


@pytest.mark.parametrize("more", [
    {"width": 2**31 - 1, "height": 2**31 - 1},
    {"neighbor_size": 2**31 - 1, "padding": True},
    {"fully_connect_node": 2**31 - 1},
    {"parallel": 24, "kernel_repeat": 2**31 - 1},
])  # fmt: skip
def test_so_is_an_image(tmp_path, more):
    path = write(tmp_path, config([("_fully_connect", {"num_node": 3})]))
    layer = ("_mix_connect", {**IMAGE, "fully_connect_node": 0, **more})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config([layer])))
    with pytest.raises(KcompileError, match="12 columns"):
        load(path)


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(UsageError, match="folder"):
        read_config(tmp_path)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=5),
    st.sampled_from(["_mix_connect", "Device", "ShiftRelu1", "1e-3", "last2", "mlp_2_2", "none"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
PATHS = [
    "network", "simulation", "test_bench", "network.model", "network.model.name",
    "network.model.args", "network.net_struct", FIRST, FIRST + ".name", FIRST + ".args",
    FIRST + ".args.num_node", SECOND + ".args.width", SECOND + ".args.height",
    SECOND + ".args.neighbor_size", SECOND + ".args.fully_connect_node", "network.fill",
    "network.projector", "network.encoder", "network.residual", "simulation.t_end",
    "simulation.tol", "simulation.method",
]  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_whatever_stands_there_it_is_read_or_refused(tmp_path, path, value):
    with suppress(ConfigError):
        read(tmp_path, edited(path, value))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_text_is_read_or_refused(tmp_path, data):
    text = bytearray(yaml.safe_dump(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "config.yaml").write_bytes(bytes(text))
    with suppress(ConfigError):
        read_config(tmp_path / "config.yaml")
