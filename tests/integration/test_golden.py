"""The golden decks under a bare ngspice, and a runner that notices whatever is tampered with."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from simulators import every_ngspice, real_ngspice

from kcompile.errors import GoldenError, UsageError
from kcompile.verification.golden import (
    find_cases,
    first_difference,
    read_case,
    run_case,
    update_case,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES = find_cases(GOLDEN)
NAMES = [case.name for case in CASES]


def bare(program: Path, entry: str, cwd: Path) -> list[tuple[str, float]]:
    """What a bare ngspice prints as ``name = value``, in order."""
    done = subprocess.run(
        [program, "-b", entry], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(n\d+)\s*=\s*(\S+)$", done.stdout, re.M)
    return [(name, float(value)) for name, value in lines]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_every_deck_runs_under_a_bare_ngspice(case, tmp_path):
    with np.load(case.folder / "expected.npz") as stored:
        expected, volt = stored["outputs"][0], case.options.scale.v0
    for simulator in every_ngspice():
        deck = tmp_path / f"with spaces {simulator.version}"
        shutil.copytree(case.folder / "deck", deck)
        # From another folder: decks find their parts beside themselves.
        printed = bare(simulator.path, f"{deck.name}/run.cir", tmp_path)
        found = np.array([value for _, value in printed[-len(expected) :]]) / volt
        np.testing.assert_allclose(found, expected, rtol=0, atol=case.waveform_tolerance)
        for layer in sorted(deck.glob("layer*.cir")):
            assert bare(simulator.path, layer.name, deck), layer.name


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_first_layer_alone_ends_where_the_chain_does(case, tmp_path):
    decks = sorted((case.folder / "deck").glob("layer*.cir"))
    if len(decks) != 1:
        pytest.skip("more than one layer, or a single deck")
    deck = tmp_path / "deck"
    shutil.copytree(case.folder / "deck", deck)
    program = real_ngspice().path
    alone, chained = (dict(bare(program, entry, deck)) for entry in ("layer1.cir", "run.cir"))
    assert alone == pytest.approx(chained, rel=1e-5, abs=1e-5)


@pytest.fixture
def case(tmp_path):
    """A copy of a golden case that a test may spoil."""
    folder = tmp_path / "relu-diff-switch"
    shutil.copytree(GOLDEN / folder.name, folder)
    return read_case(folder)


def problems(case) -> str:
    return "; ".join(run_case(case, ngspice=real_ngspice().path).problems)


def test_an_untouched_case_passes(case):
    assert problems(case) == ""


def test_an_edited_deck_is_noticed(case):
    deck = case.folder / "deck" / "layer1.cir"
    text = deck.read_text()
    deck.write_text(re.sub(r"(?m)^(R\d+ \S+ \S+ \d)", r"\g<1>1", text, count=1))
    assert re.search(r"deck: layer1.cir, line \d+: ", problems(case))


def test_a_missing_and_a_new_file_are_noticed(case):
    (case.folder / "deck" / "run.cir").rename(case.folder / "deck" / "go.cir")
    assert problems(case) == "deck: go.cir is missing"


@pytest.mark.parametrize("name", ["outputs", "phase0"])
def test_edited_waveforms_are_noticed(case, name):
    path = case.folder / "expected.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key].copy() for key in stored.files}
    arrays[name].flat[-1] += 2 * case.waveform_tolerance
    np.savez(path, **arrays)
    assert "waveforms: 2.0" in problems(case)


def test_waveforms_of_another_shape_are_noticed(case):
    path = case.folder / "expected.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    del arrays["phase0"]
    np.savez(path, **arrays)
    assert "none to compare" in problems(case)


def test_another_checkpoint_is_noticed(case):
    other = GOLDEN / "relu-diff-diode" / "model.safetensors"
    shutil.copy(other, case.folder / "model.safetensors")
    found = problems(case)
    assert "model.safetensors is not what the recipe builds" in found
    assert "deck: " in found


def test_damaged_expectations_and_recipes_are_one_line(case):
    (case.folder / "expected.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(GoldenError, match=r"expected\.npz: cannot be read"):
        run_case(case)
    recipe = case.folder / "case.toml"
    text = recipe.read_text()
    for spoilt, message in (
        (text.replace('"relu_diff"', '"sine"'), "unknown law"),
        (text.replace("fully_connected", "moebius"), "moebius"),
        (text.replace("duration = 1.0", "colour = 1"), "colour"),
    ):
        recipe.write_text(spoilt)
        with pytest.raises(GoldenError, match=message):
            run_case(read_case(case.folder))
    for spoilt in ("title = ", text.replace("samples = ", "sample = ")):
        recipe.write_text(spoilt)
        with pytest.raises(GoldenError):
            read_case(case.folder)


def test_updating_an_unchanged_case_changes_nothing(case):
    before = {p.name: p.read_bytes() for p in case.folder.glob("**/*.*") if p.suffix != ".npz"}
    with np.load(case.folder / "expected.npz") as stored:
        numbers = {key: stored[key] for key in stored.files}
    assert update_case(case, ngspice=real_ngspice().path).passed
    after = {p.name: p.read_bytes() for p in case.folder.glob("**/*.*") if p.suffix != ".npz"}
    assert before == after
    with np.load(case.folder / "expected.npz") as stored:
        for key, values in numbers.items():
            np.testing.assert_allclose(stored[key], values, rtol=0, atol=case.waveform_tolerance)


def test_unknown_cases_are_named():
    with pytest.raises(UsageError, match="no golden case 'nosuch'"):
        find_cases(GOLDEN, ("nosuch",))
    with pytest.raises(UsageError, match="no such folder"):
        find_cases(GOLDEN / "nosuch")


def test_deck_texts_compare_numbers_by_value():
    assert first_difference("R1 n1 n2 0.3", "R1 n1 n2 0.30000000000000004") is None
    assert first_difference("R1 n1 n2 0.3", "R1 n1 n2 0.3000000001") is not None
    assert first_difference("R1 n1 n2 0.3", "R2 n1 n2 0.3") is not None
    assert first_difference("R1 n1 n2 0.3", "R1 n1 n22 0.3") is not None
    assert first_difference("a\nb", "a") == "line 2: ends 'b'"
    assert first_difference("a", "a\nb") == "line 2: goes on with 'b'"
