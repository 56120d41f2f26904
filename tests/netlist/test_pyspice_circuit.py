"""A layer as PySpice objects: the same circuit as the deck, element by element and in volts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from simulators import real_ngspice

import kcompile
from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import InputError, MissingExtra, SimulatorNotFound, UsageError
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.netlist import to_pyspice
from kcompile.simulation import Job, find_pyspice, run_job
from kcompile.units import Scale

SCALE = Scale(0.1, 1e-5, 1e-12)
V0 = np.array([0.5, -0.25, 0.0])


def compiled(device: str = "switch", phi: str = "relu", **options) -> Compiled:
    return compile_model(
        make_model(phi=phi), CompileOptions(scale=SCALE, device=device, opt_level=0, **options)
    )


@pytest.fixture(scope="session")
def installed() -> None:
    pytest.importorskip("PySpice", reason="PySpice is not installed")


def lines(text: str, first: str) -> list[str]:
    """Lines that begin with ``first``, each number and space written in one way, sorted."""

    def plain(word: str) -> str:
        try:
            return repr(float(word))
        except ValueError:
            return re.sub(r"^[IV]=", lambda found: found[0].lower(), word)

    found = re.findall(rf"^{first}.*$", text, re.M)
    return sorted(" ".join(map(plain, line.split())) for line in found)


def last_voltages(text: str, folder: Path) -> np.ndarray:
    folder.mkdir()
    (folder / "run.cir").write_text(text)
    duration = float(re.findall(r"^\.tran \S+ (\S+)", text, re.M)[0])
    job = Job("pyspice", folder, {}, {"run.raw": duration})
    result = run_job(real_ngspice(), job, timeout=60)
    assert result.ok, result.log_tail
    return result.waveforms["run.raw"].voltages(["n1", "n2", "n3"])[-1]


@pytest.mark.parametrize(
    ("device", "phi"),
    [("switch", "relu"), ("diode", "leaky_relu"), ("ideal", "tanh"), ("bjt", "tanh")],
)
@pytest.mark.usefixtures("installed")
def test_every_line_of_the_deck_is_an_element(device: str, phi: str, tmp_path: Path) -> None:
    circuit = compiled(device, phi)
    circuit.write(tmp_path, V0)
    built = circuit.to_pyspice(1, V0)
    text, layer = str(built), (tmp_path / "layer1.cir").read_text()
    assert lines(text, "[BDFGIQRSV]") == lines(layer, "[BDFGIQRSV]")
    # PySpice writes a model's parameters in brackets, in alphabetical order.
    models = [
        sorted(line.replace("(", "").replace(")", "").split())
        for source in (text, layer)
        for line in lines(source, r"\.model")
    ]
    assert models[: len(models) // 2] == models[len(models) // 2 :]
    assert lines(text, r"\.options") == lines(layer, r"\.options")
    # Objects, not text: each is found by its name, and nothing but options and comments is raw.
    letters = Counter(element.name[0] for element in built.elements)
    assert letters == Counter(line[0] for line in lines(layer, "[A-Z]"))
    assert all(line[0] in "*." for line in built.raw_spice.splitlines())
    assert [built.element(f"C{k}").initial_condition for k in (1, 2, 3)] == [0.05, -0.025, 0.0]


@pytest.mark.parametrize("device", ["switch", "diode", "ideal", "bjt"])
@pytest.mark.usefixtures("installed")
def test_ngspice_gets_the_same_voltages_from_it(device: str, tmp_path: Path) -> None:
    circuit = compiled(device, "tanh" if device == "bjt" else "relu")
    ours = kcompile.simulate(circuit, V0[:2], ngspice=real_ngspice().path)
    voltages = V0
    for number, layer in enumerate(circuit.circuit.layers, 1):
        step = layer.duration / circuit.circuit.steps
        script = ".control\nset filetype=binary\nrun\nwrite run.raw\nquit\n.endc\n.end\n"
        text = f"{circuit.to_pyspice(number, voltages)}.tran {step} {layer.duration} 0 {step} uic\n"
        volts = last_voltages(text + script, tmp_path / f"layer{number}")
        waves = ours.results[0].waveforms[f"layer{number}.raw"]
        expected = waves.voltages(["n1", "n2", "n3"])[-1]
        # Elements stand in another order, which changes last digits of solutions.
        np.testing.assert_allclose(volts, expected, rtol=0, atol=1e-8)
        voltages = expected / SCALE.v0


TRANSIENT = """\
import json, sys
sys.path.insert(0, sys.argv[1])
from circuits import make_model
import kcompile
circuit = kcompile.compile(make_model(), scale=kcompile.Scale(0.1, 1e-5, 1e-12), opt_level=0)
built = kcompile.pyspice_circuit(circuit, inputs=[0.5, -0.25])
layer = circuit.circuit.layers[0]
step = layer.duration / circuit.circuit.steps
analysis = built.simulator().transient(
    step_time=step, end_time=layer.duration, max_time=step, use_initial_condition=True
)
print(json.dumps([float(analysis[node][-1]) for node in ("n1", "n2", "n3")]), flush=True)
"""


@pytest.mark.usefixtures("installed")
def test_pyspice_simulates_it() -> None:
    """In a process of its own: libngspice may crash when it is unloaded."""
    try:
        library = find_pyspice().path
    except SimulatorNotFound as error:
        pytest.skip(str(error))
    chosen = real_ngspice().path
    ours = kcompile.simulate(make_model(), V0[:2], scale=SCALE, opt_level=0, ngspice=chosen)
    support = Path(__file__).resolve().parents[1] / "support"
    done = subprocess.run(
        [sys.executable, "-c", TRANSIENT, str(support)],
        env={**os.environ, "NGSPICE_LIBRARY_PATH": library},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    waves = ours.results[0].waveforms["layer1.raw"]
    theirs = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(theirs, waves.voltages(["n1", "n2", "n3"])[-1], rtol=0, atol=1e-7)


@pytest.mark.usefixtures("installed")
def test_what_has_no_pyspice_element_is_kept_as_it_is(tmp_path: Path) -> None:
    family = tmp_path / "mine"
    family.mkdir()
    (family / "models.j2").write_text(
        "* a comment\n.subckt cell a b k=1\nR1 a b {1/k}\n.ends\n.include models.lib\n"
    )
    (family / "row.j2").write_text(
        "X{{ e }} {{ p }}\n+ {{ q }} cell k=2\nI{{ e }} {{ p }} {{ q }} pwl(0 0 1 1)\n"
        "R{{ e }} {{ p }} {{ q }} 1k\nD{{ e }} {{ p }} {{ q }} dx area=2\n"
        "R{{ e }}s {{ p }} {{ q }} {{ r }}\n"
    )
    (family / "family.toml").write_text(
        'title = "mine"\ndefault_level = 0\n[[forms]]\ntemplate = "row.j2"\nphi = ["relu"]\n'
        'control = "diff"\n'
    )
    edges = EdgeBatch("relu", [1, 2], [2, 0], 0.5, 1.0, -1.0, 0.25)
    model = Model(validate(Graph((Phase(2, 1.0, (edges,)),), 2, [2])), "test")
    built = compile_model(model, CompileOptions(device="mine", pdk=tmp_path)).to_pyspice()
    raw = built.raw_spice
    assert ".subckt cell a b k=1\nR1 a b {1/k}\n.ends\n.include models.lib\n" in raw
    for edge, ends in enumerate(("n1{}n2", "n2{}0")):
        assert f"\nX{edge} {ends.format(chr(10) + '+ ')} cell k=2\n" in raw
        plain = ends.format(" ")
        assert f"\nI{edge} {plain} pwl(0 0 1 1)\n" in raw
        assert f"\nR{edge} {plain} 1k\n" in raw
        assert f"\nD{edge} {plain} dx area=2\n" in raw
    assert [element.name for element in built.elements] == ["C1", "C2", "R0s", "R1s"]


@pytest.mark.usefixtures("installed")
def test_inputs_start_the_first_layer_and_voltages_a_later_one() -> None:
    circuit = compiled()
    first = kcompile.pyspice_circuit(circuit, inputs=[0.5, -0.25])
    assert str(first) == str(circuit.to_pyspice(1, V0))
    later = kcompile.pyspice_circuit(circuit, 2, inputs=[1.0, 2.0, 3.0])
    starts = [later.element(f"C{k}").initial_condition for k in (1, 2, 3)]
    assert starts == pytest.approx([0.1, 0.2, 0.3])
    assert "ic=0.0" in str(kcompile.pyspice_circuit(circuit, 2))


@pytest.mark.usefixtures("installed")
def test_a_name_cannot_write_netlist_lines() -> None:
    circuit = compiled()
    evil = replace(circuit.circuit, header=("a\nR9 n1 0 1", "b\r\n.include /etc/passwd"))
    text = str(to_pyspice(evil))
    assert "\nR9" not in text
    assert "\n.include" not in text
    assert text.startswith(".title a?R9 n1 0 1, layer 1 of 2\n")


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_a_layer_that_is_not_there(layer: int) -> None:
    with pytest.raises(UsageError, match=r"layers: 1\.\.2"):
        compiled().to_pyspice(layer)


def test_voltages_that_do_not_fit() -> None:
    for bad in ([1.0], [1.0, 2.0, np.nan], [[1.0, 2.0, 3.0]]):
        with pytest.raises(InputError, match="give 3 finite numbers"):
            compiled().to_pyspice(2, bad)


def test_a_single_deck_has_no_layer_of_its_own() -> None:
    with pytest.raises(UsageError, match="single_deck"):
        compiled(single_deck=True).to_pyspice()


def test_without_pyspice_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PySpice", None)
    for name in [name for name in sys.modules if name.startswith("PySpice.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"pip install 'kcompile\[pyspice\]'") as caught:
        compiled().to_pyspice()
    assert caught.value.exit_status == 2
