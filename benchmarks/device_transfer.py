"""DC transfer of a device family's edge against its parameters: ``docs/device-tables.md``.

``python -m benchmarks.device_transfer`` sweeps the parameters of ``bjt`` and prints the tables in
Markdown; ``--device diode:ic --phi relu --sweep n=0.5,1,2`` sweeps another family's, and
``--picture FILE`` draws the curves. One edge ``phi(v_s - v_d)`` between two voltage sources is
compiled as ``kcompile netlist`` does, then ngspice steps the argument by ``.dc`` over -2..2. The
error is the largest difference of the current into the destination (``d``), or out of the source
(``s``), from the law, in i0.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import KcompileError, SimulationFailed
from kcompile.files import written
from kcompile.frontend import Model
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, Phi, validate
from kcompile.lower import read_family
from kcompile.pictures import STYLE
from kcompile.simulation import find_ngspice
from kcompile.units import Scale

SCALE = Scale(0.1, 1e-5, 1e-12)
"""0.1 V and 10 uA: twice the argument is four thermal voltages, at the base of a transistor."""
LIMIT, STEP = 2.0, 0.05
TEMPERATURE = "temperature"
"""Not a family's parameter, but swept like one: degrees Celsius."""


@dataclass(frozen=True)
class Curve:
    """The currents of an edge ``phi(x)`` of weight 1.

    Args:
        x: ``float64[P]``, the argument.
        law: ``float64[P]``, what the current should be, i0.
        source: ``float64[P]``, the current out of the source, i0.
        destination: ``float64[P]``, the current into the destination, i0.
    """

    x: FloatArray
    law: FloatArray
    source: FloatArray
    destination: FloatArray

    @property
    def errors(self) -> tuple[float, float]:
        """The largest error out of the source, and into the destination, i0."""
        source, destination = self.source - self.law, self.destination - self.law
        return float(np.abs(source).max()), float(np.abs(destination).max())


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Args:
        device: the family, or ``FAMILY:PRESET``.
        phi: the nonlinearity.
        parameters: of the family, in its units; ``temperature`` among them.
        common: voltage of the destination, v0.
    """

    device: str = "bjt"
    phi: Phi = Phi.TANH
    parameters: Mapping[str, float] = field(default_factory=dict[str, float])
    common: float = 0.0


def transfer(setting: Setting, scale: Scale = SCALE, ngspice: Path | None = None) -> Curve:
    """The DC transfer of an edge.

    Raises:
        SimulationFailed: ngspice gave no curve.
    """
    parameters = dict(setting.parameters)
    temperature = parameters.pop(TEMPERATURE, None)
    options = CompileOptions(
        scale, setting.device, 0, parameters=parameters, temperature=temperature
    )
    one = np.ones(1)
    edge = EdgeBatch(setting.phi, _node(1), _node(2), w=one, a=one, b=-one, c=0.0 * one)
    model = Model(validate(Graph((Phase(2, 1.0, (edge,)),), 2, _node(2))), f"{setting.phi}_diff")
    with tempfile.TemporaryDirectory(prefix="kcompile-") as name:
        folder = Path(name)
        compile_model(model, options).write(folder, np.zeros(2))
        deck = _driven((folder / "layer1.cir").read_text(), setting.common, scale)
        (folder / "transfer.cir").write_text(deck)
        command = [str(find_ngspice(ngspice).path), "-b", "transfer.cir"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        try:
            rows = np.loadtxt(folder / "transfer.txt")
        except (OSError, ValueError) as error:
            raise SimulationFailed(f"no curve: {done.stderr.strip()[-200:]}") from error
    x = rows[:, 0] / scale.v0 - setting.common
    return Curve(x, setting.phi(x), -rows[:, 1] / scale.i0, rows[:, 2] / scale.i0)


def _node(number: int) -> NDArray[np.int32]:
    return np.array([number], dtype=np.int32)


def _driven(deck: str, common: float, scale: Scale) -> str:
    """A layer's deck with voltage sources for its capacitors, and a sweep for its transient."""
    base = common * scale.v0
    deck = re.sub(r"^C1 .*$", "V_s n1 0 0", deck, flags=re.M)
    deck = re.sub(r"^C2 .*$", f"V_d n2 0 {base!r}", deck, flags=re.M)
    start, stop = ((common + end) * scale.v0 for end in (-LIMIT, LIMIT))
    return (
        deck[: deck.index("\n.tran ")]
        + f"""
.control
set numdgt=15
set wr_singlescale
dc V_s {start!r} {stop!r} {STEP * scale.v0!r}
wrdata transfer.txt i(v_s) i(v_d)
quit
.endc
.end
"""
    )


@dataclass(frozen=True)
class Sweep:
    """One parameter of an edge's devices, or the temperature, others as in ``setting``."""

    setting: Setting
    parameter: str
    values: tuple[float, ...]

    def curves(self) -> Iterator[tuple[float, Curve]]:
        """The transfer at each value."""
        for value in self.values:
            parameters = {**self.setting.parameters, self.parameter: value}
            yield value, transfer(replace(self.setting, parameters=parameters))


GAINS = (1e6, 1e4, 1e3, 300.0, 100.0, 50.0)
EARLY = (1e9, 1e3, 200.0, 100.0, 50.0, 20.0)
DEGREES = (-40.0, 0.0, 27.0, 50.0, 85.0, 125.0)
TRANSISTORS = Setting(parameters={"mirrors": 1})
RECTIFIER = Setting(phi=Phi.RELU)

SWEEPS = (
    Sweep(Setting(), "bf", GAINS),
    Sweep(Setting(), "vaf", EARLY),
    Sweep(Setting(), "re", (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)),
    Sweep(Setting(parameters={"bf": 100}), "rb", (0.0, 1e-2, 0.1, 1.0)),
    Sweep(Setting(), TEMPERATURE, DEGREES),
    Sweep(TRANSISTORS, "bf", GAINS),
    Sweep(TRANSISTORS, "vaf", EARLY),
    Sweep(RECTIFIER, "is", (1e-9, 1e-6, 1e-4, 1e-3, 1e-2)),
    Sweep(RECTIFIER, TEMPERATURE, DEGREES),
)


def heading(sweep: Sweep) -> str:
    """A sweep's title."""
    setting = sweep.setting
    unit = "degrees Celsius"
    if sweep.parameter != TEMPERATURE:
        unit = read_family(setting.device).parameters[sweep.parameter].unit
    given = "".join(f", {name} = {value:g}" for name, value in setting.parameters.items())
    about = f" [{unit}]" if unit else ""
    return f"**`{setting.device}`, {setting.phi}: {sweep.parameter}{about}{given}**"


def table(sweep: Sweep) -> Iterator[str]:
    """The lines of a sweep's table."""
    yield heading(sweep)
    yield f"\n| {sweep.parameter} | out of s | into d |\n|---|---|---|"
    for value, curve in sweep.curves():
        source, destination = curve.errors
        yield f"| {value:g} | {source:.1e} | {destination:.1e} |"


PICTURED = (
    ("beta, mirrors of transistors", Sweep(TRANSISTORS, "bf", (1e4, 300.0, 100.0, 50.0))),
    ("Early voltage [V], mirrors of transistors", Sweep(TRANSISTORS, "vaf", (1e3, 200.0, 50.0))),
    ("emitter resistance [v0/i0]", Sweep(Setting(), "re", (1e-2, 3e-2, 0.1))),
    ("degrees Celsius", Sweep(Setting(), TEMPERATURE, (-40.0, 27.0, 125.0))),
)


def draw(path: Path) -> None:
    """Writes a picture of the errors of a tanh edge over its argument."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6), layout="constrained")
        for axes, (title, sweep) in zip(figure.subplots(2, 2).flat, PICTURED, strict=True):
            for value, curve in sweep.curves():
                axes.plot(curve.x, curve.destination - curve.law, label=f"{value:g}")
            axes.set(title=title, xlabel="argument x", ylabel="error into the destination [i0]")
            axes.legend()
        with written(path) as stream:
            figure.savefig(stream, format="png", dpi=150)


def _asked(given: argparse.Namespace) -> tuple[Sweep, ...]:
    """The sweep that the command line asks for, else all of ours."""
    if given.sweep is None:
        return SWEEPS
    name, _, values = given.sweep.partition("=")
    pairs = (text.partition("=") for text in given.param)
    parameters = {key: float(value) for key, _, value in pairs}
    setting = Setting(given.device, Phi(given.phi), parameters, given.common)
    return (Sweep(setting, name, tuple(map(float, values.split(",")))),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table a sweep; writes the picture where one is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device_transfer")
    parser.add_argument("--device", default="bjt")
    parser.add_argument("--phi", default="tanh", choices=[str(phi) for phi in Phi])
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--common", type=float, default=0.0, help="destination's voltage [v0]")
    parser.add_argument("--sweep", metavar="NAME=VALUE,...", help="else those of the docs")
    parser.add_argument("--picture", type=Path, metavar="PNG")
    given = parser.parse_args(arguments)
    try:
        for sweep in _asked(given):
            print(*table(sweep), sep="\n", end="\n\n", flush=True)
        if given.picture is not None:
            draw(given.picture)
    except KcompileError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
