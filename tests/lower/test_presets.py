"""Presets, families that extend others, and supplies: what a description says, what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from simulators import built_devices

import kcompile
from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import PdkError, UsageError
from kcompile.ir import Phi
from kcompile.lower import FamilySpec, family_names, preset_names, read_family
from kcompile.units import Scale

SCALE = Scale(0.25, 1e-5, 1e-12)

BASE = """
title = "base"
default_level = 0
[parameters.k]
default = 2.0
unit = "i0"
description = "a gain"
[[forms]]
template = "row.j2"
phi = ["relu"]
control = "affine"
"""
MINE = """
title = "mine"
default_level = 1
extends = "base"
supplies = ["vdd"]
[parameters.k]
default = 3.0
unit = "i0"
description = "a larger gain"
[parameters.vdd]
default = 1.8
unit = "V"
description = "supply"
[[forms]]
template = "tanh.j2"
phi = ["tanh"]
control = "affine"
[presets.hot]
title = "hot"
k = 7e-5
vdd = 3.3
"""


@pytest.fixture
def pdk(tmp_path: Path) -> Path:
    folder = tmp_path / "pdk"
    for name, text, row, models in (
        ("base", BASE, "row", ".model base k={{ k }}\n"),
        ("mine", MINE, "tanh", ".model mine k={{ k }}\n"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "family.toml").write_text(text)
        (folder / name / f"{row}.j2").write_text(f"X{{{{ e }}}} {{{{ p }}}} {{{{ q }}}} {name}\n")
        (folder / name / "models.j2").write_text(models)
    return folder


def deck(folder: Path, phi: str, **options) -> str:
    compile_model(make_model(phi=phi), CompileOptions(**options)).write(folder, np.zeros(2))
    return (folder / "layer1.cir").read_text()


@pytest.mark.parametrize("name", [n for n in preset_names() if not n.startswith("native")])
def test_ours_are_absolute(name: str) -> None:
    family = read_family(name)
    assert family.name == name
    assert family.preset is not None
    for scale in (SCALE, Scale()):
        values = family.values(scale, {})
        assert {key: values[key] for key in family.preset.values} == family.preset.values


def test_what_a_preset_does_not_say_is_the_default() -> None:
    values = read_family("diode:1n4148").values(SCALE, {})
    assert (values["is"], values["vj"]) == (2.52e-9, 1.0)


def test_a_single_parameter_overrides_it_in_the_familys_unit() -> None:
    values = read_family("diode:1n4148").values(SCALE, {"cj": 0.5})
    assert values["cj"] == 0.5e-12
    assert values["is"] == 2.52e-9


def test_a_deck_names_the_preset_and_has_its_numbers(tmp_path: Path) -> None:
    text = deck(tmp_path, "relu", device="diode:1n4148", scale=SCALE)
    assert "* device family diode:1n4148 at -O0" in text
    assert ".model rectifier d is=2.52e-09 n=1.752 rs=0.568 cjo=4e-12 vj=1.0 m=0.4 tt=2e-08" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("diode:nosuch", "family diode has no preset 'nosuch'; presets: 1n4148, ic"),
        ("diode:", "no preset ''"),
        ("ideal:fast", "presets: none"),
        ("nosuch:fast", "no device family 'nosuch'"),
    ],
)
def test_an_unknown_preset_lists_those_there_are(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        kcompile.compile(make_model(), device=name)
    assert "\n" not in str(caught.value)


def test_presets_of_other_folders_are_listed(pdk: Path) -> None:
    assert {"mine:hot", "diode:ic"} <= set(preset_names(pdk))
    assert "mine:hot" not in family_names(pdk)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[presets.odd]\ntitle = 'x'\nz = 1", "preset odd: the family has no parameter 'z'"),
        ("[presets.odd]\ntitle = 'x'\nk = inf", "preset odd: k is not a finite number"),
        ("[presets.odd]\nk = 1", "KeyError: 'title'"),
        ("[presets.odd]\ntitle = 'x'\nk = 'much'", "much"),
    ],
)
def test_a_bad_preset_is_the_familys_fault(pdk: Path, line: str, told: str) -> None:
    path = pdk / "base" / "family.toml"
    path.write_text(f"{path.read_text()}\n{line}\n")
    with pytest.raises(PdkError, match=told) as caught:
        read_family("base", pdk)
    assert "\n" not in str(caught.value)


def test_a_preset_out_of_range_is_refused(pdk: Path) -> None:
    path = pdk / "base" / "family.toml"
    path.write_text(f"{path.read_text()}\n[presets.odd]\ntitle = 'x'\nk = -1\n")
    with pytest.raises(UsageError, match="k is -1"):
        read_family("base:odd", pdk).values(Scale(), {})


def test_a_family_that_extends_another_has_what_it_does_not_have_itself(pdk: Path) -> None:
    family = read_family("mine", pdk)
    assert [form.template for form in family.forms] == ["tanh.j2", "row.j2"]
    assert family.phis == {Phi.TANH, Phi.RELU}
    assert family.default_level == 1
    assert family.values(Scale(), {}) == {"k": 3.0, "vdd": 1.8}
    assert set(read_family("base", pdk).parameters) == {"k"}


def extending(pdk: Path, base: str, *lines: str) -> FamilySpec:
    """The family ``short``, which extends ``base`` and says little else."""
    (pdk / "short").mkdir()
    text = "\n".join((f'title = "short"\nextends = "{base}"', *lines, ""))
    (pdk / "short" / "family.toml").write_text(text)
    return read_family("short", pdk)


@pytest.mark.parametrize("name", family_names())
def test_a_family_that_says_nothing_else_is_its_base(pdk: Path, name: str) -> None:
    base, short = read_family(name), extending(pdk, name)
    assert short.folders == (pdk / "short", *base.folders)
    assert replace(short, name=name, title=base.title, folders=base.folders) == base


@pytest.mark.parametrize(("base", "phi"), [("bjt", "tanh"), ("bjt", "relu"), ("native", "relu")])
def test_its_circuit_is_the_bases(pdk: Path, tmp_path: Path, base: str, phi: str) -> None:
    if base == "native":
        built_devices()
    extending(pdk, base)
    one, other = (
        deck(tmp_path / name, phi, device=name, pdk=pdk).replace(f" {name} at", " BASE at")
        for name in (base, "short")
    )
    assert one == other
    assert ("\nVcc vcc 0 5.0\nVee vee 0 -5.0\n" in other) == (base == "bjt")
    assert {path.name for path in (tmp_path / base).iterdir()} == {
        path.name for path in (tmp_path / "short").iterdir()
    }


@pytest.mark.parametrize(
    ("base", "line", "value"),
    [
        ("bjt", "klu = true", True),
        ("native", "klu = false", False),
        ("bjt", "thermal = false", False),
        ("ideal", "thermal = true", True),
        ("native", 'grain = "pair"', "pair"),
        ("ideal", 'dialect = "spectre"', "spectre"),
        ("native", "default_level = 1", 1),
    ],
)
def test_what_it_says_itself_holds(pdk: Path, base: str, line: str, value: object) -> None:
    key = line.partition(" ")[0]
    assert getattr(read_family(base), key) != value
    short = extending(pdk, base, line)
    assert getattr(short, key) == value
    rest = {field: getattr(read_family(base), field) for field in ("name", "title", "folders", key)}
    assert replace(short, **rest) == read_family(base)


def test_its_supplies_are_beside_the_bases(pdk: Path) -> None:
    volts = '[parameters.vref]\ndefault = 1.0\nunit = "V"\ndescription = "reference"'
    assert extending(pdk, "bjt", 'supplies = ["vref", "vcc"]', volts).supplies == (
        "vref", "vcc", "vee",
    )  # fmt: skip


def test_an_inherited_supply_still_needs_its_volts(pdk: Path) -> None:
    with pytest.raises(PdkError, match="short/family.toml: .*'vcc' needs a parameter"):
        extending(pdk, "bjt", '[parameters.vcc]\ndefault = 1.0\ndescription = "no voltage"')


def test_its_presets_are_instead_of_the_bases(pdk: Path) -> None:
    assert set(extending(pdk, "bjt", "[presets.x]\ntitle = 'x'\nbf = 80").presets) == {"x"}
    assert "1n4148" not in read_family("bjt").presets  # of a diode, which a pair is not made of


def test_its_deck_has_models_and_rows_of_both(pdk: Path, tmp_path: Path) -> None:
    options = {"device": "mine:hot", "pdk": pdk, "opt_level": 0}
    relu = deck(tmp_path / "relu", "relu", **options)
    assert ".model base k=7e-05\n.model mine k=7e-05\n" in relu
    assert "\nX0 0 n1 base\n" in relu
    assert "\nX0 0 n1 mine\n" in deck(tmp_path / "tanh", "tanh", **options)


def test_a_template_of_its_own_hides_the_bases(pdk: Path, tmp_path: Path) -> None:
    (pdk / "mine" / "row.j2").write_text("Y{{ e }} {{ p }} {{ q }}\n")
    text = deck(tmp_path, "relu", device="mine", pdk=pdk, opt_level=0)
    assert "\nY0 0 n1\n" in text


@pytest.mark.parametrize(("base", "told"), [("mine", "no end"), ("nosuch", "no device family")])
def test_what_cannot_be_extended_is_the_familys_fault(pdk: Path, base: str, told: str) -> None:
    path = pdk / "base" / "family.toml"
    path.write_text(f'extends = "{base}"\n{BASE}')
    with pytest.raises(PdkError, match=told) as caught:
        read_family("mine", pdk)
    assert "\n" not in str(caught.value)


def test_a_supply_is_one_source_and_its_current_is_saved(pdk: Path, tmp_path: Path) -> None:
    for single, name in ((False, "layer1.cir"), (True, "run.cir")):
        folder = tmp_path / name
        compiled = compile_model(
            make_model(phi="tanh"),
            CompileOptions(device="mine", pdk=pdk, parameters={"vdd": 2.5}, single_deck=single),
        )
        written = compiled.write(folder, np.zeros(2))
        text = (folder / name).read_text()
        assert text.count("\nVdd vdd 0 2.5\n") == 1
        assert "v(n3) i(vdd)\n" in text
        gates, decks = (2, 1) if single else (0, 2)
        assert written.elements["V"] == gates + decks


@pytest.mark.parametrize(
    ("supply", "told"), [("k", "begins with v"), ("vx", "needs a parameter"), ("v x", "begins")]
)
def test_a_bad_supply_is_the_familys_fault(pdk: Path, supply: str, told: str) -> None:
    path = pdk / "base" / "family.toml"
    path.write_text(f'supplies = ["{supply}"]\n{BASE}')
    with pytest.raises(PdkError, match=told):
        read_family("base", pdk)


def test_a_parameter_that_is_called_like_a_column_is_refused(pdk: Path, tmp_path: Path) -> None:
    path = pdk / "base" / "family.toml"
    path.write_text(path.read_text().replace("parameters.k", "parameters.g"))
    (pdk / "base" / "models.j2").write_text("")
    with pytest.raises(PdkError, match="parameter g is called like a column"):
        deck(tmp_path, "relu", device="base", pdk=pdk)
