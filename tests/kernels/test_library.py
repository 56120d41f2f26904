"""Which suite runs, and what the kernel refuses to be handed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from installation import ROOT
from kernel_layers import some_case

from kcompile import kernels
from kcompile.errors import UsageError
from kcompile.ir import Phi
from kcompile.kernels import VARIABLE, Coefficients, CompiledLayer, Wiring, chosen, library, suites
from kcompile.kernels.library import suite


def test_the_widest_runs_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = suites()
    assert found[-1] == "baseline"
    assert chosen() == found[0]
    for name in found:
        monkeypatch.setenv(VARIABLE, name)
        functions = suite(np.float64)
        assert functions is not None
        assert functions.name == chosen() == name
    monkeypatch.setenv(VARIABLE, "")
    assert chosen() == found[0]


def test_none_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "none")
    assert chosen() is None
    assert suite(np.float32) is None
    with pytest.raises(UsageError, match="no compiled kernel; see 'kcompile doctor'"):
        some_case().compiled()


def test_a_name_that_no_suite_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sse9")
    with pytest.raises(UsageError, match=f"{VARIABLE}: no kernel 'sse9'; here run: .*, none"):
        chosen()


def test_a_library_that_cannot_be_loaded_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches a wheel for another system that makes every command fail."""

    def refuse(_path: str) -> None:
        raise OSError("no such symbol")

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    found, why = library._load.__wrapped__()
    assert found is None
    assert re.fullmatch(".*/libkcompile_kernels[.]so cannot be loaded: no such symbol", why)


def test_a_file_that_is_no_library_is_told_once_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "libkcompile_kernels.so"
    path.write_text("garbage")
    monkeypatch.setattr(kernels, "__path__", [str(tmp_path)])
    found, why = library._load.__wrapped__()
    assert found is None
    assert why is not None
    assert why.startswith(f"{path} cannot be loaded: ")
    assert why.count(str(path)) == 1
    monkeypatch.setattr(kernels, "__path__", [])
    assert library._load.__wrapped__() == (None, None)


def test_a_library_of_another_version_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches what an editable install leaves in place when only the sources are newer."""
    (tmp_path / "libkcompile_kernels.so").touch()
    monkeypatch.setattr(kernels, "__path__", [str(tmp_path)])
    monkeypatch.setattr(library.ctypes, "CDLL", lambda _path: SimpleNamespace(kcompile_suite=None))
    found, why = library._load.__wrapped__()
    assert found is None
    assert why == f"{tmp_path}/libkcompile_kernels.so is of another version of kcompile"


NO_ROOM = """
import resource
from pathlib import Path

import numpy as np

from kcompile.kernels import CompiledLayer, suites
from kcompile.kernels.library import suite

NODES, SAMPLES = 300_000, 33
v, out, grad = (np.zeros((NODES, SAMPLES), np.float32) for _ in range(3))
layers = [CompiledLayer(NODES, [], None, np.float32, suite(np.float32, s)) for s in suites()]
stages = layers[0].stages(SAMPLES, 1)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (16 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for layer in layers:
    for call in (
        lambda: layer.derivative(v, out),
        lambda: layer.pullback(v, grad, out),
        lambda: layer.rk4(v, 1.0, 1),
        lambda: layer.rk4(v, 1.0, 1, stages=stages),
        lambda: layer.rk4_pullback(stages, 1.0, 1, grad),
    ):
        try:
            call()
        except MemoryError as error:
            print(error)
print(len(layers))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_where_memory_ends_the_process_does_not() -> None:
    """Catches an exception that leaves C++ for C, which ends the process without a word."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *said, layers = done.stdout.splitlines()
    assert said == ["no room for a block of samples of 300000 nodes"] * 5 * int(layers)
    assert int(layers) >= 1


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((5, 3), np.float32),
        np.zeros((5, 3), np.int64),
        np.zeros((4, 3)),
        np.zeros((5, 4))[:, ::2],
        np.zeros((3, 5)).T,
        np.zeros(5),
    ],
)
def test_states_that_do_not_fit_are_refused(bad: Any) -> None:
    """Catches addresses handed to C that mean something else there."""
    case = some_case(nodes=5)
    layer = case.compiled()
    good, row = np.zeros((5, bad.shape[-1])), np.zeros(bad.shape[-1])
    stages = layer.stages(bad.shape[-1], 1)
    for call in (
        lambda: layer.derivative(bad, good),
        lambda: layer.derivative(good, bad),
        lambda: layer.pullback(bad, good, good),
        lambda: layer.pullback(good, bad, good),
        lambda: layer.pullback(good, good, bad),
        lambda: layer.rk4(bad, 1.0, 1),
        lambda: layer.rk4_pullback(stages, 1.0, 1, bad),
    ):
        with pytest.raises(UsageError, match="an array"):
            call()
    for wrong in (row[:0], row.astype(np.float32), np.zeros(2 * len(row))[::2]):
        if len(row) > 0:
            with pytest.raises(UsageError, match="an array"):
                layer.derivative(good, good.copy(), wrong)


def test_stages_of_fewer_steps_or_samples_are_refused() -> None:
    """Catches a solve that writes beyond the room it was given."""
    layer = some_case(nodes=5).compiled()
    v = np.zeros((5, 40))
    small, whole = layer.stages(40, 2), layer.stages(40, 3)
    for stages in (small, layer.stages(2, 3), whole.view(np.float32)[:9], whole[::2]):
        with pytest.raises(UsageError, match="stages"):
            layer.rk4(v, 1.0, 3, stages=stages)
        with pytest.raises(UsageError, match="stages"):
            layer.rk4_pullback(stages, 1.0, 3, v)
    layer.rk4(v, 1.0, 3, stages=layer.stages(8, 3), part=slice(8, 16))


def test_coefficients_that_do_not_fit_are_refused() -> None:
    wiring = Wiring(np.array([1, 2]), np.array([2, 0]), Phi.TANH)
    one = np.ones(1)
    for bad in (
        np.ones(3),
        np.ones(2, np.float32),
        np.ones(4)[::2],
        np.ones((2, 1)),
        np.array(1.0),
    ):
        for values in ([bad, one, one, one], [one, one, one, bad]):
            with pytest.raises(UsageError, match="an array"):
                CompiledLayer(2, [Coefficients(wiring, values)], None, np.float64)
    for bad in (np.zeros(1), np.zeros(2, np.float32), np.zeros(4)[::2]):
        edges = Coefficients(wiring, [one] * 4, [None, bad, None, None])
        with pytest.raises(UsageError, match="an array"):
            CompiledLayer(2, [edges], None, np.float64)
    with pytest.raises(UsageError, match="an array"):
        CompiledLayer(2, [], np.ones(3), np.float64)


def test_edges_that_end_nowhere_are_refused() -> None:
    with pytest.raises(UsageError, match="below 0"):
        Wiring(np.array([0]), np.array([-1]), Phi.RELU)
    wiring = Wiring(np.array([0]), np.array([3]), Phi.RELU)
    with pytest.raises(UsageError, match="node 3 of 2"):
        CompiledLayer(2, [Coefficients(wiring, [np.ones(1)] * 4)], None, np.float64)


def test_compilers_may_not_reorder_what_is_computed() -> None:
    """Sums that are added in another order on every machine are no one's results."""
    lines = (ROOT / "CMakeLists.txt").read_text().splitlines()
    code = "\n".join(line.partition("#")[0] for line in lines).lower()
    for flag in ("fast-math", "ofast", "associative-math", "unsafe-math", "march=native"):
        assert flag not in code
