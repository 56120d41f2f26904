"""What a Newton iteration costs against the number of edges, with a fitted exponent and a picture.

NE layers of relu edges (3 x 3 kernel, to ground and back) on ever larger images. Each network is
simulated with few and with more steps: the difference in processor time, divided by that in
iterations, is what an iteration costs, loading and setting up left out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.large import FORMS, SETTINGS, Form, offers, settled
from benchmarks.measuring import Progress, Result, Size, run_child
from benchmarks.networks import neighbourhood_relu, pixels
from benchmarks.simulations import figures
from kcompile.compiler import CompileOptions, compile_model
from kcompile.frontend import Model
from kcompile.pictures import BLUE, GREY, RED, STYLE
from kcompile.simulation import Ngspice, find_ngspice
from kcompile.simulation.process import environment

LEAST = 10_000
"""Fewest edges of compiled devices: below, an iteration is too short to be measured."""

GREATEST = 200_000
"""Most edges of behavioural decks: ngspice takes 20 s to load one of half a million."""

AGREED = 1e-3
"""How far the last voltages of a node may be apart in two forms, volts."""

_DECK = "growth.cir"
_LAST = re.compile(r"^final = (\S+)", re.M)
_FEW = 8
_WORK = {"native": 6e8, "ideal": 1e7}
"""Edges times further steps: seconds of simulation, for setting up takes some and varies."""
_MOST = {"native": 2000, "ideal": 1000}


@dataclass(frozen=True)
class Point:
    """A network's cost.

    Args:
        edges, nodes: of it.
        milliseconds: of processor time an iteration.
        iterations: that were measured.
        last: volts of node 1 at the end.
    """

    edges: int
    nodes: int
    milliseconds: float
    iterations: float
    last: float


def results(
    size: Size, progress: Progress, notes: list[str], picture: Path | None = None
) -> Iterator[Result]:
    """The largest network's iteration, compiled beside behavioural; ``notes`` gets all sizes.

    Args:
        size: of the networks.
        progress: hears what is measured.
        notes: gets the table.
        picture: where the plot goes.
    """
    program = find_ngspice()
    forms = [form for form in (FORMS[-1], FORMS[2]) if offers(program, form)]
    points: dict[str, list[Point]] = {form.device: [] for form in forms}
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        for side in size.growth:
            model = neighbourhood_relu(side)
            for form in forms:
                if _measured(size, side, model.graph.edges, form):
                    progress(f"an iteration of {model.graph.edges} edges, {form.title}")
                    points[form.device].append(_cost(program, model, form, Path(name, form.device)))
    notes.append(_table(program, points))
    if picture is not None:
        draw(points, picture)
    if len(forms) == 2:
        theirs = points["ideal"][-1]
        ours = next(point for point in points["native"] if point.edges == theirs.edges)
        apart = abs(ours.last - theirs.last)
        slopes = "; ".join(f"{name}: {_power(found)}" for name, found in points.items())
        yield Result(
            f"iteration of {ours.edges} edges, native diagonal / ideal -O2",
            ours.milliseconds,
            theirs.milliseconds,
            "ms",
            f"CPU time of a Newton iteration of an NE relu layer with {ours.nodes} nodes, ngspice "
            f"{program.version}, from runs of two lengths ({ours.iterations:.0f} and "
            f"{theirs.iterations:.0f} iterations between them); {slopes}",
            None if apart <= AGREED else f"node 1 ended {apart:.2g} V apart",
        )


def _measured(size: Size, side: int, edges: int, form: Form) -> bool:
    if form.device == "ideal":
        return edges <= GREATEST
    # Of the few tiny sizes that show that it runs, the last one.
    return edges >= LEAST or side == max(size.growth)


def _cost(program: Ngspice, model: Model, form: Form, folder: Path) -> Point:
    edges = model.graph.edges
    more = int(np.clip(_WORK[form.device] / edges, _FEW, _MOST[form.device]))
    parameters = {} if form.diagonal is None else {"diagonal": float(form.diagonal)}
    options = CompileOptions(device=form.device, opt_level=form.level, parameters=parameters)
    compiled = compile_model(model, options)
    taken: list[tuple[float, float]] = []
    last = float("nan")
    for steps in (_FEW, _FEW + more):
        settled(compiled, steps, SETTINGS).write(folder, pixels(model.graph.inputs))
        _strip(folder, compiled.circuit.layers[0].libraries)
        usage = run_child([program.path, "-b", _DECK], folder, environment(folder))
        taken.append((usage.cpu, figures(usage.said)["Total iterations"]))
        last = float(_LAST.findall(usage.said)[-1])
    (cpu, iterations), (longer, further) = taken
    count = further - iterations
    milliseconds = 1e3 * max(longer - cpu, 1e-6) / count
    return Point(edges, model.graph.nodes, milliseconds, count, last)


def _strip(folder: Path, libraries: Sequence[str]) -> None:
    """A script that keeps one node alone: ngspice takes minutes to keep and print thousands."""
    layer = folder / "layer1.cir"
    lines = layer.read_text().splitlines()
    save = next(k for k, line in enumerate(lines) if line.startswith(".save"))
    layer.write_text("\n".join([*lines[:save], ".save v(n1)", ".end", ""]))
    script = [
        "* One layer, one node kept",
        ".control",
        "set num_threads=1",
        *(f"pre_osdi {library}" for library in libraries),
        f"source {layer.name}",
        "run",
        "rusage all",
        "let final = n1[length(time) - 1]",
        "print final",
        "quit",
        ".endc",
        ".end",
    ]
    (folder / _DECK).write_text("".join(f"{line}\n" for line in script))


def fit(points: Sequence[Point]) -> tuple[float, float] | None:
    """Exponent and milliseconds at a million edges, by least squares on logarithms."""
    if len(points) < 2:
        return None
    x = np.log([point.edges / 1e6 for point in points])
    slope, level = np.polyfit(x, np.log([point.milliseconds for point in points]), 1)
    return float(slope), float(np.exp(level))


def _power(points: Sequence[Point]) -> str:
    found = fit(points)
    return "too few sizes" if found is None else f"edges^{found[0]:.2f}"


def _table(program: Ngspice, points: dict[str, list[Point]]) -> str:
    lines = [
        f"ngspice {program.version}: CPU time of a Newton iteration against edges (NE relu)",
        f"  {'edges':>9}{'nodes':>8}{'native diagonal ms':>20}{'ideal -O2 ms':>14}",
    ]
    found = {name: {p.edges: p for p in row} for name, row in points.items()}
    for edges in sorted({edges for row in found.values() for edges in row}):
        nodes = next(row[edges].nodes for row in found.values() if edges in row)
        native, ideal = (
            f"{found[name][edges].milliseconds:.4g}" if edges in found.get(name, {}) else "-"
            for name in ("native", "ideal")
        )
        lines.append(f"  {edges:>9}{nodes:>8}{native:>20}{ideal:>14}")
    lines += [f"  {name}: cost grows as {_power(row)}" for name, row in points.items()]
    return "\n".join(lines)


def draw(points: dict[str, list[Point]], path: Path) -> None:
    """Writes the picture of both costs with their fitted powers."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = {
        "ideal": ("behavioural sources, -O2", RED, "s"),
        "native": ("compiled layer device, diagonal", BLUE, "o"),
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        for name, (title, colour, marker) in shown.items():
            row = points.get(name, [])
            if not row:
                continue
            edges = np.array([point.edges for point in row])
            values = [point.milliseconds for point in row]
            found, label = fit(row), title
            if found is not None:
                slope, level = found
                label = f"{title}: edges$^{{{slope:.2f}}}$"
                axes.plot(edges, level * (edges / 1e6) ** slope, color=colour, linewidth=1)
            axes.plot(edges, values, marker, color=colour, label=label, markersize=6)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="edges of the layer",
            ylabel="CPU time of a Newton iteration [ms]",
        )
        axes.legend(loc="upper left")
        axes.tick_params(which="both", color=GREY)
        figure.savefig(path, dpi=150, metadata={"Software": None})
