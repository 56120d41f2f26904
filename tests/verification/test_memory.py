"""A verification that will not fit into memory is refused before it starts, with what would fit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_network
from circuits import make_model
from commands import run

import kcompile
from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.estimate import FAMILIES, compiling, simulating, verifying
from kcompile.frontend import Model
from kcompile.frontend.topology import Neighbourhood
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.machine import available_memory
from kcompile.passes import Approximation, VoltageRange, optimise
from kcompile.verification import verify_model
from kcompile.verification.memory import Workers, check_compiling, check_simulating

MEGABYTE = 1e6


def image(phi: str = "relu", side: int = 28) -> Model:
    """A layer of 50,240 edges at 28 x 28 pixels, of the shape whose figures were measured."""
    src, dst = Neighbourhood(1, side, side, 3).edges()
    pixels = np.arange(1, side * side + 1)
    ground = np.zeros_like(pixels)
    src, dst = np.concatenate([src, pixels, ground]), np.concatenate([dst, ground, pixels])
    c = np.random.default_rng(0).normal(size=len(src))
    edges = EdgeBatch(phi, src, dst, 0.1, 1.0, -1.0, c)
    graph = Graph((Phase(side * side, 1.0, (edges,)),), side * side, [1])
    return Model(validate(graph), phi)


@pytest.mark.parametrize(
    ("phi", "device", "level", "megabytes", "seconds"),
    [
        ("relu", "ideal", 0, 210, 34),
        ("tanh", "ideal", 0, 246, 59),
        ("tanh", "ideal", 3, 95, 6.1),
        ("relu", "ideal", 2, 53, 5.3),
        ("relu", "native", 2, 25, 1.23),
        ("tanh", "native", 2, 25, 1.46),
        ("tanh", "native", 3, 31, 1.08),
        ("relu", "native-pair", 2, 33, 1.68),
        ("tanh", "native-pair", 2, 33, 2.32),
        ("tanh", "native-pair", 3, 39, 1.47),
        ("relu", "native-edge", 0, 84, 3.67),
    ],
)
def test_estimates_are_near_what_was_measured(
    phi: str, device: str, level: int, megabytes: float, seconds: float
) -> None:
    graph, _ = optimise(image(phi).graph, min(level, 2))
    found = simulating(graph, device, level)
    assert found is not None
    assert found.memory_bytes / MEGABYTE == pytest.approx(megabytes, rel=0.25)
    assert 0.5 < found.seconds / seconds < 2.0


def test_estimates_count_the_devices_that_there_are() -> None:
    for phi, families in (("relu", FAMILIES), ("tanh", ("ideal", "native-pair", "bjt"))):
        for device in families:
            for level in (0, 2):
                model = make_model(phi=phi, nodes=(4, 5))
                compiled = compile_model(model, CompileOptions(device=device, opt_level=level))
                found = simulating(compiled.graph, device, level)
                assert found is not None
                rows = sum(layer.devices for layer in compiled.circuit.layers)
                assert found.devices == rows, (phi, device, level)


def test_before_the_passes_the_same_devices_are_expected() -> None:
    graph = image().graph
    compiled, _ = optimise(graph, 2)
    assert simulating(graph, "ideal", 2) == simulating(compiled, "ideal", 2)


def test_tables_that_approximate_are_expected_before_voltages_are_known() -> None:
    """Edges that are left out, or keep their sources, are not: there may be fewer tables."""
    model = image("tanh", side=5)
    for device in ("ideal", "native", "native-pair"):
        compiled = kcompile.compile(model, device=device, opt_level=3)
        before = simulating(model.graph, device, 3)
        after = simulating(compiled.graph, device, 2)
        assert before is not None
        assert after is not None
        rows = sum(layer.devices for layer in compiled.circuit.layers)
        assert rows == after.devices
        assert 0.9 < before.devices / after.devices < 1.3
        assert 0.5 < before.memory_bytes / after.memory_bytes < 2.0


def test_edges_that_kept_their_sources_at_the_last_level_are_counted_as_such() -> None:
    """A bound so tight that no table pays."""
    model = make_model(phi="tanh", nodes=(4,))
    ranges = (VoltageRange(np.full(4, -1.0), np.full(4, 1.0)),)
    options = CompileOptions(opt_level=3, approximation=Approximation(ranges, 1e-14))
    compiled = compile_model(model, options)
    literal = compile_model(model, CompileOptions(opt_level=2))
    assert compiled.circuit.layers[0].devices == literal.circuit.layers[0].devices
    most = needed(literal, "ideal", 1)
    check_simulating(compiled, Workers(1, "ideal"), most)
    with pytest.raises(UsageError, match="for one simulator"):
        check_simulating(compiled, Workers(1, "ideal"), most - 1)


def test_nothing_is_said_of_what_is_unknown() -> None:
    assert simulating(image("tanh").graph, "switch", 0) is None
    assert simulating(image().graph, "mine", 0) is None
    assert simulating(image().graph, "mine:fast", 0) is None
    assert simulating(image().graph, "veriloga", 0) is None


def test_a_preset_takes_what_its_family_takes() -> None:
    graph = make_model(phi="relu", nodes=(4,)).graph
    preset, family = simulating(graph, "diode:1n4148", 0), simulating(graph, "diode", 0)
    assert preset is not None
    assert preset == family


def built(device: str, level: int) -> Compiled:
    return compile_model(image(), CompileOptions(device=device, opt_level=level))


def needed(compiled: Compiled, device: str, count: int) -> float:
    found = simulating(compiled.graph, device, compiled.opt_level)
    assert found is not None
    return verifying(compiled.graph) + count * found.memory_bytes


def test_two_simulators_where_one_fits() -> None:
    compiled, workers = built("ideal", 2), Workers(2, "ideal")
    both, one = needed(compiled, "ideal", 2), needed(compiled, "ideal", 1)
    check_simulating(compiled, workers, both)
    check_simulating(compiled, workers, None)
    said = rf"^verify: about {both / 1e6:.3g} MB of memory are needed for 2 simulators, "
    with pytest.raises(UsageError, match=said) as caught:
        check_simulating(compiled, workers, both - 1)
    assert caught.value.hint == f"--jobs 1 takes about {one / 1e6:.3g} MB, or --force it"
    assert caught.value.exit_status == 2


def test_where_none_fits_a_smaller_circuit_is_named() -> None:
    compiled, workers = built("ideal", 0), Workers(2, "ideal")
    room = needed(compiled, "ideal", 1) - 1
    with pytest.raises(UsageError, match="--device native --jobs 1 takes about"):
        check_simulating(compiled, workers, room)
    with pytest.raises(UsageError, match="take a machine with more, or --force it"):
        check_simulating(compiled, workers, 1e6)
    check_simulating(built("native", 2), Workers(2, "native"), room)


def test_faster_devices_for_many_samples_count_instead() -> None:
    compiled = built("ideal", 0)
    one = needed(compiled, "ideal", 1)
    check_simulating(compiled, Workers(4, "native"), one)
    with pytest.raises(UsageError, match="for 4 simulators"):
        check_simulating(compiled, Workers(4, "native"), one - 1)


def test_compiling_counts_too() -> None:
    graph = image().graph
    most = compiling(graph).memory_bytes + verifying(graph)
    check_compiling(graph, most)
    with pytest.raises(UsageError, match="needed to compile and solve it, .* are available"):
        check_compiling(graph, most - 1)


def test_the_command_refuses_unless_it_is_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ngspice
) -> None:
    from kcompile.verification import run as verification

    path, inputs = write_network(tmp_path / "net.safetensors"), tmp_path / "x.npy"
    np.save(inputs, np.zeros((8, 2)))
    arguments = ("verify", path, "--inputs", inputs, "--jobs", 8)
    monkeypatch.setattr(verification, "available_memory", lambda: 80_000_000)
    done = run(*arguments)
    assert done.status == 2
    assert done.complaint.startswith("verify: about 1")
    assert re.search(
        "80 MB are available; --jobs 1 takes about 16.* MB, or --force it$", done.complaint
    )
    assert done.stdout == ""
    assert run(*arguments, "--force").status == 0
    assert run(*arguments, "--samples", 2).status == 0
    monkeypatch.setattr(verification, "available_memory", lambda: None)
    assert verify_model(make_model(), samples=1, jobs=8).verdict == "pass"


def machine(top: Path, meminfo: str, groups: str = "", **files: dict[str, str]) -> Path:
    (top / "proc/self").mkdir(parents=True)
    (top / "proc/meminfo").write_text(meminfo)
    (top / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        folder = top / "sys/fs/cgroup" / name.replace("_", "/").removeprefix("root")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in content.items():
            (folder / file).write_text(text)
    return top


MEMINFO = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n"


def test_the_kernel_says_what_is_available(tmp_path: Path) -> None:
    assert available_memory(machine(tmp_path, MEMINFO)) == 8_192_000_000


def test_a_control_group_may_have_less(tmp_path: Path) -> None:
    group = {
        "memory.max": "3000000000\n",
        "memory.current": "2500000000\n",
        "memory.stat": "anon 1\ninactive_file 400000000\n",
    }
    root = machine(tmp_path, MEMINFO, "0::/box/job\n", box=group, box_job={"memory.max": "max\n"})
    assert available_memory(root) == 900_000_000


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    group = {"memory.max": "2000000000", "memory.current": "500000000"}
    root = machine(tmp_path, MEMINFO, "0::/docker/of-the-host\n", root=group)
    assert available_memory(root) == 1_500_000_000


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    group = {
        "memory.limit_in_bytes": "1000000000",
        "memory.usage_in_bytes": "700000000",
        "memory.stat": "total_inactive_file 100000000\n",
    }
    root = machine(tmp_path, MEMINFO, "5:cpu:/x\n4:memory:/x\n", memory_x=group)
    assert available_memory(root) == 400_000_000


def test_without_proc_somebody_else_is_asked(tmp_path: Path) -> None:
    found = available_memory(tmp_path)
    assert found is None or found > 0
