"""Golden cases under a bare ngspice, from anywhere; and that tampering with one is noticed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import rewrite
from commands import files, run
from deck_edits import substitute
from simulators import every_ngspice

from kcompile.simulation import Ngspice
from kcompile.simulation.process import environment
from kcompile.verification.golden import Case, find_cases, run_case

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CASES = {case.name: case for case in find_cases(GOLDEN)}
DECKS = [name for name, case in CASES.items() if case.keeps_deck]


@pytest.fixture(scope="session", params=[0, 1], ids=["chosen", "system"])
def program(request: pytest.FixtureRequest) -> Ngspice:
    """The ngspice that kcompile chooses, and the system's where that is another one."""
    found = every_ngspice()
    if request.param >= len(found):
        pytest.skip("there is no second ngspice on the PATH")
    return found[request.param]


def bare(program: Ngspice, deck: Path, cwd: Path, home: Path) -> dict[str, float]:
    """What ``ngspice -b DECK`` prints, in an environment that no init file reaches."""
    done = subprocess.run(
        [program.path, "-b", deck],
        cwd=cwd,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pairs = re.findall(r"^\s*(n\d+)\s+=\s+(\S+)", done.stdout, re.M)
    assert pairs, done.stdout
    return {name: float(value) for name, value in pairs}


def copied(case: Case, folder: Path) -> Path:
    return Path(shutil.copytree(case.folder / "deck", folder / "deck"))


def expected(case: Case) -> dict[str, np.ndarray]:
    with np.load(case.folder / "expected.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("name", CASES)
def test_a_case_passes_with_every_ngspice(program: Ngspice, name: str) -> None:
    result = run_case(CASES[name], ngspice=program.path)
    assert result.passed, result.problems


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_under_a_bare_ngspice(tmp_path: Path, program: Ngspice, name: str) -> None:
    case = CASES[name]
    deck, scale = copied(case, tmp_path), case.options.scale
    answers = expected(case)
    printed = bare(program, Path("run.cir"), deck, tmp_path)
    outputs = read_outs(deck)
    assert len(outputs) == len(answers["outputs"][0])
    found = np.array([printed[node] for node in outputs]) / scale.v0
    np.testing.assert_allclose(found, answers["outputs"][0], atol=case.waveform_tolerance, rtol=0)
    # Each layer's own deck runs too, and what it prints is where its waveforms end. Later ones
    # start from 0 V there.
    layers = sorted(deck.glob("layer*.cir"))
    assert len(layers) == (0 if case.options.single_deck else len(answers) - 2)
    for number, path in enumerate(layers):
        printed = bare(program, Path(path.name), deck, tmp_path)
        if number == 0:
            final = answers["phase0"][-1]
            close = case.waveform_tolerance * max(1.0, abs(final).max())
            for node, value in printed.items():
                assert value / scale.v0 == pytest.approx(final[int(node[1:]) - 1], abs=close)


def read_outs(deck: Path) -> list[str]:
    return re.findall(r"^print (n\d+)$", (deck / "run.cir").read_text(), re.M)


@pytest.mark.parametrize("name", ["tanh-affine-layers", "single-deck-switch"])
def test_from_another_folder_through_a_path_with_spaces(
    tmp_path: Path, program: Ngspice, name: str
) -> None:
    case = CASES[name]
    folder = tmp_path / "a folder" / "of mine"
    folder.mkdir(parents=True)
    deck = copied(case, folder)
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    answer = expected(case)["outputs"][0]
    for cwd, path in (
        (elsewhere, deck / "run.cir"),
        (elsewhere, Path("..") / deck.relative_to(tmp_path) / "run.cir"),
        (folder, Path("deck") / "run.cir"),
        (deck, Path("run.cir")),
    ):
        printed = bare(program, path, cwd, tmp_path)
        found = [printed[node] / case.options.scale.v0 for node in read_outs(deck)]
        np.testing.assert_allclose(found, answer, atol=case.waveform_tolerance, rtol=0)
        waveforms = {path.name for path in deck.glob("*.raw")}
        assert len(waveforms) == max(1, len(list(deck.glob("layer*.cir"))))
        for name_of_one in waveforms:
            (deck / name_of_one).unlink()
    assert list(elsewhere.iterdir()) == []


# --- Tampering --------------------------------------------------------------------------------


def edited_deck(folder: Path) -> None:
    path = folder / "deck" / "layer1.cir"
    (line,) = re.findall(r"^I0 .*$", path.read_text(), re.M)
    head, _, value = line.rpartition(" ")
    substitute(path, line, f"{head} {float(value) * (1 + 1e-9)!r}")


def edited_comment(folder: Path) -> None:
    substitute(folder / "deck" / "run.cir", "KirchhoffNet", "Kirchhoffnet")


def lost_deck(folder: Path) -> None:
    (folder / "deck" / "layer1.cir").unlink()


def further_deck(folder: Path) -> None:
    (folder / "deck" / "layer2.cir").write_text("* more\n")


def other_inputs(folder: Path) -> None:
    path = folder / "deck" / "inputs.inc"
    path.write_text(path.read_text().replace("x1=", "x1=1"))


def change_expected(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    with np.load(folder / "expected.npz") as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    change(arrays)
    np.savez_compressed(folder / "expected.npz", **arrays)


def shifted_waveform(folder: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["phase0"][7, 1] += 2e-4

    change_expected(folder, change)


def shifted_output(folder: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["outputs"][1, 0] -= 2e-4

    change_expected(folder, change)


def unknown_waveform(folder: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["phase0"][3, 0] = np.nan

    change_expected(folder, change)


def lost_waveform(folder: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        del arrays["phase0"]

    change_expected(folder, change)


def lost_sample(folder: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["inputs"], arrays["outputs"] = arrays["inputs"][:1], arrays["outputs"][:1]

    change_expected(folder, change)


def other_checkpoint(folder: Path) -> None:
    def change(description, tensors) -> None:
        tensors["phase.0.batch.0.params"][0, 3] += 1e-3

    rewrite(folder / "model.safetensors", change)


def other_recipe(folder: Path) -> None:
    substitute(folder / "case.toml", "seed = 1\n", "seed = 2\n")


def strict_recipe(folder: Path) -> None:
    substitute(folder / "case.toml", "\ntolerance = 1e-3", "\ntolerance = 1e-8")


def other_device(folder: Path) -> None:
    substitute(folder / "case.toml", '"switch"', '"diode"')


@pytest.fixture
def folder(tmp_path: Path, ngspice: Ngspice) -> Path:
    """A golden folder of one case."""
    shutil.copytree(GOLDEN / "relu-diff-switch", tmp_path / "golden" / "relu-diff-switch")
    return tmp_path / "golden"


def test_a_copy_passes_from_anywhere(folder: Path, tmp_path: Path) -> None:
    done = run("verify", "--json", tmp_path / "j.json", cwd=tmp_path)
    assert done.status == 0, done
    assert "1 of 1 golden cases passed" in done.stdout
    assert re.search(r"relu-diff-switch +switch -O0 +3 +24 +1 +\S+ +\S+ +pass", done.stdout)
    (record,) = json.loads((tmp_path / "j.json").read_text())
    assert record["case"] == "relu-diff-switch"
    assert record["passed"] is True
    assert record["problems"] == []
    assert record["waveform_change"] < 1e-4
    assert run("golden", "--folder", folder, "relu-diff-switch").status == 0


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (edited_deck, r"deck: layer1.cir, line \d+: 'I0 "),
        (edited_comment, "deck: run.cir, line 2: "),
        (lost_deck, "deck: layer1.cir is new"),
        (further_deck, "deck: layer2.cir is missing"),
        (other_inputs, "deck: inputs.inc, line "),
        (shifted_waveform, r"waveforms: 2.\d+e-04 off, 1e-04 is allowed"),
        (shifted_output, r"waveforms: \S+e-04 off, 1e-04 is allowed"),
        (unknown_waveform, "waveforms: nan off"),
        (lost_waveform, "waveforms: none to compare"),
        (lost_sample, "expected.npz has 1 samples, not 2"),
        (other_checkpoint, "model.safetensors is not what the recipe builds"),
        (other_recipe, "model.safetensors is not what the recipe builds"),
        (strict_recipe, "times the .* allowed"),
        (other_device, "deck: layer1.cir, line "),
    ],
)
def test_tampering_is_noticed(
    folder: Path, tmp_path: Path, tamper: Callable[[Path], None], words: str
) -> None:
    tamper(folder / "relu-diff-switch")
    before = files(folder)
    done = run("verify", "--json", tmp_path / "j.json", cwd=tmp_path)
    assert done.status == 1, done
    assert "0 of 1 golden cases passed" in done.stdout
    (record,) = json.loads((tmp_path / "j.json").read_text())
    assert record["passed"] is False
    assert any(
        re.match(words, problem) or re.search(words, problem) for problem in record["problems"]
    )
    assert re.search(rf"relu-diff-switch: {words}|relu-diff-switch: .*{words}", done.stdout)
    assert files(folder) == before


def unreadable_expected(folder: Path) -> None:
    (folder / "expected.npz").write_bytes(b"PK\x03\x04 and no more")


def lost_expected(folder: Path) -> None:
    (folder / "expected.npz").unlink()


def cut_checkpoint(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def no_such_topology(folder: Path) -> None:
    substitute(folder / "case.toml", "fully_connected", "hypercube")


def no_such_law(folder: Path) -> None:
    substitute(folder / "case.toml", "relu_diff", "josephson")


@pytest.mark.parametrize(
    ("tamper", "file"),
    [
        (unreadable_expected, "expected.npz"),
        (lost_expected, "expected.npz"),
        (cut_checkpoint, "model.safetensors"),
        (no_such_topology, "case.toml"),
        (no_such_law, "case.toml"),
    ],
)
def test_a_case_that_cannot_be_read(
    folder: Path, tmp_path: Path, tamper: Callable[[Path], None], file: str
) -> None:
    tamper(folder / "relu-diff-switch")
    done = run("golden", cwd=tmp_path)
    assert done.status == 3
    assert str(Path("golden") / "relu-diff-switch" / file) in done.complaint


# --- Updating ---------------------------------------------------------------------------------


def test_an_update_of_what_is_right_changes_nothing(tmp_path: Path, ngspice: Ngspice) -> None:
    names = ("friedman", "relu-diff-switch", "single-deck-tanh", "relu-affine-diode-residual")
    for name in names:
        shutil.copytree(GOLDEN / name, tmp_path / "golden" / name)
    before = files(tmp_path)
    done = run("golden", "--update", cwd=tmp_path)
    assert done.status == 0, done
    after = files(tmp_path)
    assert after.keys() == before.keys()
    for path, content in after.items():
        if path.endswith(".npz"):
            continue
        assert content == before[path] or path.endswith((".cir", ".inc", ".trace")), path
    # Last bits of sums differ between processors, waveforms a little between simulators.
    for name in names:
        (case,) = find_cases(tmp_path / "golden", (name,))
        now, then = expected(case), expected(CASES[name])
        assert now.keys() == then.keys()
        np.testing.assert_array_equal(now.pop("inputs"), then.pop("inputs"))
        for key, values in now.items():
            np.testing.assert_allclose(values, then[key], atol=case.waveform_tolerance, rtol=0)
    # The second time nothing at all changes.
    assert run("golden", "--update", cwd=tmp_path).status == 0
    again = files(tmp_path)
    assert [path for path in again if again[path] != after[path]] == []


def test_an_update_mends_what_was_tampered_with(folder: Path, tmp_path: Path) -> None:
    original = files(folder)
    for tamper in (edited_deck, further_deck, shifted_waveform, other_checkpoint):
        tamper(folder / "relu-diff-switch")
    assert run("golden", "--update", cwd=tmp_path).status == 0
    mended = files(folder)
    assert mended.keys() == original.keys()
    assert run("verify", cwd=tmp_path).status == 0


def test_an_update_that_fails_says_so(folder: Path, tmp_path: Path) -> None:
    strict_recipe(folder / "relu-diff-switch")
    other_recipe(folder / "relu-diff-switch")
    before = files(folder)
    done = run("golden", "--update", cwd=tmp_path)
    assert done.status == 3
    assert "the circuit fails" in done.complaint
    assert files(folder) == before
