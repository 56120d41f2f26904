"""Checkpoints that are cut, foreign, malicious or wrong: one line, status 3, nothing done."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import published
import pytest
from checkpoints import rewrite, write_network
from commands import refused
from intruder import Intruder

KNOWN = published.config([("_fully_connect", {"num_node": 3})])


def everywhere(folder: Path, status: int, path: Path, *more: object) -> str:
    """The complaint about a checkpoint, which is the same whatever is to be done with it."""
    complaints = {
        refused(folder, status, "netlist", path, "-o", folder / "deck", *more),
        refused(folder, status, "inspect", path, "--json", folder / "facts.json", *more),
        refused(folder, status, "verify", path, "--report", folder / "report", *more),
    }
    assert len(complaints) == 1
    return complaints.pop()


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("form", ["ours", "published"])
def test_a_cut_checkpoint(tmp_path: Path, form: str, part: float) -> None:
    path = (
        write_network(tmp_path / "net.safetensors")
        if form == "ours"
        else published.write(tmp_path, KNOWN)
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    complaint = everywhere(tmp_path, 3, path)
    assert complaint.startswith(f"{path}: ")
    assert ("the file is empty" if part == 0 else "n") in complaint


@pytest.mark.parametrize(
    "content",
    [
        b"\n",
        b"not a network\n",
        b'{"law": "relu_diff"}',
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\x7fELF" + bytes(1000),
        b"\x93NUMPY" + bytes(100),
        bytes(10_000),
        (8).to_bytes(8, "little") + b'{"a": 1}',
        (1 << 27).to_bytes(8, "little") + b"{}",
        (64).to_bytes(8, "little") + b'{"__metadata__": {"kcompile": "[["}}'.ljust(64),
        (2).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    assert everywhere(tmp_path, 3, path).startswith(f"{path}: ")


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not one that torch.save wrote" in everywhere(tmp_path, 3, path)


@pytest.mark.parametrize("archive", [False, True])
def test_a_pickle_that_runs_code(tmp_path: Path, archive: bool) -> None:
    witness = tmp_path / "witness"
    pickled = pickle.dumps({"circuit.layer_list.0.model.param": Intruder(witness)}, 2)
    path = published.write(tmp_path, KNOWN)
    if archive:
        with zipfile.ZipFile(path) as old:
            entries = {entry.filename: old.read(entry) for entry in old.infolist()}
        with zipfile.ZipFile(path, "w") as new:
            for name, content in entries.items():
                new.writestr(name, pickled if name.endswith("/data.pkl") else content)
    else:
        path.write_bytes(pickled)
    assert "nothing was run" in everywhere(tmp_path, 3, path)
    assert not witness.exists()
    # The witness would have seen it.
    pickle.loads(pickled)
    assert witness.exists()


@pytest.mark.parametrize(
    "tag",
    ["python/object/apply:os.system", "python/object/new:os.system", "python/name:os.system"],
)
def test_yaml_that_constructs(tmp_path: Path, tag: str) -> None:
    path = published.write(tmp_path, KNOWN)
    witness = tmp_path / "witness"
    with path.with_name("config.yaml").open("a") as stream:
        stream.write(f"more: !!{tag} ['touch {witness}']\n")
    complaint = everywhere(tmp_path, 3, path)
    assert tag.partition(":")[0] in complaint
    assert str(path.with_name("config.yaml")) in complaint
    assert not witness.exists()


@pytest.mark.parametrize(
    "text", ["", "- 1\n- 2\n", "network: [", "\x00", "network: {}", "a: &a [*a]", "a: 1: 2"]
)
def test_a_config_that_is_none(tmp_path: Path, text: str) -> None:
    path = published.write(tmp_path, KNOWN)
    config = path.with_name("config.yaml")
    config.write_text(text)
    assert str(config) in everywhere(tmp_path, 3, path)
    elsewhere = tmp_path / "other.yaml"
    config.rename(elsewhere)
    assert str(elsewhere) in everywhere(tmp_path, 3, path, "--config", elsewhere)
    assert "--config" in everywhere(tmp_path, 3, path)


def no_such_law(description, tensors):
    description["phases"][0]["batches"][0]["law"] = "josephson"


def too_few_parameters(description, tensors):
    tensors["phase.0.batch.0.params"] = tensors["phase.0.batch.0.params"][:, :-1]


def too_many_rows(description, tensors):
    tensors["phase.0.batch.0.params"] = np.repeat(tensors["phase.0.batch.0.params"], 2, axis=0)


def not_a_number(description, tensors):
    tensors["phase.0.batch.0.params"][1, 5] = np.nan


def infinite(description, tensors):
    tensors["phase.0.batch.0.params"][0, 7] = -np.inf


def no_such_node(description, tensors):
    tensors["phase.0.batch.0.dst"][3] = 4


def lasts_for_ever(description, tensors):
    description["phases"][0]["duration"] = float("inf")


def reads_nothing(description, tensors):
    description["outputs"] = [9]


def from_the_future(description, tensors):
    description["schema"] = "kcompile.checkpoint/99"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_such_law, "unknown law 'josephson'; known laws: canonical_identity"),
        (too_few_parameters, "wants parameters [2, 24], the file has [2, 23]"),
        (too_many_rows, "wants parameters [2, 24], the file has [4, 24]"),
        (not_a_number, "phase 0, batch 0: w of edge 5 is nan"),
        (infinite, "phase 0, batch 0: c of edge 7 is inf"),
        (no_such_node, "dst of edge 3 is 4, outside 0..3"),
        (lasts_for_ever, "phases[0].duration"),
        (reads_nothing, "outside 1..3"),
        (from_the_future, "this version reads kcompile.checkpoint/1"),
    ],
)
def test_a_checkpoint_of_ours_that_is_wrong(
    tmp_path: Path, change: Callable[..., None], words: str
) -> None:
    path = rewrite(write_network(tmp_path / "net.safetensors"), change)
    complaint = everywhere(tmp_path, 3, path)
    assert complaint.startswith(str(path))
    assert words in complaint


@pytest.mark.parametrize(
    ("changes", "spoil", "words"),
    [
        ({"layers": [("_fully_connect", {"num_node": 4})]}, None, "has 12 columns"),
        ({"layers": [("_hypercube", {"num_node": 3})]}, None, "_hypercube"),
        ({"layers": [("_fully_connect", {"nodes": 3})]}, None, "args.nodes"),
        ({"layers": [("_fully_connect", {"num_node": -3})]}, None, "num_node"),
        ({"model": "Josephson"}, None, "Josephson"),
        ({"model": "Device", "args": {"negation": True, "activation": "gelu"}}, None, "gelu"),
        ({"t_end": [0.0, float("nan")]}, None, "t_end"),
        ({"t_end": [1.0, 0.5]}, None, "t_end"),
        ({"projector": "last9"}, None, "last9"),
        ({}, np.nan, "row 0 of edge 1, is nan"),
        ({}, np.inf, "row 0 of edge 1, is inf"),
    ],
)
def test_a_published_checkpoint_that_is_wrong(
    tmp_path: Path, changes: dict, spoil: float | None, words: str
) -> None:
    params = published.parameters(KNOWN)
    if spoil is not None:
        params[0][0, 1] = spoil
    fields = {"layers": [("_fully_connect", {"num_node": 3})], **changes}
    path = published.write(tmp_path, published.config(**fields), params)
    complaint = everywhere(tmp_path, 3, path)
    assert words in complaint, complaint
    assert str(tmp_path) in complaint


def test_the_minimal_form_without_its_law(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "minimal.pth"
    edges = torch.tensor([1, 2, 1]), torch.tensor([2, 0, 0])
    torch.save({"src_node": edges[0], "des_node": edges[1], "model.param": torch.ones(2, 3)}, path)
    assert "--law" in everywhere(tmp_path, 2, path)
    assert "josephson" in everywhere(tmp_path, 2, path, "--law", "josephson", "--duration", 1)
    for bad in ("0", "-1", "nan", "inf"):
        refused(tmp_path, 2, "netlist", path, "--law", "relu_diff", "--duration", bad)
