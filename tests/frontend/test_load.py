"""What a file is its content says; whatever else it is, is refused in one line."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from published import config, write

from kcompile.errors import CheckpointError, ConfigError, GraphError, StorageError, UsageError
from kcompile.frontend import BatchRecord, Checkpoint, PhaseRecord, load, save_checkpoint
from kcompile.ir import digest

SAID = config([("_fully_connect", {"num_node": 3})])


@pytest.fixture
def ours(tmp_path):
    batch = BatchRecord("relu_diff", np.array([1, 2]), np.array([2, 0]), np.ones((2, 2)))
    path = tmp_path / "ours.pt"
    save_checkpoint(path, Checkpoint((PhaseRecord(2, 1.0, (batch,)),), 2, np.array([2])))
    return path


@pytest.fixture
def theirs(tmp_path):
    return write(tmp_path / "theirs", SAID)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "net.safetensors", "net.zip", "net"])
def test_suffixes_say_nothing(tmp_path, ours, theirs, name):
    for source in (ours, theirs):
        folder = tmp_path / source.stem
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
        model = load(folder / name, theirs.with_name("config.yaml"))
        expected = load(source, theirs.with_name("config.yaml"))
        assert digest(model.graph) == digest(expected.graph)


def test_a_model_knows_its_file(theirs, ours):
    for path in (theirs, ours):
        model = load(str(path))
        assert model.source == path
        assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(theirs).name == "theirs"
    assert load(ours).name == "ours"


def test_the_config_beside_the_model_is_the_default(tmp_path, theirs):
    assert load(theirs).graph.edges == 12
    other = tmp_path / "other.yaml"
    theirs.with_name("config.yaml").rename(other)
    assert load(theirs, other).graph.edges == 12
    with pytest.raises(CheckpointError, match="--config") as caught:
        load(theirs)
    assert caught.value.exit_status == 3


def test_a_config_for_a_file_that_needs_none_is_noted(ours, theirs):
    model = load(ours, theirs.with_name("config.yaml"))
    assert any("not read" in note for note in model.notes)
    assert not load(ours).notes


@pytest.mark.parametrize("option", [{"law": "relu_diff"}, {"duration": 1.0}])
def test_options_of_the_minimal_form_do_not_change_other_files(ours, theirs, option):
    for path in (ours, theirs):
        with pytest.raises(UsageError, match=f"--{next(iter(option))}"):
            load(path, **option)


def test_files_that_are_not_there(tmp_path, ours):
    for path, said in ((tmp_path / "none", None), (tmp_path, None), (ours, tmp_path / "none.yaml")):
        with pytest.raises(UsageError) as caught:
            load(path, said)
        assert caught.value.exit_status == 2


def test_a_file_that_cannot_be_read(monkeypatch, ours):
    def fail(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", fail)
    with pytest.raises(StorageError, match="permission denied"):
        load(ours)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x80", "bare pickle"),
        (b"\x80\x02}q\x00.", "bare pickle"),
        (b"\x80\x04\x95.", "bare pickle"),
        (b"hello", "neither"),
        (b"network:\n  model: x\n", "neither"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "neither"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "neither"),
        (b"\x93NUMPY\x01\x00" + bytes(64), "neither"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "neither"),
        (b"(dp0\nS'a'\np1\nI1\ns.", "neither"),
        (bytes(4096), "neither"),
        (b"\xff" * 100, "neither"),
        (b"PK\x03\x04", "not a whole archive"),
        (b"PK\x03\x04" + bytes(400), "not a whole archive"),
        (b"\x10" + bytes(7) + b"{", "not a whole safetensors"),
        (b"\x02" + bytes(7) + b"{}", "without a kcompile description"),
    ],
)
def test_foreign_files(tmp_path, content, said):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert caught.value.exit_status == 3


def test_faults_name_the_file_they_are_in(tmp_path, theirs):
    batch = BatchRecord("relu_diff", np.array([1]), np.array([2]), np.full((2, 1), np.nan))
    save_checkpoint(tmp_path / "nan.pt", Checkpoint((PhaseRecord(2, 1.0, (batch,)),), 2, [2]))
    with pytest.raises(GraphError, match=r"nan\.pt, phase 0, batch 0: a of edge 0"):
        load(tmp_path / "nan.pt")
    write(theirs.parent, config([("_fully_connect", {"num_node": 3})], projector="last9"))
    with pytest.raises(ConfigError, match=r"config\.yaml: network.projector"):
        load(theirs)


def test_our_own_files_need_no_torch(ours):
    code = "import sys, kcompile.frontend as f; f.load(sys.argv[1]); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(ours)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
