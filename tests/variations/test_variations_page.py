"""``docs/variations.md`` names every effect and number; its example's figures are what it says."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path

import pytest

import kcompile
from kcompile.experiments import Plan
from kcompile.physics import kt_over_c, shot_density
from kcompile.variations import EFFECTS, Variations, describe, read_variations

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "variations.md").read_text()
EXAMPLES = ROOT / "examples"
CIRCUIT, CONVERTERS = EXAMPLES / "sky130.toml", EXAMPLES / "sky130_converters.toml"
V0, I0, C0 = 0.1, 1e-5, 1e-12


def sections() -> dict[str, str]:
    """The page's text about each effect, in the page's order."""
    effects = PAGE.partition("## The effects\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (\w+)\n", effects, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def allowed(facts) -> str:
    least, most = facts["least"], facts["most"]
    if math.isinf(most):
        return "above 0" if 0 < least < 1e-100 else f"{least:g} and more"
    return f"{least:g} to {most:g}" + (", whole" if facts["whole"] else "")


def test_every_effect_has_its_section_in_the_order_in_which_it_acts() -> None:
    assert list(sections()) == [*(effect.name for effect in EFFECTS), "device"]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_every_number_is_told_with_its_unit_its_default_and_its_range(effect) -> None:
    ranges = {each.name: allowed(each.metadata) for each in fields(effect)}
    expected = [
        (name, unit or "-", f"{default:g}", ranges[name], about)
        for of, name, unit, default, about in describe()
        if of == effect.name
    ]
    section = sections()[effect.name].replace(r"\|", "!")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$", section, re.M)
    assert [tuple(cell.replace("!", "|") for cell in row) for row in rows] == expected


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target


def test_commands_name_files_that_are_there() -> None:
    for path in re.findall(r"(?:examples|golden)/[\w/.-]+\w", PAGE):
        assert (ROOT / path).is_file(), path
    every = re.findall(r"--vary ([\w.]+=[\d.e-]+)", PAGE)
    assert read_variations(every).active


def test_the_examples_figures_are_those_of_their_sources() -> None:
    """The comments of the two files state SI figures; the numbers are these over the units."""
    found = read_variations([CIRCUIT, CONVERTERS]).to_mapping()
    one = 3.356e-3 / math.sqrt(10)  # V: a transistor of 10 um^2
    assert found["mismatch"]["offset"] == pytest.approx(one * math.sqrt(2) / V0, rel=0.01)
    assert found["mismatch"]["gain"] >= 5 * one * math.sqrt(2)
    assert found["output"]["conductance"] == pytest.approx(V0 / 40)
    assert found["leakage"]["current"] == pytest.approx(10e-12 / I0)
    assert found["leakage"]["hold"] == pytest.approx(100e-9 / (C0 * V0 / I0))
    assert found["capacitors"]["mismatch"] == pytest.approx(0.028 / math.sqrt(500), rel=0.01)
    assert found["capacitors"]["parasitic"] == pytest.approx(0.5e-15 / C0)
    assert found["input"]["noise"] == pytest.approx(kt_over_c(C0, 300.0) / V0, rel=0.01)
    unit = I0**2 * (C0 * V0 / I0)
    assert found["noise"]["density"] == pytest.approx(4 * shot_density(I0) / unit, rel=0.01)


def test_the_first_file_is_of_one_circuit_and_the_second_of_samples_and_time() -> None:
    """``verify`` takes the first one; the page says so."""
    assert not {"input", "readout", "noise"} & set(read_variations([CIRCUIT]).active)
    assert set(read_variations([CONVERTERS]).active) == {"input", "readout", "noise"}


def test_the_ranking_is_real() -> None:
    """Of the effects in the page's table, the one without chance is the same in every circuit."""
    told = re.search(r"^ 1\. quantisation alone +rms error (\S+), mse (\S+)$", PAGE, re.M)
    assert told is not None
    plan = Plan(read_variations([CIRCUIT]).only(["quantisation"]), runs=1)
    model = ROOT / "golden" / "friedman" / "model.safetensors"
    (circuit,) = kcompile.montecarlo(model, plan).circuits
    ideal = re.search(r"^ mse, ideal +(\S+)$", PAGE, re.M)
    assert ideal is not None
    assert circuit.rms_error == pytest.approx(float(told[1]), rel=0.01)
    assert circuit.metric == pytest.approx(float(ideal[1]) + float(told[2]), rel=1e-3)


def test_the_sample_of_toml_is_read() -> None:
    import tomllib

    for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S):
        assert Variations.from_mapping(tomllib.loads(text)).active
