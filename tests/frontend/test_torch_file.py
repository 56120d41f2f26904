"""Files of torch are read without running anything in them, or refused."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published import config, write

from kcompile.errors import CheckpointError, KcompileError, MissingExtra, UsageError
from kcompile.frontend import load
from kcompile.frontend.torch_file import read_state

SAID = config([("_fully_connect", {"num_node": 3})])


def rewritten(path, pickled=None, compression=zipfile.ZIP_STORED, more=()):
    """The archive in ``path`` with another pickle, packed, or with further entries."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w", compression) as new:
        for entry in old.infolist():
            replaced = pickled is not None and entry.filename.endswith("/data.pkl")
            new.writestr(entry.filename, pickled if replaced else old.read(entry))
        for name, data in more:
            new.writestr(name, data)
    path.write_bytes(content.getvalue())
    return path


class Intruder:
    """What a pickle makes of this runs a command."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


INTRUDERS = {
    "system": lambda path: Intruder(os.system, f"touch {path}"),
    "open": lambda path: Intruder(open, str(path), "w"),
    "exec": lambda path: Intruder(exec, f"open({str(path)!r}, 'w')"),
    "eval": lambda path: Intruder(eval, f"open({str(path)!r}, 'w')"),
    "run": lambda path: Intruder(subprocess.run, ["touch", str(path)]),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("call", INTRUDERS)
def test_nothing_in_a_pickle_is_run(tmp_path, call, protocol):
    witness = tmp_path / "witness"
    intruder = {"circuit.layer_list.0.model.param": INTRUDERS[call](witness)}
    path = rewritten(write(tmp_path, SAID), pickle.dumps(intruder, protocol))
    with pytest.raises(CheckpointError, match="nothing was run"):
        load(path)
    assert not witness.exists()


def test_the_witness_would_see_a_pickle_that_runs(tmp_path):
    witness = tmp_path / "witness"
    pickle.loads(pickle.dumps(INTRUDERS["open"](witness))).close()
    assert witness.exists()


def test_a_pickle_that_makes_python_warn_is_refused_quietly(tmp_path, recwarn):
    path = rewritten(write(tmp_path, SAID), b"\x80\x02S'\\o'\n.")
    with pytest.raises(CheckpointError):
        read_state(path)
    assert not recwarn.list


def test_an_intruder_is_named_before_torch_is_imported(tmp_path):
    intruder = pickle.dumps(INTRUDERS["system"](tmp_path / "witness"), 2)
    path = rewritten(write(tmp_path, SAID), intruder)
    code = (
        "import sys, kcompile.frontend as f\n"
        "try: f.load(sys.argv[1])\n"
        "except f.load.__globals__['CheckpointError'] as e: print(e)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "system, which" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "name",
    ["builtins bytearray", "torch._utils _rebuild_sparse_tensor", "torch._utils _rebuild_qtensor",
     "torch._tensor _rebuild_from_type_v2", "_codecs encode"],
)  # fmt: skip
def test_what_weights_only_allows_beyond_need_is_refused_too(tmp_path, name):
    module, attribute = name.split()
    pickled = b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b"."
    with pytest.raises(CheckpointError, match="asks for"):
        read_state(rewritten(write(tmp_path, SAID), pickled))


@pytest.mark.parametrize(
    "state",
    [
        [torch.ones(2)],
        torch.ones(2),
        {"a": 1},
        {"a": "text"},
        {"a": {"b": torch.ones(2)}},
        {3: torch.ones(2)},
        {"a": torch.ones(2).to_sparse()},
        {"a": torch.ones(2, device="meta")},
        {"a": torch.ones(2, dtype=torch.complex64)},
        {"a": torch.ones(2, dtype=torch.bool)},
        {"a": torch.nn.Linear(2, 2)},
        {"a": torch.zeros(1).expand(1 << 40)},
        {"a": torch.zeros(1).expand(1 << 31, 1 << 31)},
        None,
    ],
)
def test_what_is_no_state_dict_of_plain_tensors(tmp_path, state):
    path = tmp_path / "model.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError):
        read_state(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_keep_their_values(tmp_path, dtype):
    values = torch.tensor([[0.1, -2.5], [3.0, 1e-3]], dtype=dtype)
    torch.save({"a": values.T, "b": torch.nn.Parameter(values)}, tmp_path / "f")
    state = read_state(tmp_path / "f")
    assert state["a"].dtype in (np.float32, np.float64)
    assert np.array_equal(state["a"], values.T.double().numpy())
    assert np.array_equal(state["b"], values.double().numpy())


def test_whole_numbers_are_whole(tmp_path):
    torch.save({"a": torch.tensor([3, 1], dtype=torch.int16)}, tmp_path / "f")
    assert read_state(tmp_path / "f")["a"].dtype == np.int64


def test_a_packed_archive_is_refused_before_it_is_unpacked(tmp_path):
    path = rewritten(write(tmp_path, SAID), None, zipfile.ZIP_DEFLATED,
                     [("archive/data/9", bytes(50_000_000))])  # fmt: skip
    assert path.stat().st_size < 200_000
    with pytest.raises(CheckpointError, match="unpacks to more"):
        read_state(path)


def test_so_is_one_that_hardly_shrinks(tmp_path):
    path = rewritten(write(tmp_path, SAID), None, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) < path.stat().st_size
    with pytest.raises(CheckpointError, match="unpacks to more"):
        read_state(path)


def test_other_archives_are_refused(tmp_path):
    path = write(tmp_path, SAID)
    cases = {
        "two pickles": rewritten(path, more=[("other/data.pkl", b"")]).read_bytes(),
    }
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    cases["no pickle"] = (tmp_path / "plain.zip").read_bytes()
    for content in cases.values():
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not one that torch.save wrote"):
            read_state(path)


def test_a_script_archive_is_refused(tmp_path):
    path = rewritten(write(tmp_path, SAID), more=[("model/code/a.py", b"import os")])
    read_state(path)  # further entries alone do no harm: nothing reads them
    rewritten(path, more=[("model/constants.pkl", b"")])
    with pytest.raises(CheckpointError, match="not one that torch.save wrote"):
        read_state(path)
    script = b"\x80\x02c__torch__\nNet\n)\x81."
    with pytest.raises(CheckpointError, match="__torch__.Net"):
        read_state(rewritten(write(tmp_path, SAID), script))


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, SAID)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kcompile\[torch\]'") as caught:
        load(path)
    assert caught.value.exit_status == 2


def test_a_legacy_file_is_refused_unread(tmp_path):
    path = write(tmp_path, SAID)
    state = torch.load(path, weights_only=True)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="bare pickle"):
        load(path)
    witness = tmp_path / "witness"
    path.write_bytes(pickle.dumps(INTRUDERS["open"](witness)))
    with pytest.raises(CheckpointError, match="nothing was run"):
        load(path)
    assert not witness.exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError):
        read_state(tmp_path / "nothing")
    with pytest.raises(UsageError):
        read_state(tmp_path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(tmp_path, part):
    path = write(tmp_path, SAID)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(CheckpointError, match="not a whole archive"):
        load(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, data):
    path = write(tmp_path, SAID)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(KcompileError):
        load(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_pickle_is_read_or_refused(tmp_path, data):
    """As above, with checksums that fit: torch meets the damage itself."""
    path = write(tmp_path, SAID)
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
        pickled = bytearray(archive.read(name))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    rewritten(path, bytes(pickled))
    with suppress(KcompileError):
        load(path)
