"""Spectre netlists: what they say is the network, and the layers hand over what they should."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spectre
from checkpoints import write_network
from circuits import make_model
from commands import refused, run

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import PdkError, UsageError
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, Fill, Graph, Phase, Trace, derivative, hand_over, validate
from kcompile.netlist import to_pyspice
from kcompile.reference import solve, solve_schedule
from kcompile.resources import data_folder
from kcompile.timing import Timing
from kcompile.units import Scale

SCALE = Scale(0.1, 1e-5, 1e-12)
X = np.array([0.5, -0.25, 0.0])
FAKE = f"{shlex.quote(sys.executable)} {shlex.quote(spectre.__file__)}"


def compiled(model: Model, **options) -> Compiled:
    fields = {"scale": SCALE, "device": "veriloga", **options}
    return compile_model(model, CompileOptions(**fields))


def called(*command: object) -> subprocess.CompletedProcess[str]:
    """How a command ends for whom our stand-in is the simulator."""
    return subprocess.run(
        [*map(str, command)], env={**os.environ, "SPECTRE": FAKE}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip


def mixed(fill: Fill = Fill.ZERO) -> Model:
    """Three layers, of every nonlinearity, with a residual; the second one grows."""
    random = np.random.default_rng(3)
    phases = []
    for index, (count, residual) in enumerate(((2, None), (4, None), (4, 1))):
        batches = []
        for number, phi in enumerate(("relu", "tanh", "leaky_relu", "identity")):
            src, dst = random.integers(0, count + 1, (2, 5))
            w, a, b, c = 0.4 * random.normal(size=(4, 5))
            trace = Trace.identity(5, 5 * number)
            batches.append(EdgeBatch(phi, src, dst, w, a, b, c, trace=trace))
        phases.append(Phase(count, 0.5 + 0.1 * index, tuple(batches), fill, residual))
    return Model(validate(Graph(tuple(phases), 2, [3, 4])), "mixed")


TEXT = """\
// Layer 1 of 1: 2 nodes, 3 devices
// KirchhoffNet network: law shift_relu, 2 nodes, 3 edges, 1 layer
// graph sha256 SHA
// units: 0.1 V, 1e-05 A, 1e-12 F; one software time unit is 1e-08 s
// device family veriloga at -O0 (as asked for)
// Run it in this folder with `spectre layer1.scs`.

simulator lang=spectre
global 0
include "initial1.scs"
ahdl_include "kirchhoffnet.va"

// One capacitor a node; ic is its voltage at t = 0.
C1 (n1 0) capacitor c=1e-12 ic=x1
C2 (n2 0) capacitor c=1e-12 ic=0

// Edges.
E0 (n1 n2) kc_relu w=1e-05 a=10.0 b=-10.0 c=0.1
E1 (n2 n1) kc_relu w=-2e-05 a=10.0 b=-10.0 c=0.0
E2 (n1 0) kc_relu w=5e-06 a=10.0 b=-10.0 c=-0.3

tolerances options reltol=1e-06 vabstol=1e-10 iabstol=1e-14 gmin=1e-16
selection options save=selected
tran tran stop=1e-08 maxstep=5e-11 skipdc=yes method=trap relref=alllocal writefinal="layer1.fc"
save n1 n2
"""


def test_a_small_netlist_is_this_text(tmp_path: Path) -> None:
    edges = EdgeBatch("relu", [1, 2, 1], [2, 1, 0], [1.0, -2.0, 0.5], 1.0, -1.0, [0.1, 0.0, -0.3])
    model = Model(validate(Graph((Phase(2, 1.0, (edges,)),), 1, [2])), "shift_relu")
    written = compiled(model).write(tmp_path, np.array([0.5, 0.0]))
    text = (tmp_path / "layer1.scs").read_text()
    assert _rounded(re.sub("[0-9a-f]{64}", "SHA", text)) == TEXT
    given = "simulator lang=spectre\nparameters x1=0.05\n"
    assert (tmp_path / "initial1.scs").read_text().endswith(given)
    assert written.elements == {"C": 2, "E": 3}
    assert written.command == f"sh {tmp_path}/run.sh"
    assert written.inputs == "initial1.scs"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(written.files)


def _rounded(text: str) -> str:
    """Units are products: the last digit of a number is not the point here."""
    return re.sub(r"\d+\.?\d*e-\d\d|\d+\.\d{6,}", lambda m: f"{float(m[0]):.12g}", text)


def test_the_modules_are_the_same_for_every_network(tmp_path: Path) -> None:
    source = (data_folder("pdk") / "veriloga" / "kirchhoffnet.va").read_bytes()
    for name, model in (("a", make_model()), ("b", mixed())):
        written = compiled(model).write(tmp_path / name, X)
        assert "kirchhoffnet.va" in written.files
        assert (tmp_path / name / "kirchhoffnet.va").read_bytes() == source


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_layer_says_what_the_network_does(tmp_path: Path, level: int) -> None:
    model = mixed()
    built = compiled(model, opt_level=level)
    built.write(tmp_path, X)
    (tmp_path / "initial2.scs").write_text("parameters x1=0\nparameters x2=0\n")
    more = "".join(f"parameters x{node}=0\n" for node in range(1, 5))
    (tmp_path / "initial3.scs").write_text(more)
    random = np.random.default_rng(1)
    for index, phase in enumerate(model.graph.phases):
        netlist = spectre.read(tmp_path / f"layer{index + 1}.scs")
        names = [f"n{node}" for node in range(1, phase.nodes + 1)]
        assert netlist.included == ["kirchhoffnet.va"]
        assert netlist.saved == [e.nodes[0] for e in netlist.of("capacitor")] == names
        assert {node for e in netlist.edges for node in e.nodes} <= {"0", *names}
        assert len({e.name for e in netlist.instances}) == len(netlist.instances)
        if level == 0:
            assert len(netlist.edges) == phase.edges
        tran = netlist.statements["tran"]
        assert float(tran["stop"]) == pytest.approx(phase.duration * SCALE.time_unit)
        assert float(tran["maxstep"]) == pytest.approx(float(tran["stop"]) / 200)
        for v in random.normal(size=(5, phase.nodes)):
            volts = dict(zip(names, v * SCALE.v0, strict=True))
            found = np.array(list(spectre.derivative(netlist, volts).values()))
            unit = SCALE.v0 / SCALE.time_unit
            np.testing.assert_allclose(
                found / unit, derivative(model.graph, index, v), rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("fill", list(Fill))
def test_run_sh_hands_over_repeats_and_adds(tmp_path: Path, fill: Fill) -> None:
    model, folder = mixed(fill), tmp_path / "a deck"
    compiled(model).write(folder, X)
    done = called("sh", folder / "run.sh")
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^(n\d+) = (\S+)$", done.stdout, re.M))
    start = hand_over(X[:2], model.graph.phases[0])
    answer = solve(model.graph, start[None], 1e-7).outputs[0]
    assert list(said) == ["n3", "n4"]
    found = np.array(list(said.values()), dtype=float) / SCALE.v0
    np.testing.assert_allclose(found, answer, atol=2e-6)


def test_a_layer_does_not_start_before_the_one_before_it_ended(tmp_path: Path) -> None:
    compiled(mixed()).write(tmp_path, X)
    assert not (tmp_path / "initial2.scs").exists()
    script = (sys.executable, tmp_path / "hand_over.py")
    (tmp_path / "layer1.fc").write_text("# a comment\nn1\t0.5\n")
    done = called(*script, "1")
    assert done.stderr == "layer1.fc has no voltage of n2\n"
    assert done.returncode == 1
    done = called(*script, "4")
    assert "one of the layers 1..3" in done.stderr
    assert not (tmp_path / "initial2.scs").exists()


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_a_single_deck_gates_its_layers(tmp_path: Path, phi: str) -> None:
    model = make_model(phi=phi)
    written = compiled(model, single_deck=True).write(tmp_path, X)
    assert written.command == f"cd {tmp_path} && spectre run.scs"
    netlist = spectre.read(tmp_path / "run.scs")
    gates = [source.nodes[0] for source in netlist.of("vsource")]
    assert gates == ["g1", "g2"]
    assert {e.nodes[2] for e in netlist.edges} == set(gates)
    assert written.elements == {"C": 3, "E": len(netlist.edges), "V": 2}
    final = spectre.solve(netlist)
    answer = solve(model.graph, hand_over(X[:2], model.graph.phases[0])[None], 1e-7).outputs[0]
    found = np.array([final[f"n{node}"] for node in model.graph.outputs]) / SCALE.v0
    np.testing.assert_allclose(found, answer, atol=1e-4)


def test_a_single_deck_with_imperfect_timing(tmp_path: Path) -> None:
    """Gates a row, pulses and leaks: the netlist's own equations end where the ODE does."""
    model = make_model(phi="tanh")
    timing = Timing(rise=0.1, overlap=0.05, skew=0.03, charge=0.05, leak=0.1)
    written = compiled(model, single_deck=True, timing=timing).write(tmp_path, X)
    netlist = spectre.read(tmp_path / "run.scs")
    assert {e.nodes[2] for e in netlist.edges} <= {e.nodes[0] for e in netlist.of("vsource")}
    assert written.elements == {"C": 9, "E": len(netlist.edges), "R": 3, "V": 12}
    final = spectre.solve(netlist)
    start = hand_over(X[:2], model.graph.phases[0])[None]
    answer = solve_schedule(model.graph, timing, start, 1e-5).outputs[0]
    assert np.abs(answer - solve(model.graph, start, 1e-5).outputs[0]).max() > 0.01
    found = np.array([final[f"n{node}"] for node in model.graph.outputs]) / SCALE.v0
    np.testing.assert_allclose(found, answer, atol=1e-4)


def test_nothing_of_another_dialect_stays(tmp_path: Path) -> None:
    compiled(mixed()).write(tmp_path, X)
    (tmp_path / "layer1.fc").write_text("")
    spice = compiled(mixed(), device="ideal").write(tmp_path, X)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(spice.files)
    again = compiled(mixed()).write(tmp_path, X)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(again.files)


def test_the_digest_does_not_depend_on_the_inputs(tmp_path: Path) -> None:
    built = compiled(make_model())
    assert built.write(tmp_path / "a", X).sha256 == built.write(tmp_path / "b", 2 * X).sha256
    assert (tmp_path / "a" / "initial1.scs").read_text() == built.inputs_text(X)


def test_verify_and_pyspice_refuse_it_in_one_line(tmp_path: Path) -> None:
    write_network(tmp_path / "net.safetensors")
    said = refused(tmp_path, 2, "verify", "net.safetensors", "--device", "veriloga")
    assert said.startswith("--device: veriloga decks are for spectre, ngspice cannot simulate them")
    assert "kcompile netlist" in said
    with pytest.raises(UsageError, match="written for spectre"):
        to_pyspice(compiled(make_model()).circuit)


def test_netlist_says_how_to_run_it(tmp_path: Path) -> None:
    write_network(tmp_path / "net.safetensors")
    done = run("netlist", "net.safetensors", "--device", "veriloga", "-o", "d", cwd=tmp_path)
    assert done.status == 0, done
    assert done.stdout == "d: 5 files, 3 C, 24 E\nrun it: sh d/run.sh\n"
    assert "initial1.scs holds the first" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('dialect = "eldo"', "dialect 'eldo' is not one of ngspice, spectre"),
        ('files = ["../relu.j2"]', "no file ../relu.j2 beside it"),
        ('files = ["none.va"]', "no file none.va beside it"),
    ],
)
def test_a_bad_dialect_or_file_is_the_familys_fault(
    tmp_path: Path, line: str, message: str
) -> None:
    family = tmp_path / "mine"
    family.mkdir()
    (family / "family.toml").write_text(f'title = "t"\ndefault_level = 0\nforms = []\n{line}\n')
    with pytest.raises(PdkError, match=re.escape(message)):
        compiled(make_model(), device="mine", pdk=tmp_path)
