"""Our own format: what is written is read back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from graphs import graphs
from hypothesis import given
from hypothesis import strategies as st
from whole_checkpoint import batch, full, parts, shared

from kcompile.errors import StorageError, UsageError
from kcompile.frontend import (
    Checkpoint,
    PhaseRecord,
    load_checkpoint,
    save_checkpoint,
)
from kcompile.frontend import load as load_model
from kcompile.ir import digest


def test_everything_comes_back(path):
    source = full()
    found = load_checkpoint(path)
    for one, other in zip(source.phases, found.phases, strict=True):
        assert (one.nodes, one.duration, one.fill, one.residual) == (
            other.nodes, other.duration, other.fill, other.residual,
        )  # fmt: skip
        for a, b in zip(one.batches, other.batches, strict=True):
            assert (a.law, a.topology, a.params.dtype) == (b.law, b.topology, b.params.dtype)
            assert b.src.dtype == b.dst.dtype == np.int32
    assert found.outputs.tolist() == [3, 1, 2]
    assert found.capacitance is not None
    assert found.samples is not None
    assert found.capacitance.tolist() == [1.0, 2.0, 0.5, 1.0]
    for name in ("inputs", "task", "solver", "normalisation", "training", "sample_width"):
        assert getattr(found, name) == getattr(source, name)
    assert found.encoder.describe() == "linear 6x5, relu, values [1:]"
    assert found.head.describe() == "values [0:2], linear 2x4, 2 columns"
    assert found.samples.targets.tolist() == [1, 2]


def test_parameters_come_back_to_the_last_bit(tmp_path):
    record = batch("canonical_tanh", 4, 50, "f8")
    save_checkpoint(tmp_path / "x", Checkpoint((PhaseRecord(4, 0.1, (record,)),), 1, np.array([1])))
    (found,) = load_checkpoint(tmp_path / "x").phases[0].batches
    for name in ("src", "dst", "params"):
        assert np.array_equal(getattr(found, name), getattr(record, name))


def test_edges_are_numbered_through_all_batches_of_a_phase(path):
    first, second = load_model(path).graph.phases[0].batches
    assert first.trace.index.tolist() == [0, 1, 2, 3, 4]
    assert second.trace.index.tolist() == [5, 6]


@given(share=st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_shared_parameters_come_back_shared(tmp_path_factory, share):
    """Catches a file that stores the expanded parameters, and columns lost because idle."""
    path = tmp_path_factory.mktemp("shared") / "net.pt"
    source = shared(share, 4)
    save_checkpoint(path, source)
    (stored,), (found,) = (c.phases[0].batches for c in (source, load_checkpoint(path)))
    assert found.share is not None
    assert found.share.dtype == np.int32
    assert found.share.tolist() == share
    assert np.array_equal(found.params, stored.params)
    copied = dataclasses.replace(stored, params=stored.params[:, share], share=None)
    for name in "wabc":
        assert np.array_equal(found.lower(0).column(name), copied.lower(0).column(name))
    assert found.lower(7).trace.index.tolist() == [7, 8, 9, 10, 11]


def test_without_sharing_the_file_has_no_such_tensor(path):
    _, tensors = parts(path)
    assert not [name for name in tensors if name.endswith(".share")]
    assert load_checkpoint(path).phases[0].batches[0].share is None


@given(graph=graphs())
def test_a_graph_comes_back_with_its_digest(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("graph") / "net.pt"
    save_checkpoint(path, Checkpoint.from_graph(graph, task="any"))
    model = load_checkpoint(path).model(path)
    assert digest(model.graph) == digest(graph)
    assert model.task == "any"


def test_writing_is_reproducible(tmp_path):
    checkpoint = full()
    for name in "ab":
        save_checkpoint(tmp_path / name, checkpoint)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_training_records_may_hold_numpy(tmp_path):
    record = {"loss": np.float32(0.5), "curve": np.arange(3), "when": np.datetime64("2020-01-01")}
    plain = Checkpoint((PhaseRecord(1, 1.0, ()),), 1, np.array([1]), training=record)
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "x", plain)
    assert not list(tmp_path.iterdir())
    del record["when"]
    save_checkpoint(tmp_path / "x", plain)
    assert load_checkpoint(tmp_path / "x").training == {"loss": 0.5, "curve": [0, 1, 2]}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        save_checkpoint(tmp_path / "file" / "net.pt", full())


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError):
        load_checkpoint(tmp_path / "nothing")


def test_software_is_noted(path):
    notes = load_model(path).notes
    assert any("encoder (linear 6x5" in note and "software" in note for note in notes)
    assert any("read-out (values [0:2]" in note and "software" in note for note in notes)
