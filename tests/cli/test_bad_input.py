"""Inputs, options and folders that are wrong: one line, the promised status, nothing done."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from checkpoints import layer, write_network
from commands import Done, refused
from intruder import Intruder


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1, np.nan], "value 1 of sample 0 is nan"),
        ([[0.1, 0.2], [np.inf, 0.2]], "value 0 of sample 1 is inf"),
        ([0.1, 0.2, 0.3], "[3]; this network takes [2] or [samples, 2]"),
        ([[0.1], [0.2]], "[2, 1]; this network takes"),
        ([[[0.1, 0.2]]], "[1, 1, 2]"),
        (np.zeros((0, 2)), "[0, 2]"),
        (0.5, "this network takes"),
        (["a", "b"], "real numbers"),
        ([1j, 2], "real numbers"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path: Path, checkpoint: Path, values, words: str) -> None:
    path = tmp_path / "inputs.npy"
    np.save(path, np.asarray(values))
    for command in ("netlist", "verify"):
        complaint = refused(tmp_path, 3, command, checkpoint, "--inputs", path)
        assert complaint.startswith(str(path))
        assert words in complaint


def test_inputs_that_run_code(tmp_path: Path, checkpoint: Path) -> None:
    witness, path = tmp_path / "witness", tmp_path / "inputs.npy"
    np.save(path, np.array([Intruder(witness)], dtype=object), allow_pickle=True)
    for command in ("netlist", "verify"):
        refused(tmp_path, 3, command, checkpoint, "--inputs", path)
    path.write_bytes(pickle.dumps(Intruder(witness)))
    refused(tmp_path, 3, "netlist", checkpoint, "--inputs", path)
    assert not witness.exists()


def test_input_files_that_are_none(tmp_path: Path, checkpoint: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, inputs=np.zeros((3, 2)))
    whole = path.read_bytes()
    for content in (b"", b"1 2\n", whole[:40], whole[:-30], whole[:60] + b"x" + whole[61:]):
        path.write_bytes(content)
        assert str(path) in refused(tmp_path, 3, "verify", checkpoint, "--inputs", path)
    np.savez(path, a=np.zeros(2), b=np.zeros(2))
    assert "none of them called inputs" in refused(
        tmp_path, 3, "verify", checkpoint, "--inputs", path
    )
    np.save(tmp_path / "two.npy", np.zeros((2, 2)))
    complaint = refused(
        tmp_path, 2, "verify", checkpoint, "--inputs", tmp_path / "two.npy", "--samples", 3
    )
    assert "3 samples of 2" in complaint


@pytest.mark.parametrize("value", ["0", "-1e-15", "nan", "inf", "-inf", "1e-320", "a lot"])
@pytest.mark.parametrize("option", ["--scale", "--v0", "--i0", "--c0"])
def test_a_unit_that_is_none(tmp_path: Path, checkpoint: Path, option: str, value: str) -> None:
    for command in ("netlist", "verify"):
        complaint = refused(tmp_path, 2, command, checkpoint, option, value)
        assert "scale" in complaint or option in complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tolerance", "0"),
        ("--tolerance", "-1"),
        ("--tolerance", "nan"),
        ("--tolerance", "inf"),
        ("--samples", "0"),
        ("--samples", "-3"),
        ("--jobs", "0"),
        ("--seed", "-1"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("-O", "4"),
        ("-O", "-1"),
        ("--device", "vacuum-tube"),
        ("--device", "../switch"),
        ("--param", "roff"),
        ("--param", "roff=much"),
        ("--param", "roff=nan"),
        ("--param", "roff=-1"),
        ("--param", "nosuch=1"),
        ("--simulator", "hspice"),
        ("--scale", "1", "--v0", "1"),
        ("--law", "relu_diff"),
        ("--duration", "1"),
        ("--nonsense",),
        ("--config", "nowhere.yaml"),
        ("--inputs", "nowhere.npy"),
        ("--ngspice", "nowhere"),
        ("--deck", "nowhere"),
        ("--pdk", "nowhere"),
        ("second",),
    ],
)
def test_an_option_out_of_range(
    tmp_path: Path, checkpoint: Path, arguments: tuple[str, ...]
) -> None:
    complaint = refused(tmp_path, 2, "verify", checkpoint, *arguments)
    value = arguments[-1].partition("=")[0]
    assert value in complaint or arguments[0].strip("-") in complaint, complaint


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("compose",),
        ("netlist",),
        ("netlist", "nowhere.safetensors"),
        ("inspect", "."),
        ("inspect", "{checkpoint}", "--layer", "2"),
        ("inspect", "{checkpoint}", "--layer", "0"),
        ("verify",),
        ("verify", "--samples", "4"),
        ("verify", "--tolerance", "1e-3"),
        ("verify", "--device", "diode"),
        ("golden",),
        ("golden", "--folder", "nowhere"),
        ("train", "juggling"),
        ("train",),
        ("doctor", "--ngspice", "nowhere"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    tmp_path: Path, checkpoint: Path, arguments: tuple[str, ...]
) -> None:
    refused(tmp_path, 2, *(text.format(checkpoint=checkpoint) for text in arguments))


def test_a_golden_folder_without_cases_or_with_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "golden" / "case").mkdir(parents=True)
    assert "no golden case" in refused(tmp_path, 2, "verify")
    (tmp_path / "golden" / "case" / "case.toml").write_text("title = ")
    assert "case.toml" in refused(tmp_path, 3, "verify")
    (tmp_path / "golden" / "case" / "case.toml").write_text("title = 'no judge'")
    assert "judge" in refused(tmp_path, 3, "golden")
    assert "case" in refused(tmp_path, 2, "golden", "other")


def test_a_family_of_ones_own_that_is_bad(tmp_path: Path, checkpoint: Path) -> None:
    folder = tmp_path / "pdk" / "mine"
    folder.mkdir(parents=True)
    description = folder / "family.toml"
    whole = (
        'title = "mine"\ndefault_level = 0\n[[forms]]\ntemplate = "row.j2"\nphi = ["relu"]\n'
        'control = "diff"\n'
    )
    for text, row, words in (
        ("title", "", "not TOML"),
        ("title = 'mine'", "", "forms"),
        (whole.replace("diff", "remote"), "", "remote"),
        (whole, None, "no template row.j2"),
        (whole, "R{{ e }} {{ nosuch }}", "nosuch"),
        (whole, "R{{ e", "row.j2"),
        (whole.replace('["relu"]', '["tanh"]'), "R{{ e }}", "--device ideal"),
    ):
        description.write_text(text)
        (folder / "row.j2").unlink(missing_ok=True)
        if row is not None:
            (folder / "row.j2").write_text(row)
        complaint = refused(
            tmp_path, 3, "netlist", checkpoint, "--pdk", tmp_path / "pdk", "--device", "mine"
        )
        assert words in complaint, complaint


def test_a_family_without_the_law_names_one_that_has_it(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.safetensors", layer("tanh_diff"))
    for family in ("switch", "diode"):
        complaint = refused(tmp_path, 3, "netlist", path, "--device", family)
        assert family in complaint
        assert "--device ideal" in complaint


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{}, {"residual": 0}], "adds an earlier output"),
        ([{}, {"nodes": 5, "fill": "repeat"}], "repeats voltages"),
    ],
)
def test_what_a_single_deck_cannot_hand_over(tmp_path: Path, layers: list, words: str) -> None:
    path = write_network(tmp_path / "net.safetensors", *(layer(**more) for more in layers))
    for command in ("netlist", "verify"):
        assert words in refused(tmp_path, 2, command, path, "--single-deck")


def test_decks_that_cannot_be_judged(tmp_path: Path, checkpoint: Path) -> None:
    deck = tmp_path / "deck"
    deck.mkdir()
    assert "no run.cir" in refused(tmp_path, 3, "verify", checkpoint, "--deck", deck)


def test_done_tells_more_than_one_line_from_one() -> None:
    """The yardstick of this module itself."""
    assert Done(1, "", "note: x\nkcompile: y\n").complaint == "y"
    for errors in ("", "y\n", "kcompile: x\nkcompile: y\n", "Traceback\nkcompile: y\n"):
        with pytest.raises(AssertionError):
            _ = Done(1, "", errors).complaint
