"""Gates of single decks: a perfect timing changes no byte, a skewed one gates row by row."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from graphs import graphs
from hypothesis import given
from hypothesis import strategies as st
from simulators import built_devices

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.ir import EdgeBatch, Graph, derivative
from kcompile.passes import optimise
from kcompile.timing import Timing
from kcompile.units import Scale

FAMILIES = ("ideal", "switch", "diode", "veriloga", "native", "native-pair", "native-edge")
SCALE = Scale(0.1, 1e-5, 1e-12)


def compiled(device: str, level: int = 0, timing: Timing | None = None) -> Compiled:
    if device.startswith("native"):
        built_devices()
    options = CompileOptions(SCALE, device, level, single_deck=True, timing=timing)
    return compile_model(make_model(nodes=(3, 4)), options)


def written(circuit: Compiled, folder: Path) -> dict[str, bytes]:
    circuit.write(folder, np.zeros(2))
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".osdi"}


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("device", FAMILIES)
def test_a_perfect_timing_changes_no_byte(device: str, level: int, tmp_path: Path) -> None:
    plain = written(compiled(device, level), tmp_path / "plain")
    zero = Timing(rise=0.0, dead=0.0, overlap=0.0, late=0.0, skew=0.0, charge=0.0, seed=7)
    assert written(compiled(device, level, zero), tmp_path / "zero") == plain


@pytest.mark.parametrize("device", FAMILIES)
def test_a_skewed_deck_has_a_gate_for_each_row(device: str, tmp_path: Path) -> None:
    """All gates that elements name are there, with corners that give the layer's duration."""
    circuit = compiled(device, timing=Timing(skew=0.01, rise=0.1))
    files = written(circuit, tmp_path)
    text = files["run.scs" if device == "veriloga" else "run.cir"].decode()
    sources = re.findall(r"^V(g\d+_\d+) \(?(g\d+_\d+) 0.*(?:pwl\(|wave=\[)(.*)[)\]]$", text, re.M)
    assert [name for name, _, _ in sources] == [node for _, node, _ in sources]
    assert len(sources) == 3 + 4
    seconds = {1: 0.6 * SCALE.time_unit, 2: 0.8 * SCALE.time_unit}
    for name, _, points in sources:
        numbers = [float(word) for word in points.split()]
        area = np.trapezoid(numbers[1::2], numbers[::2])
        assert area == pytest.approx(seconds[int(name[1])], rel=1e-9)
    named = set(re.findall(r"g\d+_\d+", re.sub(r"^V.*$", "", text, flags=re.M)))
    assert named == {name for name, _, _ in sources}


def test_each_edge_is_gated_by_the_row_of_its_higher_node(tmp_path: Path) -> None:
    text = written(compiled("ideal", timing=Timing(skew=0.01)), tmp_path)["run.cir"].decode()
    lines = re.findall(r"^B(\d)_\d+ (n?\d+) (n?\d+) I=v\((g\d_\d)\)", text, re.M)
    assert len(lines) == 12 + 20
    for layer, src, dst, gate in lines:
        high = max(int(src.strip("n")), int(dst.strip("n")))
        assert gate == f"g{layer}_{high}"


@given(graphs(), st.data())
def test_passes_leave_every_row_its_currents(graph: Graph, data: st.DataObject) -> None:
    """What a row's gate multiplies must not depend on -O: edges are turned round and joined."""
    joined, _ = optimise(graph, 2)
    for k, phase in enumerate(graph.phases):
        v = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=phase.nodes,
                                        max_size=phase.nodes)))  # fmt: skip
        for row in range(1, phase.nodes + 1):
            one, other = (derivative(only_row(each, k, row), k, v) for each in (graph, joined))
            np.testing.assert_allclose(one, other, atol=1e-9)


def only_row(graph: Graph, index: int, row: int) -> Graph:
    def kept(batch: EdgeBatch) -> EdgeBatch:
        return batch.take(np.flatnonzero(np.maximum(batch.src, batch.dst) == row))

    phases = [*graph.phases]
    phases[index] = phases[index].with_batches(tuple(kept(b) for b in phases[index].batches))
    return graph.with_phases(tuple(phases))


def test_charge_and_leak_are_told_in_the_units_of_the_circuit(tmp_path: Path) -> None:
    circuit = compiled("ideal", timing=Timing(charge=0.01, leak=0.02, rise=0.1))
    text = written(circuit, tmp_path)["run.cir"].decode()
    pulses = re.findall(r"^Vq(\d)_(\d) q\1_\2 0 pwl\((.*)\)\nCq\1_\2 q\1_\2 n\2 (.*)$", text, re.M)
    assert [(layer, node) for layer, node, _, _ in pulses] == [
        *(("1", str(n)) for n in (1, 2, 3)), *(("2", str(n)) for n in (1, 2, 3, 4)),
    ]  # fmt: skip
    for layer, _, points, farads in pulses:
        numbers = [float(word) for word in points.split()]
        charge = float(farads) * numbers[-1]
        assert charge == pytest.approx(0.01 * SCALE.c0 * SCALE.v0, rel=1e-9)
        assert float(farads) < 1e-5 * SCALE.c0
        gate = re.search(rf"^Vg{layer} .*pwl\((.*)\)$", text, re.M)
        assert gate is not None
        # From where the gate begins to close until it is closed.
        assert [float(gate[1].split()[k]) for k in (-4, -2)] == numbers[2:5:2]
    leaks = re.findall(r"^Rleak(\d) n(\d) 0 (.*)$", text, re.M)
    assert [node for node, _, _ in leaks] == ["1", "2", "3", "4"]
    assert {float(ohm) for _, _, ohm in leaks} == {SCALE.resistance_unit / 0.02}


def test_a_header_says_the_timing(tmp_path: Path) -> None:
    text = written(compiled("ideal", timing=Timing(overlap=0.01)), tmp_path)["run.cir"].decode()
    assert "* timing: overlap 0.01 (times: fractions of the shortest layer)\n" in text
    assert "no two gates are up together" not in text


def test_layers_of_their_own_have_no_timing() -> None:
    options = CompileOptions(device="ideal", timing=Timing(dead=0.1))
    with pytest.raises(UsageError, match="--timing: .*add --single-deck"):
        compile_model(make_model(), options)
    compile_model(make_model(), CompileOptions(device="ideal", timing=Timing()))
