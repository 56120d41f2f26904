"""``docs/devices.md`` and ``docs/device-tables.md``: decks, parameters, tables, examples."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from simulators import built_devices, real_ngspice

import kcompile
from benchmarks import device_transfer
from benchmarks.device_sweep import SWEEPS, TANH_LAWS, TANH_SWEEPS, Case, case, heading
from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import PdkError
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.lower import Form, Parameter, preset_names, read_family
from kcompile.lower.columns import edge_columns
from kcompile.units import Scale

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "devices.md").read_text()
TABLES_PAGE = (ROOT / "docs" / "device-tables.md").read_text()
BLOCKS = re.findall(r"^```(\w+) (.+)\n((?:.*\n)*?)```$", PAGE, re.M)
TABLES = {
    title: [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
    for title, lines in re.findall(r"^\*\*(`.*)\*\*\n\n((?:\|.*\n)+)", TABLES_PAGE, re.M)
}


@pytest.fixture(scope="module", autouse=True)
def _ngspice() -> None:
    real_ngspice()


def two_edges(kind: str) -> Model:
    """The two edges of which the page shows decks."""
    a, b = (2.0, -0.75) if kind == "affine" else (1.0, -1.0)
    edges = EdgeBatch("tanh" if kind == "tanh" else "relu", [1, 2], [2, 1], [0.5, -0.5], a, b, 0.25)
    return Model(validate(Graph((Phase(2, 1.0, (edges,)),), 2, [2])), "test")


@pytest.mark.parametrize(("words", "lines"), [(b[1], b[2]) for b in BLOCKS if b[0] == "spice"])
def test_deck_lines_are_real(words: str, lines: str, tmp_path: Path) -> None:
    family, kind, level, *given = words.split()
    if family.startswith("native"):
        built_devices()
    parameters = {name: float(value) for name, _, value in (g.partition("=") for g in given)}
    options = CompileOptions(
        device=family, opt_level=int(level), scale=Scale(1.0, 1.0, 1.0), parameters=parameters
    )
    compile_model(two_edges(kind), options).write(tmp_path, np.zeros(2))
    assert f"\n{lines}" in (tmp_path / "layer1.cir").read_text()


def limit(parameter: Parameter) -> str:
    if math.isinf(parameter.minimum):
        return "any"
    return ">= 0" if parameter.minimum_allowed else "> 0"


@pytest.mark.parametrize("name", ["switch", "diode", "bjt", "native"])
def test_parameters_are_those_of_the_family(name: str) -> None:
    section = PAGE[PAGE.index(f"## `{name}`\n") :].partition("\n## ")[0]
    told = re.findall(
        r"^\| `(\w+)` +\| (\S*) +\| (\S+) +\| (>=? 0|any) +\| (.*?) +\|$", section, re.M
    )
    family = read_family(name)
    base = dict(read_family("diode").parameters) if name == "bjt" else {}
    assert told == [
        (p.name, p.unit, f"{p.default:g}", limit(p), p.description)
        for p in family.parameters.values()
        if base.get(p.name) != p
    ]


def test_every_column_and_every_key_is_told() -> None:
    section = PAGE[PAGE.index("## A family of your own") :]
    rows = re.findall(r"^\| (`.*?) +\| ", section, re.M)
    told = set(re.findall(r"`(\w+)`", " ".join(rows)))
    one = two_edges("relu").graph.phases[0].batches[0]
    columns = set(edge_columns(one, ["0", "n1", "n2"], ["0", "1"], Scale()))
    assert columns | {"points", "gate"} <= told
    keys = {field.name for field in fields(Form)} - {"template", "phi"}  # told in one row
    assert keys | {"title", "default_level", "klu", "grain", "extends", "supplies"} <= told
    assert {"thermal", "dialect", "files"} <= told
    assert "`[presets.NAME]`" in section


def test_every_preset_is_told() -> None:
    rows = re.findall(r"^\| `(\w+:[\w-]+)` +\|", PAGE, re.M)
    assert set(rows) == set(preset_names())


def test_every_preset_was_measured() -> None:
    section = TABLES_PAGE[TABLES_PAGE.index("## Presets") :]
    assert set(re.findall(r"^\| `(\w+:[\w-]+)` +\|", section, re.M)) == set(preset_names())


def title(sweep) -> str:
    return heading(sweep).strip().removeprefix("### ")


def test_every_sweep_has_its_table() -> None:
    assert {title(sweep) for sweep in (*SWEEPS, *TANH_SWEEPS)} <= set(TABLES)
    for sweep in (*SWEEPS, *TANH_SWEEPS):
        rows = TABLES[title(sweep)][2:]
        assert [float(row[0]) for row in rows] == list(sweep.values)


def test_errors_fall_three_decades() -> None:
    for sweep in SWEEPS:
        head, _, *rows = TABLES[title(sweep)]
        columns = dict(zip(head[1:], np.array(rows, dtype=float)[:, 1:].T, strict=True))
        linear = columns.pop("conductance")
        assert len(set(linear)) == 1
        if sweep.parameter == "ron":
            for law in ("relu_affine", "leaky_relu_affine"):
                assert len(set(columns.pop(law))) == 1
        for law, errors in columns.items():
            assert errors[0] / errors.min() >= 1e3, (sweep, law)


@pytest.fixture(scope="module")
def shifted() -> Case:
    return case("shift_relu")


@pytest.mark.parametrize("sweep", SWEEPS, ids=title)
def test_the_tables_are_real(sweep, shifted: Case) -> None:
    head, _, *rows = TABLES[title(sweep)]
    column = head.index("shift_relu")
    for row in (rows[1], rows[3]):
        told = float(row[column])
        parameters = {**dict(sweep.others), sweep.parameter: float(row[0])}
        assert shifted.error(sweep.family, parameters) == pytest.approx(told, rel=0.1)


@pytest.mark.parametrize("sweep", TANH_SWEEPS, ids=title)
def test_the_tables_of_transistors_are_real(sweep) -> None:
    head, _, *rows = TABLES[title(sweep)]
    errors = np.array(rows, dtype=float)[:, 1:]
    assert (errors[0] / errors[-1] >= 200).all()
    for row in (rows[0], rows[2]):
        for law in TANH_LAWS:
            told = float(row[head.index(law)])
            parameters = {**dict(sweep.others), sweep.parameter: float(row[0])}
            assert case(law).error(sweep.family, parameters) == pytest.approx(told, rel=0.1)


@pytest.mark.parametrize(
    "sweep", device_transfer.SWEEPS, ids=lambda sweep: device_transfer.heading(sweep).strip("*")
)
def test_the_transfer_tables_are_real(sweep: device_transfer.Sweep) -> None:
    _, _, *rows = TABLES[device_transfer.heading(sweep).strip("*")]
    assert [float(row[0]) for row in rows] == list(sweep.values)
    for row in (rows[0], rows[-1]):
        parameters = {**sweep.setting.parameters, sweep.parameter: float(row[0])}
        curve = device_transfer.transfer(replace(sweep.setting, parameters=parameters))
        # Of a relative tolerance of 1e-6, the last digits are not those of every ngspice.
        told = [float(value) for value in row[1:]]
        assert curve.errors == pytest.approx(told, rel=0.1, abs=1e-6)


def test_the_forward_drop_does_not_enter_the_static_law(shifted: Case) -> None:
    errors = [shifted.error("diode", {"is": 1e-3, "n": n}) for n in (0.1, 1.0, 10.0)]
    assert errors == pytest.approx([errors[0]] * 3, rel=1e-5)


def test_the_family_that_extends_another_is_one(tmp_path: Path) -> None:
    section = PAGE[PAGE.index("### Extending a family") :]
    (text,) = re.findall(r"^```toml\n((?:.*\n)*?)```$", section, re.M)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "family.toml").write_text(text)
    mine, bjt = read_family("mine", tmp_path), read_family("bjt")
    given = {"bf": 200.0, "vcc": 3.3}
    assert mine.values(Scale(), {}) == bjt.values(Scale(), given)
    assert (mine.supplies, mine.klu, mine.presets) == (bjt.supplies, bjt.klu, bjt.presets)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder of the page's example family."""
    family = tmp_path / "mine" / "pair"
    family.mkdir(parents=True)
    for kind, name, text in BLOCKS:
        if kind in ("toml", "jinja"):
            (family / name).write_text(text)
    assert {path.name for path in family.iterdir()} == {"family.toml", "models.j2", "tanh.j2"}
    return family.parent


def test_the_example_family_works(mine: Path) -> None:
    golden = ROOT / "golden" / "tanh-affine-layers" / "model.safetensors"
    good = kcompile.verify(golden, device="pair", pdk=mine, parameters={"beta": 1e6})
    assert good.verdict == "pass"
    bad = kcompile.verify(golden, device="pair", pdk=mine, parameters={"beta": 100.0})
    assert bad.verdict == "fail"


@pytest.mark.parametrize("law", ["tanh_diff", "tanh_affine"])
def test_the_example_familys_table_is_real(mine: Path, law: str) -> None:
    head, rows = "| beta ", re.findall(r"^\| (10+) +\| (\S+) +\| (\S+) +\|$", PAGE, re.M)
    assert head in PAGE
    network = case(law)
    for beta, diff, affine in rows[1:3]:
        found = kcompile.simulate(
            network.model, network.inputs, device="pair", pdk=mine,
            parameters={"beta": float(beta)},
        )  # fmt: skip
        error = np.abs(found.outputs - network.truth).max() / np.abs(network.truth).max()
        assert error == pytest.approx(float(diff if law == "tanh_diff" else affine), rel=0.1)


def test_a_mistake_in_a_family_is_the_line_that_the_page_shows(mine: Path, tmp_path: Path) -> None:
    template = mine / "pair" / "tanh.j2"
    template.write_text(template.read_text().replace("0 {{ tail }}", "0 {{ tial }}"))
    compiled = kcompile.compile(case("tanh_diff").model, device="pair", pdk=mine)
    with pytest.raises(PdkError) as caught:
        compiled.write(tmp_path / "deck", np.zeros(6))
    line = str(caught.value).removeprefix(f"{tmp_path}/")
    assert f"\nkcompile: {line}\n" in PAGE
