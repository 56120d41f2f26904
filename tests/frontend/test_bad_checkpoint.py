"""Files that contradict themselves, or are something else, are refused in one line."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors
from whole_checkpoint import full, parts, rewrite, shared

from kcompile.errors import CheckpointError, KcompileError
from kcompile.frontend import load as load_model
from kcompile.frontend import (
    load_checkpoint,
    save_checkpoint,
)
from kcompile.frontend.checkpoint import is_checkpoint

MISSING = object()


def put(root, where, value):
    *parents, last = where
    for part in parents:
        root = root[part]
    if value is MISSING:
        del root[last]
    else:
        root[last] = value


P0, P1, P2 = (("phases", k) for k in range(3))
B0 = (*P0, "batches", 0)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (np.array([0, 1, 2, 3, 0]), "share of edge 3 is 3, there are 3 columns"),
        (np.array([0, -1, 2, 1, 0]), "share of edge 1 is -1"),
        (np.array([0, 1, 2**32, 1, 0]), "share of edge 2 is 4294967296"),
        (np.array([0, 1, 2**63, 1, 0], "u8"), "share of edge 2"),
        (np.array([0, 1, 2, 1]), "share has 4 entries for 5 edges"),
        (np.array([], "i4"), "share has 0 entries for 5 edges"),
        (np.zeros((5, 1), "i4"), "share is not a list of column numbers"),
        (np.zeros(5), "share is not a list of column numbers"),
        (np.zeros(5, bool), "share is not a list of column numbers"),
    ],
)
def test_columns_that_are_not_there(tmp_path, share, said):
    path = tmp_path / "net.pt"
    save_checkpoint(path, shared([0, 1, 2, 1, 0]))
    description, tensors = parts(path)
    rewrite(path, description, {**tensors, "phase.0.batch.0.share": share})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert "phase.0.batch.0." + said in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(CheckpointError, match=r"^share "):
        shared(share).model()


def test_shared_parameters_of_another_law(tmp_path):
    path = tmp_path / "net.pt"
    save_checkpoint(path, shared([0, 1, 2, 1, 0]))
    description, tensors = parts(path)
    put(description, (*B0, "law"), "tanh_affine")
    rewrite(path, description, tensors)
    with pytest.raises(CheckpointError, match=r"wants parameters \[3, 3\]"):
        load_model(path)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("schema",), MISSING, "no schema"),
        (("schema",), "kcompile.checkpoint/2", "this version reads"),
        (("schema",), 1, "this version reads"),
        (("phases",), MISSING, "phases is missing"),
        (("phases",), {}, "phases is a dict"),
        (("phases",), [], "no phase"),
        (("phases",), ["x"], "phases[0] is 'x'"),
        (("inputs",), MISSING, "inputs is missing"),
        (("inputs",), -1, "inputs is -1"),
        (("inputs",), 2.5, "inputs is 2.5"),
        (("inputs",), "2", "inputs is '2'"),
        (("inputs",), True, "inputs is True"),
        (("inputs",), 4, "4 inputs for 3 nodes"),
        (("inputs",), 10**18, "inputs is 1000"),
        (("outputs",), [], "outputs has 0 entries"),
        (("outputs",), [1.5], "outputs[0] is 1.5"),
        (("outputs",), ["1"], "outputs[0] is '1'"),
        (("outputs",), [4, 1, 2], "read-out node"),
        (("outputs",), [0, 1, 2], "outputs[0] is 0"),
        (("outputs",), [10**30], "outputs[0] is 1000"),
        (("outputs",), 3, "outputs is 3"),
        (("sample_width",), 0, "sample_width is 0"),
        (("task",), 3, "task is 3"),
        (("normalisation",), [1], "normalisation is a list"),
        (("training",), "long", "training is 'long'"),
        (("solver",), "dopri5", "solver is 'dopri5'"),
        (("solver", "method"), MISSING, "solver.method is missing"),
        (("solver", "rtol"), "1e-3", "solver.rtol is '1e-3'"),
        (("solver", "steps"), 0, "solver.steps is 0"),
        (("solver", "options"), {"min_step": None}, "solver.options.min_step is null"),
        ((*P0, "nodes"), MISSING, "phases[0].nodes is missing"),
        ((*P0, "nodes"), 0, "phases[0].nodes is 0"),
        ((*P0, "nodes"), 10**18, "phases[0].nodes is 1000"),
        ((*P2, "nodes"), 2**24, "16777216"),
        ((*P0, "nodes"), 1, "outside 0..1"),
        ((*P0, "duration"), 0, "phases[0].duration is 0"),
        ((*P0, "duration"), -1.0, "phases[0].duration is -1.0"),
        ((*P0, "duration"), "1", "phases[0].duration is '1'"),
        ((*P0, "duration"), 10**400, "phases[0].duration is a huge number"),
        ((*P0, "duration"), float("nan"), "phases[0].duration is nan"),
        ((*P0, "fill"), "ones", "phases[0].fill is 'ones'"),
        ((*P0, "fill"), ["zero"], "phases[0].fill is a list"),
        ((*P0, "batches"), MISSING, "phases[0].batches is missing"),
        ((*P0, "batches"), None, "phases[0].batches is null"),
        ((*P2, "residual"), 2, "residual from phase 2"),
        ((*P2, "residual"), 1, "residual adds 4 voltages to 3"),
        ((*P2, "residual"), 3, "phases[2].residual is 3"),
        ((*P2, "residual"), -1, "phases[2].residual is -1"),
        ((*P2, "residual"), "0", "phases[2].residual is '0'"),
        ((*B0, "law"), MISSING, "phases[0].batches[0].law is missing"),
        ((*B0, "law"), "ohm", "unknown law 'ohm'"),
        ((*B0, "law"), 7, "phases[0].batches[0].law is 7"),
        ((*B0, "law"), "tanh_affine", "wants parameters [3, 5]"),
        ((*B0, "topology"), "full", "phases[0].batches[0].topology is 'full'"),
        (("encoder",), "mlp", "encoder is 'mlp'"),
        (("encoder", 0, "step"), "conv", "encoder[0].step is 'conv'"),
        (("encoder", 0, "step"), "select", None),
        (("encoder", 2, "start"), "first", "encoder[2].start is 'first'"),
        (("encoder", 2, "start"), 4, "1 values reach 2 input nodes"),
        (("encoder", 2, "start"), 5, "does not take 5 values"),
        (("head", 0, "stop"), 3, "does not take 3 values"),
        (("head", 2, "columns"), 0, "head[2].columns is 0"),
        (("head", 2, "columns"), 3, "does not take 4 values"),
    ],
)  # fmt: skip
def test_descriptions_that_are_wrong(path, where, value, said):
    description, tensors = parts(path)
    put(description, where, value)
    rewrite(path, description, tensors)
    with pytest.raises(KcompileError) as caught:
        load_model(path)
    assert caught.value.exit_status == 3
    text = str(caught.value)
    assert (said or "") in text
    assert str(path) in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("phase.0.batch.0.params", MISSING, "params is missing"),
        ("phase.0.batch.0.params", np.ones((2, 4), "f4"), "wants parameters [2, 5]"),
        ("phase.0.batch.0.params", np.ones(5, "f4"), "not 2 float"),
        ("phase.0.batch.0.params", np.ones((2, 5), "i4"), "not 2 float"),
        ("phase.0.batch.0.params", np.full((2, 5), np.inf), "phase 0, batch 0"),
        ("phase.0.batch.0.src", MISSING, "src is missing"),
        ("phase.0.batch.0.src", np.ones(5), "not a list of node numbers"),
        ("phase.0.batch.0.src", np.ones((5, 1), "i4"), "not a list of node numbers"),
        ("phase.0.batch.0.src", np.ones(4, "i4"), "src has 4 edges"),
        ("phase.0.batch.0.src", np.array([1, 1, 1, 1, 4]), "src of edge 4 is 4"),
        ("phase.0.batch.0.src", np.array([1, -1, 1, 1, 1]), "src of edge 1 is -1"),
        ("phase.0.batch.0.dst", np.array([1, 1, 2**32 + 1, 1, 1]), "dst of edge 2"),
        ("phase.0.batch.0.dst", np.array([1, 2**63, 1, 1, 1], "u8"), "dst of edge 1"),
        ("capacitance", np.ones(3), "3 capacitances for 4 nodes"),
        ("capacitance", np.zeros(4), "not positive"),
        ("capacitance", np.full(4, np.nan), "not positive"),
        ("capacitance", np.ones(()), "not 1 float"),
        ("capacitance", np.ones(4, "i8"), "not 1 float"),
        ("encoder.0.weight", MISSING, "encoder.0.weight is missing"),
        ("encoder.0.weight", np.ones((5, 6, 1)), "not 2 float"),
        ("encoder.0.weight", np.ones((4, 6)), "linear step"),
        ("encoder.0.bias", np.full(5, np.nan), "not finite"),
        ("samples.inputs", np.ones((3, 6)), "test samples"),
        ("samples.inputs", np.ones((2, 5)), "test samples of 5 values"),
        ("samples.targets", MISSING, "samples.targets is missing"),
        ("samples.targets", np.full(2, np.nan), "not finite"),
    ],
)
def test_tensors_that_are_wrong(path, name, value, said):
    description, tensors = parts(path)
    put(tensors, (name,), value)
    rewrite(path, description, tensors)
    with pytest.raises(KcompileError) as caught:
        load_model(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 3


def test_a_number_that_python_does_not_read(path):
    description, tensors = parts(path)
    description["inputs"] = "@"
    rewrite(path, json.dumps(description).replace('"@"', "1" * 5000), tensors)
    with pytest.raises(CheckpointError, match="not JSON"):
        load_checkpoint(path)


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{", '"x"', "[" * 100_000, "{}", "NaN"])
def test_descriptions_that_are_none(path, text):
    rewrite(path, text, {})
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_other_safetensors_files(path):
    path.write_bytes(save_tensors({"a": np.ones(2)}))
    with pytest.raises(CheckpointError, match="without a kcompile description"):
        load_checkpoint(path)
    path.write_bytes(save_tensors({"a": np.ones(2)}, {"format": "pt"}))
    with pytest.raises(CheckpointError, match="without a kcompile description"):
        load_checkpoint(path)


def test_the_head_of_a_file(path):
    assert is_checkpoint(path.read_bytes()[:16])
    assert not is_checkpoint(b"")
    assert not is_checkpoint(b"PK\x03\x04" + bytes(12))
    assert not is_checkpoint(b"\xff" * 8 + b"{")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, data):
    path = tmp_path / "net.pt"
    save_checkpoint(path, full())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path.write_bytes(bytes(content[:cut]) + data.draw(st.binary(max_size=3)))
    with suppress(KcompileError):
        load_model(path)


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4)
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def paths(value, at=()):
    """Every place in a description."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*at, index))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_description_with_junk_in_it_is_read_or_refused(tmp_path, data):
    path = tmp_path / "net.pt"
    save_checkpoint(path, full())
    description, tensors = parts(path)
    where = data.draw(st.sampled_from([p for p in paths(description) if p]))
    changed = copy.deepcopy(description)
    put(changed, where, data.draw(JUNK))
    rewrite(path, changed, tensors)
    with suppress(KcompileError):
        load_model(path)
