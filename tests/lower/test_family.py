"""Device families are data: what they say is checked, and a new one needs no code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import PdkError, UsageError
from kcompile.frontend.model import Model
from kcompile.ir import EdgeBatch, Graph, Phase, Phi, validate
from kcompile.lower import family_names, read_family
from kcompile.units import Scale


def model(phi: str = "relu", w: float = 1.0, a: float = 1.0, b: float = -1.0) -> Model:
    batch = EdgeBatch(phi, [1, 2], [2, 0], w, a, b, 0.25)
    return Model(validate(Graph((Phase(2, 1.0, (batch,)),), 2, [2])), "test")


def write_family(folder: Path, name: str = "mine", text: str | None = None) -> Path:
    family = folder / name
    family.mkdir(parents=True)
    (family / "row.j2").write_text("X{{ e }} {{ p }} {{ q }} cell k={{ g * 1 if false else g }}\n")
    (family / "family.toml").write_text(
        text
        or 'title = "mine"\ndefault_level = 0\n[parameters.k]\ndefault = 2.0\nunit = "i0"\n'
        'description = "a gain"\n[[forms]]\ntemplate = "row.j2"\nphi = ["relu"]\n'
        'control = "diff"\n'
    )
    return folder


def test_ours_are_there():
    assert {"ideal", "switch", "diode"} <= set(family_names())


@pytest.mark.parametrize("name", ["switch", "diode"])
def test_a_family_without_tanh_says_so_and_points_to_one(name):
    with pytest.raises(PdkError, match="no device for tanh.*--device ideal"):
        compile_model(model("tanh"), CompileOptions(device=name))


def test_a_new_family_needs_no_code(tmp_path):
    write_family(tmp_path)
    assert "mine" in family_names(tmp_path)
    compiled = compile_model(model(), CompileOptions(device="mine", pdk=tmp_path))
    deck = compiled.write(tmp_path / "deck", np.array([1.0, 0.0]))
    text = (tmp_path / "deck" / "layer1.cir").read_text()
    assert "X0 n1 n2 cell k=1.0\n" in text
    assert deck.elements == {"C": 2, "X": 2}


def test_an_unknown_family_lists_those_there_are():
    with pytest.raises(UsageError, match="families: .*ideal"):
        read_family("nosuch")
    with pytest.raises(UsageError):
        read_family("../pdk/ideal")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not TOML"),
        ('title = "x"\n', "KeyError"),
        ('title = "x"\ndefault_level = 0\nforms = [{template="row.j2", phi=["sin"], '
         'control="diff"}]', "sin"),
        ('title = "x"\ndefault_level = 0\nforms = [{template="no.j2", phi=["relu"], '
         'control="diff"}]', "no template"),
        ('title = "x"\ndefault_level = 0\nforms = [{template="row.j2", phi=["relu"], '
         'control="sideways"}]', "sideways"),
        ('title = "x"\ndefault_level = 0\nforms = [{template="row.j2", phi=["relu"], '
         'control="diff", colour=1}]', "colour"),
        ('title = "x"\ndefault_level = 0\nforms = []\n[parameters.k]\ndefault = 1\n'
         'unit = "furlong"\ndescription = ""', "furlong"),
    ],
)  # fmt: skip
def test_a_bad_description_is_one_line(tmp_path, text, message):
    write_family(tmp_path, text=text)
    with pytest.raises(PdkError, match=message) as caught:
        read_family("mine", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_template_that_names_what_there_is_not_is_an_error(tmp_path):
    write_family(tmp_path)
    (tmp_path / "mine" / "row.j2").write_text("X{{ e }} {{ nonsense }}\n")
    compiled = compile_model(model(), CompileOptions(device="mine", pdk=tmp_path))
    with pytest.raises(PdkError, match="nonsense"):
        compiled.write(tmp_path / "deck", np.zeros(2))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{{ cycler.__init__.__globals__.os.getcwd() }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("X{{ e }} {{ k / 0 }}", "ZeroDivisionError"),
        ("X{{ e }} {{ g + 1 }}", "TypeError"),
        ("X{{ e }} {{ range(10 ** 9) }}", "OverflowError"),
        ("X{{ e }} {{ s | upper }} {{ p | replace('p', 'q') }}", "changed before it is printed"),
        ("X{{ e }} {% if %}", "TemplateSyntaxError"),
    ],
)
def test_a_template_reaches_nothing_but_its_numbers(tmp_path, row, message):
    """Families come from strangers: a row that runs code, or fails, is one line of an error."""
    write_family(tmp_path)
    (tmp_path / "mine" / "row.j2").write_text(f"{row}\n")
    compiled = compile_model(model(), CompileOptions(device="mine", pdk=tmp_path))
    with pytest.raises(PdkError, match=message) as caught:
        compiled.write(tmp_path / "deck", np.zeros(2))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "deck").exists()


def test_a_template_that_is_no_text_is_an_error(tmp_path):
    write_family(tmp_path)
    (tmp_path / "mine" / "row.j2").write_bytes(b"X{{ e }} \xff\n")
    compiled = compile_model(model(), CompileOptions(device="mine", pdk=tmp_path))
    with pytest.raises(PdkError, match="UnicodeDecodeError"):
        compiled.write(tmp_path / "deck", np.zeros(2))


def test_parameters_scale_with_the_units():
    family = read_family("switch")
    values = family.values(Scale(v0=0.5, i0=1e-5, c0=1e-12), {"roff": 1e3})
    assert values["roff"] == pytest.approx(1e3 * 0.5 / 1e-5)
    assert values["ron"] == pytest.approx(1e-6 * 0.5 / 1e-5)


@pytest.mark.parametrize("given", [{"ron": 0.0}, {"ron": -1.0}, {"ron": float("nan")}, {"rx": 1}])
def test_parameters_out_of_range_are_refused(given):
    with pytest.raises(UsageError):
        read_family("switch").values(Scale(), given)


@pytest.mark.parametrize(("scale", "roff"), [(Scale(v0=1e3), 1e308), (Scale(i0=1e200), 1e-200)])
def test_parameters_that_overflow_in_the_units_are_refused(scale, roff):
    with pytest.raises(UsageError, match="roff is .* v0/i0"):
        read_family("switch").values(scale, {"roff": roff})


def test_leaky_relu_is_built_from_relu_and_a_linear_part(tmp_path):
    compiled = compile_model(model("leaky_relu"), CompileOptions(device="switch"))
    deck = compiled.write(tmp_path, np.zeros(2))
    text = (tmp_path / "layer1.cir").read_text()
    assert "G0lins n1 n2 n1 0 0.01\n" in text
    assert "R0 n1 m0 1.0101010101010102\n" in text
    assert deck.elements["S"] == 2


def test_every_family_builds_every_piecewise_linear_law():
    for name in ("ideal", "switch", "diode"):
        assert {Phi.RELU, Phi.LEAKY_RELU, Phi.IDENTITY} <= read_family(name).phis
