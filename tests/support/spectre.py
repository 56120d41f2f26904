"""A reader of our Spectre netlists, and a stand-in for the simulator that solves what they say.

As a program it takes the place of ``spectre``: it reads a netlist in the current folder, solves it
by the classical Runge-Kutta method and writes the last voltages where ``writefinal`` says, in the
format of Spectre's own files of states.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

STEPS = 200

PHIS = {
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "tanh": math.tanh,
    "identity": lambda x: x,
}
_INSTANCE = re.compile(r"(\S+) \(([^()]+)\) (\S+)(.*)")
_SETTING = re.compile(r'(\w+)=(\[[^\]]*\]|"[^"]*"|\S+)')


@dataclass(frozen=True)
class Instance:
    """One element: its name, its nodes, the module it is of, its parameters as they stand."""

    name: str
    nodes: tuple[str, ...]
    kind: str
    settings: dict[str, str]

    def number(self, name: str, parameters: dict[str, float]) -> float:
        """A parameter's value, where it may be one of the netlist's parameters."""
        text = self.settings[name]
        return parameters[text] if text in parameters else float(text)


@dataclass
class Netlist:
    """What a netlist says; whatever it does not understand is an error."""

    folder: Path
    instances: list[Instance] = field(default_factory=list)
    parameters: dict[str, float] = field(default_factory=dict)
    statements: dict[str, dict[str, str]] = field(default_factory=dict)
    included: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Instance]:
        """The instances of one module."""
        return [element for element in self.instances if element.kind == kind]

    @property
    def edges(self) -> list[Instance]:
        """The instances of our modules."""
        return [element for element in self.instances if element.kind.startswith("kc_")]


def read(path: Path) -> Netlist:
    """Reads a netlist and what it includes."""
    found = Netlist(path.parent)
    _read(path, found)
    return found


def _read(path: Path, found: Netlist) -> None:
    for line in path.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if not line or line.startswith("//") or line in ("simulator lang=spectre", "global 0"):
            continue
        if word == "include":
            _read(path.parent / rest.strip('"'), found)
        elif word == "ahdl_include":
            found.included.append(rest.strip('"'))
        elif word == "parameters":
            name, _, value = rest.partition("=")
            found.parameters[name] = float(value)
        elif word == "save":
            found.saved += rest.split()
        elif match := _INSTANCE.fullmatch(line):
            name, nodes, kind, settings = match.groups()
            pairs = dict(_SETTING.findall(settings))
            found.instances.append(Instance(name, tuple(nodes.split()), kind, pairs))
        elif rest.split()[0] in ("options", "tran"):
            kind = rest.split()[0]
            pairs = dict(_SETTING.findall(rest))
            found.statements.setdefault(kind, {}).update(pairs)
        else:
            raise ValueError(f"{path}: {line}")


def gate(wave: str, t: float) -> float:
    """A piecewise-linear source's voltage."""
    numbers = [float(word) for word in wave.strip("[]").split()]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    for (t0, v0), (t1, v1) in pairwise(points):
        if t0 <= t <= t1:
            return v0 + (v1 - v0) * (t - t0) / (t1 - t0)
    return points[0][1] if t < points[0][0] else points[-1][1]


def rise(wave: str, t: float) -> float:
    """How fast a piecewise-linear source rises at a time that is none of its corners."""
    step = 1e-6 * t
    return (gate(wave, t + step) - gate(wave, t - step)) / (2 * step)


def derivative(
    netlist: Netlist, volts: dict[str, float], t: float = 0.0, middle: float = 0.0
) -> dict[str, float]:
    """dv/dt of every node with a capacitor, volts a second; ``middle``: between which corners."""
    v = {**volts, "0": 0.0}
    for source in netlist.of("vsource"):
        v[source.nodes[0]] = gate(source.settings["wave"], t)
    total = dict.fromkeys(v, 0.0)
    for edge in netlist.edges:
        s, d, *g = edge.nodes
        w, a, b, c = (edge.number(name, netlist.parameters) for name in "wabc")
        phi = PHIS[edge.kind.removeprefix("kc_").removesuffix("_gated")]
        assert edge.kind.endswith("_gated") == bool(g)
        current = w * phi(a * v[s] + b * v[d] + c) * (v[g[0]] if g else 1.0)
        total[s] -= current
        total[d] += current
    for resistor in netlist.of("resistor"):
        one, other = resistor.nodes
        total[one] -= (v[one] - v[other]) / float(resistor.settings["r"])
    sources = {e.nodes[0]: e.settings["wave"] for e in netlist.of("vsource")}
    for coupling in (e for e in netlist.of("capacitor") if e.nodes[1] != "0"):
        source, node = coupling.nodes
        total[node] += float(coupling.settings["c"]) * rise(sources[source], middle)
    grounded = [e for e in netlist.of("capacitor") if e.nodes[1] == "0"]
    farads = {e.nodes[0]: float(e.settings["c"]) for e in grounded}
    return {node: total[node] / c for node, c in farads.items()}


def start(netlist: Netlist) -> dict[str, float]:
    """The capacitors' voltages at t = 0."""
    grounded = (e for e in netlist.of("capacitor") if e.nodes[1] == "0")
    return {e.nodes[0]: e.number("ic", netlist.parameters) for e in grounded}


def solve(netlist: Netlist) -> dict[str, float]:
    """The voltages at the end of the transient."""
    stop = float(netlist.statements["tran"]["stop"])
    sources = netlist.of("vsource")
    corners = {0.0, stop} | {
        float(time) for e in sources for time in e.settings["wave"].strip("[]").split()[::2]
    }
    volts = start(netlist)
    ends = sorted(corners)
    for begin, end in pairwise(ends):
        count = max(4, round(STEPS * (end - begin) / stop))
        h = (end - begin) / count
        for step in range(count):
            volts = _step(netlist, volts, begin + step * h, h, (begin + end) / 2)
    return volts


def _step(
    netlist: Netlist, v: dict[str, float], t: float, h: float, middle: float
) -> dict[str, float]:
    def ahead(k: dict[str, float], part: float) -> dict[str, float]:
        return {node: v[node] + part * k[node] for node in v}

    k1 = derivative(netlist, v, t, middle)
    k2 = derivative(netlist, ahead(k1, h / 2), t + h / 2, middle)
    k3 = derivative(netlist, ahead(k2, h / 2), t + h / 2, middle)
    k4 = derivative(netlist, ahead(k3, h), t + h, middle)
    return {n: v[n] + h / 6 * (k1[n] + 2 * k2[n] + 2 * k3[n] + k4[n]) for n in v}


if __name__ == "__main__":
    given = read(Path(sys.argv[1]))
    tran = given.statements["tran"]
    assert tran["skipdc"] == "yes"
    final = ["# CHECKPOINT_VERSION 1", "# The default unit is V"]
    final += [f"{node}\t{volt:.15g}" for node, volt in solve(given).items()]
    final += [f"{e.name}:p\t0   #unit A" for e in given.of("vsource")]
    Path(tran["writefinal"].strip('"')).write_text("\n".join(final) + "\n")
