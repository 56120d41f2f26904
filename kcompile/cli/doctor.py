"""``kcompile doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import FILE, json_option

if TYPE_CHECKING:
    from kcompile.simulation import Ngspice

_PACKAGES = (
    ("numpy", ""),
    ("scipy", ""),
    ("safetensors", ""),
    ("matplotlib", ""),
    ("networkx", ""),
    ("torch", "published checkpoints and training: pip install 'kcompile[torch]'"),
    ("torchdiffeq", "training: pip install 'kcompile[train]'"),
    ("scikit-learn", "the training data: pip install 'kcompile[train]'"),
    ("PySpice", "--simulator pyspice: pip install 'kcompile[pyspice]'"),
)


@click.command()
@click.option("--ngspice", type=FILE, help="Which ngspice to look at.")
@json_option
def doctor(*, ngspice: Path | None, json_file: Path | None) -> None:
    """Says which simulator runs, which versions there are, what is missing and how to get it."""
    import platform

    from kcompile import __version__
    from kcompile.errors import SimulatorError
    from kcompile.files import write_json
    from kcompile.lower import family_names, preset_names
    from kcompile.resources import data_folder
    from kcompile.simulation import find_ngspice

    rows = [("kcompile", __version__, str(Path(__file__).resolve().parents[1]))]
    rows.append(("python", platform.python_version(), ""))
    for name, use in _PACKAGES:
        try:
            rows.append((name, metadata.version(name), ""))
        except metadata.PackageNotFoundError:
            rows.append((name, "missing", use))
    rows.append(("compiled kernel", *_kernel()))
    rows.append(("device families", ", ".join(family_names()), str(data_folder("pdk"))))
    rows.append(("presets", ", ".join(preset_names()), "--device FAMILY:PRESET"))
    missing: SimulatorError | None = None
    simulator: Ngspice | None = None
    try:
        simulator = find_ngspice(ngspice)
        features = ", ".join(sorted(simulator.features)) or "no optional features"
        rows.append(("ngspice", f"{simulator.version} ({features})", str(simulator.path)))
    except SimulatorError as error:
        missing = error
        rows.append(("ngspice", "missing", "make ngspice, or your system's package manager"))
    rows.append(("compiled devices", *_devices(simulator)))
    found = table("what", "version", "where, or what it is for")
    found.columns[1].no_wrap, found.columns[1].max_width = False, 36  # there are many families
    for row in rows:
        found.add_row(*row)
    console().print(found)
    if json_file is not None:
        write_json(json_file, {name: {"version": v, "note": note} for name, v, note in rows})
    if missing is not None:
        raise missing


def _kernel() -> tuple[str, str]:
    """Which of the compiled kernel's suites run on this processor, and which one does."""
    from kcompile.errors import UsageError
    from kcompile.kernels import VARIABLE, chosen, failure, suites, workers

    found = suites()
    if not found:
        if (why := failure()) is not None:
            return "bad", f"{why}; install kcompile again, on this machine"
        how = "a faster training: install a C++ compiler (g++ 12, clang++), then kcompile again"
        return "missing", how
    here = f"here run: {', '.join(found)}"
    try:
        workers()
        return chosen() or "none", f"{here} ({VARIABLE} names another)"
    except UsageError as error:
        return "bad", f"{error.where}: {error.message}; {error.hint}"


def _devices(simulator: Ngspice | None) -> tuple[str, str]:
    """Whether the devices that ngspice loads were built, and which of them it does load."""
    from kcompile.devices import library
    from kcompile.verification.circuits import LAYER_VERSION

    path = library()
    if path is None:
        return "missing", "native families: install a C compiler (gcc, clang), then kcompile again"
    if simulator is None:
        return "built", str(path)
    name = f"ngspice {simulator.version}"
    if "osdi" not in simulator.features:
        return "built", f"but {name} loads none (no OSDI): make ngspice"
    if simulator.version < LAYER_VERSION:
        return "built", f"{name} loads native-pair and native-edge; native: make ngspice"
    return "built", f"{name} loads them"
