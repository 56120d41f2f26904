"""What the decks say: readable, plain, traceable, and the same at every scale and place."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import StorageError, UsageError
from kcompile.frontend.model import Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.units import Scale

X = np.array([0.5, -0.25])


def two_nodes(layers: int = 1, residual: int | None = None, fill: str = "zero") -> Model:
    edges = EdgeBatch("relu", [1, 2, 1], [2, 1, 0], [1.0, -2.0, 0.5], 1.0, -1.0, [0.1, 0.0, -0.3])
    phases = [Phase(2, 1.0 + k, (edges,), fill) for k in range(layers)]
    if residual is not None:
        phases[-1] = Phase(2, 1.0, (edges,), fill, residual)
    return Model(validate(Graph(tuple(phases), 2, [2, 1])), "shift_relu")


def deck(tmp_path, model=None, initial=X, **options):
    compiled = compile_model(model or two_nodes(), CompileOptions(**options))
    return compiled.write(tmp_path, initial)


def test_a_two_node_example_fits_a_screen(tmp_path):
    deck(tmp_path)
    text = (tmp_path / "layer1.cir").read_text()
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 200
    assert "C1 n1 0 1e-15 ic={x1}\n" in text
    assert "\n\n\n" not in text


def test_the_fig_5_circuit_of_each_sign(tmp_path):
    deck(tmp_path)
    text = (tmp_path / "layer1.cir").read_text()
    # w > 0: a conductance and a current source behind a switch.
    assert "R0 n1 m0 1.0\nI0 n1 m0 0.1\nS0 m0 n2 m0 n2 one_sided\n" in text
    # w < 0: the current flows from destination to source, controlled by source over destination.
    assert "G1 n1 m1 n2 n1 2.0\nI1 n1 m1 0.0\nV1 t1 n1 0.0\n" in text
    assert "S1f m1 n2 n2 t1 one_sided\nS1r m1 n1 t1 n2 one_sided\n" in text


def test_the_header_says_what_it_is_and_how_to_run_it(tmp_path):
    deck(tmp_path, scale=Scale(0.1, 1e-5, 1e-12))
    for name in ("run.cir", "layer1.cir"):
        text = (tmp_path / name).read_text()
        head = [line for line in text.splitlines() if line.startswith("*")]
        assert any(re.search("graph sha256 [0-9a-f]{64}$", line) for line in head)
        assert any("0.1 V, 1e-05 A, 1e-12 F" in line for line in head)
        assert any("2 nodes, 3 edges" in line for line in head)
        assert any(f"ngspice -b {name}" in line for line in head)


def test_numbers_are_plain_and_exact(tmp_path):
    w = [0.1 + 0.2, 1e22, 1e-300]
    edges = EdgeBatch("tanh", [1, 2, 1], [2, 1, 0], w, 1.0, -1.0, [1 / 3, -0.0, 5e-324])
    model = Model(validate(Graph((Phase(2, 1.0, (edges,)),), 2, [2])), "canonical_tanh")
    deck(tmp_path, model, device="ideal", opt_level=0)
    lines = (tmp_path / "layer1.cir").read_text().splitlines()
    rows = [line for line in lines if line.startswith("B")]
    found = [re.match(r"B(\d+) \S+ \S+ I=(\S+)\*tanh\((\S+)\+1\.0\*v\(", row) for row in rows]
    assert [float(m[2]) for m in found if m] == w
    assert [float(m[3]) for m in found if m] == [1 / 3, 0.0, 5e-324]


def test_tolerances_follow_the_units(tmp_path):
    def options(scale: Scale) -> dict[str, float]:
        deck(tmp_path, scale=scale, device="ideal")
        line = re.search(r"^\.options (.*)$", (tmp_path / "layer1.cir").read_text(), re.M)
        assert line is not None
        assert line[1].split()[0] == "klu"
        return {k: float(v) for k, v in (word.split("=") for word in line[1].split()[1:])}

    one, small = options(Scale()), options(Scale(0.1, 1e-5, 1e-12))
    assert small["chgtol"] == pytest.approx(one["chgtol"] * 0.1 * 1e-12 / 1e-15)
    assert small["vntol"] == pytest.approx(one["vntol"] * 0.1)
    assert small["abstol"] == pytest.approx(one["abstol"] * 1e-5)
    assert small["gmin"] == pytest.approx(one["gmin"] * 1e-5 / 0.1)
    assert small["reltol"] == one["reltol"] == 1e-6


def test_rectifiers_are_not_solved_with_fixed_pivots(tmp_path):
    for device, klu in (("ideal", True), ("switch", False), ("diode", False)):
        deck(tmp_path, device=device)
        assert (".options klu " in (tmp_path / "layer1.cir").read_text()) is klu


def test_inputs_stand_in_a_file_of_their_own(tmp_path):
    compiled = compile_model(two_nodes(), CompileOptions(scale=Scale(v0=0.1)))
    compiled.write(tmp_path, X)
    assert (tmp_path / "inputs.inc").read_text() == compiled.inputs_text(X)
    assert ".param x1=0.05\n.param x2=-0.025\n" in compiled.inputs_text(X)
    assert "0.05" not in (tmp_path / "layer1.cir").read_text()


def test_the_deck_digest_does_not_depend_on_inputs_or_place(tmp_path):
    first, second = deck(tmp_path / "a"), deck(tmp_path / "b", initial=2 * X)
    assert first.sha256 == second.sha256
    assert first.bytes == sum((tmp_path / "a" / f).stat().st_size for f in first.files[:-1])
    assert deck(tmp_path / "a", opt_level=2).sha256 != first.sha256


def test_hand_over_carries_repeats_and_adds(tmp_path):
    edges = EdgeBatch("relu", [1], [2], 1.0, 1.0, -1.0, 0.0)
    phases = (
        Phase(2, 1.0, (edges,)),
        Phase(5, 1.0, (edges,), "repeat"),
        Phase(3, 1.0, (edges,)),
        Phase(3, 1.0, (edges,), "zero", 2),
        Phase(4, 1.0, (edges,)),
    )
    model = Model(validate(Graph(phases, 2, [4])), "test")
    deck(tmp_path, model)
    run = (tmp_path / "run.cir").read_text()
    alters = [re.findall(r"alter c(\d) ic = h(\d)", part) for part in run.split("source")[1:]]
    assert alters == [
        [],
        [("1", "1"), ("2", "2"), ("3", "1"), ("4", "2"), ("5", "1")],
        [("1", "1"), ("2", "2"), ("3", "3")],
        [("1", "1"), ("2", "2"), ("3", "3")],
        [("1", "1"), ("2", "2"), ("3", "3")],
    ]
    assert "let h2 = n2[last] + tran3.h2\n" in run
    assert run.count("+ tran3.h") == 3


def test_merged_and_grouped_elements_can_be_traced(tmp_path):
    edges = EdgeBatch("relu", [1, 2, 1, 1], [2, 1, 2, 0], 1.0, 1.0, -1.0, [0.1, 0.1, 0.1, 0.2])
    model = Model(validate(Graph((Phase(2, 1.0, (edges,)),), 2, [2])), "shift_relu")
    deck(tmp_path, model, device="ideal", opt_level=2)
    trace = dict(
        line.split(": ") for line in (tmp_path / "layer1.trace").read_text().splitlines()[1:]
    )
    assert trace == {"p0_1_0": "3", "p0_2_1": "0 2 1"}
    text = (tmp_path / "layer1.cir").read_text()
    assert all(f"\nB{name} " in text for name in trace)


def test_a_new_netlist_leaves_nothing_of_the_old_one(tmp_path):
    deck(tmp_path, two_nodes(3))
    (tmp_path / "notes.txt").write_text("mine")
    deck(tmp_path, two_nodes(2), single_deck=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inputs.inc", "notes.txt", "run.cir"]


def test_gates_never_overlap_and_have_the_layers_area(tmp_path):
    deck(tmp_path, two_nodes(2), single_deck=True, scale=Scale(c0=1.0))
    points = re.findall(r"^Vg\d g\d 0 pwl\((.*)\)$", (tmp_path / "run.cir").read_text(), re.M)
    gates = [np.array(p.split(), dtype=float).reshape(-1, 2) for p in points]
    assert [np.trapezoid(g[:, 1], g[:, 0]) for g in gates] == pytest.approx([1.0, 2.0])
    assert gates[0][-1, 0] <= gates[1][gates[1][:, 1] > 0][0, 0]
    assert np.interp(gates[0][-1, 0], gates[1][:, 0], gates[1][:, 1]) == 0.0


def test_software_time_is_the_area_under_the_gate():
    model = two_nodes(2)
    compiled = compile_model(model, CompileOptions(scale=Scale(c0=2.0), single_deck=True))
    for plan, phase in zip(compiled.layers, model.graph.phases, strict=True):
        assert plan.software_time(np.array([plan.start, plan.end])) == pytest.approx(
            [0.0, phase.duration]
        )
        t = np.linspace(plan.start, plan.end, 200_001)
        gate = np.minimum(1.0, np.minimum(t - plan.start, plan.end - t) / plan.ramp)
        area = np.concatenate(([0.0], np.cumsum((gate[1:] + gate[:-1]) / 2 * np.diff(t)))) / 2.0
        np.testing.assert_allclose(plan.software_time(t), area, atol=1e-8)


@pytest.mark.parametrize(
    ("model", "message"),
    [(two_nodes(2, residual=0), "adds an earlier output")],
)
def test_a_single_deck_refuses_what_no_wire_can_do(model, message):
    with pytest.raises(UsageError, match=message):
        compile_model(model, CompileOptions(single_deck=True))


@pytest.mark.parametrize(
    ("sizes", "fill", "message"),
    [((1, 3), "repeat", "repeats voltages"), ((3, 2, 3), "zero", "left charged")],
)
def test_a_single_deck_refuses_growth_that_no_wire_can_do(sizes, fill, message):
    edges = EdgeBatch("relu", [1], [0], 1.0, 1.0, -1.0, 0.0)
    phases = tuple(Phase(n, 1.0, (edges,), fill) for n in sizes)
    model = Model(validate(Graph(phases, 1, [1])), "test")
    with pytest.raises(UsageError, match=message):
        compile_model(model, CompileOptions(single_deck=True))


def test_defaults_depend_on_law_and_size():
    note = compile_model(two_nodes()).note
    assert "switch at -O0" in note
    tanh = EdgeBatch("tanh", [1], [2], 1.0, 1.0, -1.0, 0.0)
    model = Model(validate(Graph((Phase(2, 1.0, (tanh,)),), 2, [2])), "tanh_diff")
    assert "ideal at -O2 (the law is not piecewise linear)" in compile_model(model).note
    big = EdgeBatch("relu", [1] * 20_001, [2] * 20_001, 1.0, 1.0, -1.0, np.arange(20_001))
    model = Model(validate(Graph((Phase(2, 1.0, (big,)),), 2, [2])), "shift_relu")
    assert "ideal at -O2 (more than 20000 edges)" in compile_model(model).note
    assert compile_model(two_nodes(), CompileOptions(opt_level=2)).device == "ideal"


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        deck(tmp_path / "file" / "deck")
