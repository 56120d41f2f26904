"""Edges to text: our streamed rows against jinja2, looped or per edge, and PySpice's objects."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

import jinja2

from benchmarks.measuring import Progress, Result, Size
from benchmarks.networks import neighbourhood_relu
from kcompile.compiler import CompileOptions, compile_model
from kcompile.netlist import Circuit
from kcompile.netlist.rows import RowFormats

FIELDS = "esdwac"
"""What the row template of a behavioural relu names."""


def results(size: Size, progress: Progress, only: str | None = None) -> Iterator[Result]:
    """One line for each other way to write the same edges, or for one way alone."""
    ways: dict[str, Callable[[Circuit], Iterable[str]]] = {
        "one looped jinja2 template": _looped,
        "one jinja2 render an edge": _per_edge,
    }
    if importlib.util.find_spec("PySpice") is not None:
        ways["PySpice objects"] = _pyspice
    model = neighbourhood_relu(size.side)
    edges = model.graph.edges

    def measure(way: Callable[[Circuit], Iterable[str]], path: Path) -> float:
        # Compiled anew: no way shall find what another one left.
        circuit = compile_model(model, CompileOptions(device="ideal", opt_level=0)).circuit
        began = time.process_time()
        with path.open("wb") as stream:
            for piece in way(circuit):
                stream.write(piece.encode())
        return 1e6 * (time.process_time() - began) / edges

    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        ours, theirs = Path(name, "ours"), Path(name, "theirs")
        for title, way in ways.items():
            if only not in (None, title):
                continue
            measure(_ours, ours)  # once unmeasured, for imports and caches
            measure(way, theirs)
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(size.repeats):
                progress(f"write edges: {title}, {turn + 1} of {size.repeats}")
                times[0].append(measure(_ours, ours))
                times[1].append(measure(way, theirs))
            yield Result(
                f"write edges / {title}",
                statistics.median(times[0]),
                statistics.median(times[1]),
                "us/edge",
                f"CPU time from {edges} edges in arrays to a file of element lines; "
                f"medians of {size.repeats}",
                _difference(ours.read_text(), theirs.read_text()),
            )


def _ours(circuit: Circuit) -> Iterator[str]:
    rows = RowFormats(circuit.family)
    for table in circuit.layers[0].tables:
        yield from rows.of(table).chunks(table.columns, table.count)


def _edges(circuit: Circuit) -> Iterator[tuple[object, ...]]:
    for table in circuit.layers[0].tables:
        yield from zip(*(table.columns[field] for field in FIELDS), strict=True)


def _environment(circuit: Circuit) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(circuit.family.folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - netlists, not HTML
    )


def _looped(circuit: Circuit) -> Iterator[str]:
    environment = _environment(circuit)
    row = (circuit.family.folders[0] / "relu_diff.j2").read_text()
    names = ", ".join(FIELDS)
    template = environment.from_string(f"{{% for {names} in edges %}}{row}{{% endfor %}}")
    yield template.render(edges=_edges(circuit), gate=None)


def _per_edge(circuit: Circuit) -> Iterator[str]:
    template = _environment(circuit).get_template("relu_diff.j2")
    for edge in _edges(circuit):
        yield template.render(zip(FIELDS, edge, strict=True), gate=None)


def _pyspice(circuit: Circuit) -> Iterator[str]:
    source = import_module("PySpice.Spice.BasicElement").BehavioralSource
    netlist = import_module("PySpice.Spice.Netlist").Circuit("edges")
    for e, s, d, w, a, c in _edges(circuit):
        source(netlist, e, s, d, current_expression=f"{w}*uramp({c}+{a}*v({s},{d}))")
    yield str(netlist)


def _difference(ours: str, theirs: str) -> str | None:
    """Why the two files do not hold the same elements, or None."""
    lines = [
        [line.replace(" i=", " I=") for line in text.splitlines() if line[:1] == "B"]
        for text in (ours, theirs)
    ]
    return None if lines[0] == lines[1] else "the texts differ"
