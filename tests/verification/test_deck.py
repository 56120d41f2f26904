"""Decks as they lie: an edit that matters must fail, and no edit must pass."""

from __future__ import annotations

import re

import numpy as np
import pytest
from circuits import make_model
from reports import evidence

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import DeckError, UsageError
from kcompile.units import Scale
from kcompile.verification import verify_model
from kcompile.verification.deck import read_deck

X = np.array([0.5, -0.25])


@pytest.fixture(params=["ideal", "switch"])
def device(request):
    return request.param


@pytest.fixture
def deck(tmp_path, device):
    compiled = compile_model(make_model(), CompileOptions(device=device, opt_level=0))
    compiled.write(tmp_path / "deck", compiled.model.initial_voltages(X))
    return tmp_path / "deck"


def judge(deck, ngspice, inputs=X, **options):
    return verify_model(
        make_model(), CompileOptions(**options), inputs=inputs, deck=deck, ngspice=ngspice.path
    )


def edit(path, pattern, replacement, count=1):
    text = path.read_text()
    changed, found = re.subn(pattern, replacement, text, count=count, flags=re.MULTILINE)
    assert found == count
    assert changed != text
    path.write_text(changed)


def swap_lines(path, first, second):
    text = path.read_text()
    one = re.search(first, text, re.MULTILINE)[0]
    two = re.search(second, text, re.MULTILINE)[0]
    assert one != two
    path.write_text(text.replace(one, "@").replace(two, one).replace("@", two))


def test_an_unedited_deck_passes_and_says_what_it_is(deck, ngspice, device):
    report = judge(deck, ngspice)
    assert (report.verdict, report.exit_status) == ("pass", 0), report.reason
    assert report.compile.device_family == device
    assert report.compile.opt_level == 0
    assert report.compile.passes == ()
    assert report.simulator.options["reltol"] == 1e-6
    assert any(str(deck) in note for note in report.notes)
    assert not list(deck.glob("*.raw"))


def test_facts_of_an_unedited_deck_are_those_of_its_making(tmp_path, device):
    compiled = compile_model(make_model(), CompileOptions(device=device))
    made = compiled.write(tmp_path, compiled.model.initial_voltages(X))
    facts = read_deck(tmp_path)
    assert (facts.sha256, facts.bytes) == (made.sha256, made.bytes)
    assert facts.elements == made.elements
    assert facts.options == compiled.simulator_options
    assert not facts.single
    (tmp_path / "layer1.raw").write_bytes(b"leftover")
    (tmp_path / "inputs.inc").write_text(".param x1=3 x2=4\n")
    assert read_deck(tmp_path).sha256 == made.sha256
    edit(tmp_path / "layer2.cir", "^C1 n1 0 1e-15", "C1 n1 0 2e-15")
    assert read_deck(tmp_path).sha256 != made.sha256


def test_facts_of_a_single_deck(tmp_path):
    compiled = compile_model(make_model(), CompileOptions(device="ideal", single_deck=True))
    made = compiled.write(tmp_path, compiled.model.initial_voltages(X))
    facts = read_deck(tmp_path)
    assert facts.single
    assert (facts.sha256, facts.elements) == (made.sha256, made.elements)


def test_a_single_deck_is_judged_as_one(tmp_path, ngspice):
    options = CompileOptions(device="ideal", single_deck=True)
    compiled = compile_model(make_model(), options)
    compiled.write(tmp_path, compiled.model.initial_voltages(X))
    assert judge(tmp_path, ngspice, device="ideal").passed
    edit(tmp_path / "run.cir", r"^(B\d+_?\w* .*)$", r"* \1")
    failed = judge(tmp_path, ngspice, device="ideal")
    assert failed.exit_status == 1


def test_further_samples_replace_the_input_file(deck, ngspice):
    report = judge(deck, ngspice, inputs=np.stack([X, [1.0, 0.75]]))
    assert report.passed, report.reason


def test_the_decks_own_inputs_are_judged(deck, ngspice):
    """The input file of another sample than the one that is named: wrong."""
    report = judge(deck, ngspice, inputs=[0.4, -0.25])
    assert report.exit_status == 1
    assert "sample 0, node n" in str(report.reason)


CONTROLS = {
    "capacitance": lambda d: edit(d / "layer1.cir", "^C2 n2 0 1e-15", "C2 n2 0 1.05e-15"),
    "input disconnected": lambda d: edit(d / "layer1.cir", r"ic=\{x1\}", "ic=0"),
    "initial condition shifted": lambda d: edit(d / "layer1.cir", r"ic=\{x1\}", "ic={x1+0.02}"),
    "stop time shorter": lambda d: edit(
        d / "layer2.cir", r"^(\.tran \S+) \S+", lambda m: f"{m[1]} 7.9e-16"
    ),
    "stop time longer": lambda d: edit(
        d / "layer2.cir", r"^(\.tran \S+) \S+", lambda m: f"{m[1]} 8.1e-16"
    ),
    "first layer longer": lambda d: edit(
        d / "layer1.cir", r"^(\.tran \S+) \S+", lambda m: f"{m[1]} 6.1e-16"
    ),
    "hand-over lost": lambda d: edit(d / "run.cir", "^alter c1 ic = h1$", "alter c1 ic = 0"),
    "hand-over crossed": lambda d: edit(d / "run.cir", "^alter c1 ic = h1$", "alter c1 ic = h2"),
    "layers in another order": lambda d: swap_lines(
        d / "run.cir", r"^source \S*layer1\.cir$", r"^source \S*layer2\.cir$"
    ),
    "prints a constant": lambda d: edit(d / "run.cir", r"^let n3 = .*$", "let n3 = 0.125"),
    "prints nothing": lambda d: edit(d / "run.cir", r"^print n3$", "* print n3"),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_every_edit_that_matters_fails(deck, ngspice, control):
    CONTROLS[control](deck)
    report = judge(deck, ngspice)
    assert (report.verdict, report.exit_status) == ("fail", 1)
    assert report.reason


def test_a_swapped_pair_of_edges_fails(tmp_path, ngspice):
    compiled = compile_model(make_model(), CompileOptions(device="ideal", opt_level=0))
    compiled.write(tmp_path, compiled.model.initial_voltages(X))
    path = tmp_path / "layer1.cir"
    lines = [line for line in path.read_text().splitlines() if line.startswith("B")]
    one, two = lines[0].split(), lines[-1].split()
    assert one[1:3] != two[1:3]
    text = path.read_text()
    text = text.replace(lines[0], " ".join([one[0], *two[1:3], *one[3:]]))
    text = text.replace(lines[-1], " ".join([two[0], *one[1:3], *two[3:]]))
    path.write_text(text)
    assert judge(tmp_path, ngspice).exit_status == 1


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_edge_of_the_tolerance(tmp_path, ngspice, factor):
    """An input shifted so that the predicted error is 0.3 or 3 times what is allowed."""
    model = make_model()
    compiled = compile_model(model, CompileOptions(device="ideal"))
    compiled.write(tmp_path, model.initial_voltages(X))
    unit = verify_model(model, inputs=np.stack([X, X + np.array([1e-3, 0])]), ngspice=ngspice.path)
    sensitivity = np.abs(np.diff(evidence(unit).reference, axis=0)).max() / 1e-3
    shift = float(factor * unit.allowed / sensitivity)
    edit(tmp_path / "layer1.cir", r"ic=\{x1\}", f"ic={{x1+{shift!r}}}")
    report = judge(tmp_path, ngspice)
    assert report.passed == (factor < 1)
    assert report.summary.max_abs_error == pytest.approx(factor * report.allowed, rel=0.25)


def test_another_scale_than_the_decks_is_explained(deck, ngspice):
    report = judge(deck, ngspice, scale=Scale.from_time_unit(1e-9))
    assert report.exit_status == 1
    assert "layer1.raw" in str(report.reason)


def test_a_deck_that_cannot_be_parsed(deck, ngspice):
    (deck / "layer1.cir").write_text("* nothing here\n.end\n")
    report = judge(deck, ngspice)
    assert (report.verdict, report.exit_status) == ("fail", 1)
    assert report.summary.failed == 1


def test_what_is_no_deck_folder(tmp_path, ngspice):
    with pytest.raises(UsageError, match="no such folder"):
        judge(tmp_path / "none", ngspice)
    with pytest.raises(DeckError, match=r"no run\.cir"):
        judge(tmp_path, ngspice)
