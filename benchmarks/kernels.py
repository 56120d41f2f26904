"""The compiled kernel and what is built on it, against the plain form in torch, on one core."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import Progress, Result, Size, cpu_time, one_core, run_child
from benchmarks.networks import mixed_relu, pixels

BATCH = 64
TOLERANCE = 1e-5
"""How far answers in single precision may be apart, relative to the largest."""

MEMORY = 2000.0
"""MB that a training step of the CIFAR-10 layer may take beyond torch."""

_ROOT = Path(__file__).resolve().parents[1]


def results(size: Size, progress: Progress, notes: list[str]) -> Iterator[Result]:
    """dv/dt, its adjoint, training and the reference; ``notes`` gets what a step takes in memory.

    Where there is a CUDA device, dv/dt and its adjoint are compared there, too (wall time).
    """
    import torch

    from benchmarks import solves

    with one_core() as where:
        yield from _compare(size, progress, "cpu", where)
        yield solves.training(size, progress, where)
        yield solves.reference(size, progress, where)
    if torch.cuda.is_available():
        yield from _compare(size, progress, "cuda", "a CUDA device, wall time")
    notes.append(_memory(size, progress))


@dataclass(frozen=True)
class _Way:
    """One of the two ways to compute the same.

    Args:
        derivative: dv/dt, without gradients.
        gradients: dv/dt and the adjoints of voltages and parameters.
    """

    derivative: Callable[[], object]
    gradients: Callable[[], tuple[object, object]]


def _compare(size: Size, progress: Progress, device: str, where: str) -> Iterator[Result]:
    ours, plain, edges = _ways(size.side, device)
    clock = cpu_time if device == "cpu" else _synchronised
    on = "" if device == "cpu" else ", CUDA"
    of = f"of a layer of {edges} shift_relu edges, {BATCH} samples, float32, on {where}"
    answers = [[way.derivative()] for way in (ours, plain)]
    yield _result(
        size, progress, f"dv/dt / plain torch{on}", f"dv/dt {of}, through Layer.form", clock,
        (ours.derivative, plain.derivative), answers,
    )  # fmt: skip
    answers = [list(way.gradients()) for way in (ours, plain)]
    yield _result(
        size, progress, f"dv/dt and gradients / plain torch{on}",
        f"dv/dt and the adjoints of voltages and parameters {of}", clock,
        (ours.gradients, plain.gradients), answers,
    )  # fmt: skip


def _result(size, progress, name, what, clock, ways, answers) -> Result:
    times = ([], [])
    for turn in range(size.repeats):
        progress(f"{name}: {turn + 1} of {size.repeats}")
        times[0].append(clock(ways[0], 20))
        times[1].append(clock(ways[1]))
    apart = max(
        float((mine - plain).abs().max() / plain.abs().max())
        for mine, plain in zip(*answers, strict=True)
    )
    return Result(
        name, 1e3 * statistics.median(times[0]), 1e3 * statistics.median(times[1]), "ms",
        f"{what}; medians of {size.repeats}; answers {apart:.1e} apart, relative to the largest",
        None if apart <= TOLERANCE else f"the answers are {apart:.2g} apart",
    )  # fmt: skip


def _ways(side: int, device: str) -> tuple[_Way, _Way, int]:
    import torch

    from benchmarks.plain import PlainLayer
    from kcompile.nn import KirchhoffNet

    net = KirchhoffNet.from_checkpoint(mixed_relu(side)).to(device)
    layer = next(net.phases)
    (edges,) = layer.batches
    plain = PlainLayer(edges.src.cpu().numpy(), edges.dst.cpu().numpy(), edges.params).to(device)
    generator = torch.Generator().manual_seed(0)
    v = torch.rand(BATCH, layer.nodes, generator=generator).to(device)
    given = torch.randn(BATCH, layer.nodes, generator=generator).to(device)
    columns, given_columns = v.T.contiguous(), given.T.contiguous()

    def gradients(field, at, adjoint, params):
        at = at.clone().requires_grad_()
        of_at, of_params = torch.autograd.grad(field(at), (at, params), adjoint)
        return of_at, of_params

    def ours() -> torch.Tensor:
        with torch.no_grad():
            return layer.form().derivative(columns).T

    def ours_back() -> tuple[torch.Tensor, torch.Tensor]:
        of_v, of_params = gradients(
            lambda at: layer.form().derivative(at), columns, given_columns, edges.params
        )
        return of_v.T, of_params

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return plain(0.0, v)

    def theirs_back() -> tuple[torch.Tensor, torch.Tensor]:
        return gradients(lambda at: plain(0.0, at), v, given, plain.params)

    return _Way(ours, ours_back), _Way(theirs, theirs_back), len(edges)


def _synchronised(work: Callable[[], object], calls: int = 1) -> float:
    import torch

    work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(calls):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls


def _memory(size: Size, progress: Progress) -> str:
    lines = [
        "memory of a training step (forward, backward, AdamW) of the CIFAR-10 preset, "
        f"{size.batch} images, beyond importing torch:"
    ]
    with tempfile.TemporaryDirectory(prefix="kcompile-bench-") as name:
        folder = Path(name)
        env = {**os.environ, "PYTHONPATH": str(_ROOT)}
        bare = run_child([sys.executable, "-c", "import torch"], folder, env).memory
        for layers in (1, 4):
            progress(f"training step of CIFAR-10's network, {layers} of 4 layers")
            command = f"from benchmarks.kernels import step; step({layers}, {size.batch})"
            usage = run_child([sys.executable, "-c", command], folder, env)
            extra = (usage.memory - bare) / 1e6
            verdict = "below" if extra < MEMORY else "ABOVE"
            edges = int(usage.said.split()[-1])
            lines.append(
                f"  {layers} of 4 layers ({edges} edges): {extra:.0f} MB, {verdict} the limit of "
                f"{MEMORY:.0f} MB a layer (wall {usage.wall:.3g} s, start and set-up included)"
            )
    return "\n".join(lines)


def step(layers: int, batch: int) -> None:
    """One training step of the first layers of CIFAR-10's network; prints its number of edges."""
    import torch

    from kcompile.tasks import get_task
    from kcompile.tasks.building import build
    from kcompile.tasks.optimiser import Optimiser

    torch.set_num_threads(1)
    preset = get_task("cifar10").preset("kcompile")
    (plan,) = preset.plans.values()
    net = build(replace(plan, layers=plan.layers[:layers]), preset.recipe, seed=0)
    inputs = torch.as_tensor(pixels(batch * plan.inputs)).float().reshape(batch, -1)
    classes = torch.as_tensor(np.arange(batch) % 10)
    loss = torch.nn.functional.cross_entropy(net(inputs), classes)
    Optimiser(net, preset.recipe, steps=1).step(loss, 1)
    print(sum(len(edges) for layer in net.phases for edges in layer.batches))
