"""The public names, and that each is what it should be, whatever was imported before."""

from __future__ import annotations

import json
import subprocess
import sys

import kcompile

FUNCTIONS = {
    "compile", "evaluate", "inspect", "load", "montecarlo", "plan", "pyspice_circuit", "sample",
    "simulate", "sweep", "verify", "write_netlist",
}  # fmt: skip
CLASSES = {
    "CircuitPlan", "CompileOptions", "Compiled", "KcompileError", "Limits", "Model", "NoiseModel",
    "Report", "Scale", "Simulation", "Timing",
}  # fmt: skip

# Imports every module of the package, then says what kind of thing each public name is. A module
# that bears the name of a function would have taken its place. The compiled kernel's library looks
# like a module and is none.
AFTER_ALL_MODULES = """\
import importlib, json, pkgutil, sys
import kcompile
for module in pkgutil.walk_packages(kcompile.__path__, "kcompile."):
    if not module.name.endswith(("pyspice_child", "libkcompile_kernels", "libkcompile_devices")):
        importlib.import_module(module.name)
kinds = {name: type(getattr(kcompile, name)).__name__ for name in kcompile.__all__}
json.dump({"kinds": kinds, "imported": sorted(sys.modules)}, sys.stdout)
"""


def test_these_are_the_public_names() -> None:
    assert set(kcompile.__all__) == FUNCTIONS | CLASSES | {"__version__"}
    assert list(kcompile.__all__) == sorted(kcompile.__all__)


def test_no_module_hides_one_of_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AFTER_ALL_MODULES],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"kcompile.netlist", "kcompile.cli.netlist", "kcompile.verification.run"} <= set(
        told["imported"]
    )
    expected = dict.fromkeys(FUNCTIONS, "function") | dict.fromkeys(CLASSES, "type")
    assert told["kinds"] == expected | {"__version__": "str"}


def test_the_package_of_decks_is_a_package() -> None:
    import kcompile.netlist

    assert kcompile.netlist.to_pyspice.__module__ == "kcompile.netlist.pyspice"
    assert callable(kcompile.write_netlist)
