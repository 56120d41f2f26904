"""Thousands of inputs of a small network: sessions beside each other against a process each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import naive
from benchmarks.large import children_time, settled
from benchmarks.measuring import Progress, Result, Size, median_of, run_child
from benchmarks.networks import two_nodes
from kcompile.compiler import CompileOptions, compile_model
from kcompile.reference import solve
from kcompile.simulation import find_ngspice
from kcompile.simulation.process import environment
from kcompile.verification.choosing import FirstSample
from kcompile.verification.circuits import written
from kcompile.verification.many import ManySamples

TOLERANCE = 1e-3
"""Largest error, relative to the larger of 1 and the largest output, as ``verify`` judges."""

_PROCESSES = 20
_TIMEOUT = 600.0


def results(size: Size, progress: Progress) -> Iterator[Result]:
    """All inputs as ``kcompile verify`` runs them, beside a naive deck and a process for each."""
    model, program = two_nodes(), find_ngspice()
    inputs = np.random.default_rng(0).normal(size=(size.inputs, 2))
    initial = model.initial_voltages(inputs)
    progress(f"{size.inputs} inputs: reference")
    reference = solve(model.graph, initial, TOLERANCE)
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        folder = Path(name)
        delivered = written(compile_model(model, CompileOptions()), folder / "delivered")
        first = FirstSample(delivered, initial[0], reference, program, _TIMEOUT, folder)
        progress(f"{size.inputs} inputs: two sessions")
        before, began = children_time() + time.process_time(), time.perf_counter()
        found = ManySamples(first, initial, True, 2).run(lambda run, _: run)
        wall = time.perf_counter() - began
        cpu = children_time() + time.process_time() - before
        calibration, used = found.choice.calibration, found.choice.acceleration
        outputs = np.stack([run.outputs for run in found.runs])
        error = float(np.abs(outputs - reference.outputs).max())

        progress(f"{size.inputs} inputs: a process each, {_PROCESSES} of them")
        settings = {"reltol": calibration.reltol, "trtol": calibration.trtol}
        plain = compile_model(model, CompileOptions(device="ideal", opt_level=0))
        compiled = settled(plain, calibration.steps, settings)
        compiled.write(folder / "naive", initial[0])
        usages = []
        for start in initial[:_PROCESSES]:
            naive.write_naive(naive.naive_layers(compiled, start), folder / "naive")
            command = [program.path, "-b", "run.cir"]
            usages.append(run_child(command, folder / "naive", environment(folder), _TIMEOUT))
        each = median_of(usages)
    relative = error / max(1.0, reference.peak)
    failed = [run.problem for run in found.runs if run.problem]
    void = failed[0] if failed else f"an error of {error:.2g}" if relative > TOLERANCE else None
    edges = model.graph.edges // len(model.graph.phases)
    yield Result(
        f"{size.inputs} inputs of 2 nodes, sessions / a process each",
        cpu,
        each.cpu * size.inputs,
        "s",
        f"CPU time of {size.inputs} inputs through {len(model.graph.phases)} layers of {edges} "
        f"tanh edges: two sessions of ngspice {program.version}, {used.device_family} devices "
        f"({used.jacobian}), choosing of settings included: {wall:.3g} s wall, largest error "
        f"{relative:.2g} of the peak ({reference.peak:.2g}), {calibration.steps} steps a layer; "
        "and a naive deck with the same settings in a process of its own, "
        f"{each.wall:.3g} s wall, median of {_PROCESSES} times {size.inputs}",
        void,
    )
