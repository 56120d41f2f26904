"""The fused kernels and what is built on them, against the plain form in torch.

On one core; and on a GPU, where there is one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import (
    Progress,
    Result,
    Size,
    clock_of,
    one_core,
    run_child,
)
from benchmarks.networks import mixed_relu, pixels

BATCH = 64
TOLERANCE = 1e-5
"""How far answers in single precision may be apart, relative to the largest."""

STEPS = 3
"""Runge-Kutta steps of a solve, as the recipe for MNIST has them."""

MEMORY = 2000.0
"""MB that a training step of the CIFAR-10 layer may take beyond torch."""

_ROOT = Path(__file__).resolve().parents[1]


def results(size: Size, progress: Progress, notes: list[str]) -> Iterator[Result]:
    """dv/dt, its adjoint, training, the reference; ``notes`` gets what a step takes in memory."""
    from benchmarks import solves

    with one_core() as where:
        yield from _compare(size, progress, "cpu", where)
        yield solves.training(size, progress, where)
        yield solves.reference(size, progress, where)
    notes.append(_memory(size, progress))


def has_gpu() -> bool:
    """Whether there is a CUDA device to compare on."""
    import torch

    return torch.cuda.is_available()


def gpu_results(size: Size, progress: Progress) -> Iterator[Result]:
    """The same with the plain form on the GPU, and a whole solve with its gradients; wall time.

    The reference is computed on one core here, too.
    """
    import torch

    from benchmarks import solves

    where = f"one {torch.cuda.get_device_name()}"
    yield from _compare(size, progress, "cuda", where)
    yield solves.training(size, progress, where, "cuda")
    with one_core() as core:
        yield solves.reference(size, progress, f"{core}, the baseline on {where}", "cuda")


@dataclass(frozen=True)
class _Way:
    """One of the two ways to compute the same.

    Args:
        derivative: dv/dt, without gradients.
        gradients: dv/dt and the adjoints of voltages and parameters.
        solve: the same of the voltages after ``STEPS`` Runge-Kutta steps.
    """

    derivative: Callable[[], object]
    gradients: Callable[[], tuple[object, object]]
    solve: Callable[[], tuple[object, object]]


def _compare(size: Size, progress: Progress, device: str, where: str) -> Iterator[Result]:
    ours, plain, edges = _ways(size.side, device)
    _, _, on = clock_of(device)
    of = f"of a layer of {edges} shift_relu edges, {BATCH} samples, float32, on {where}"
    answers = [[way.derivative()] for way in (ours, plain)]
    yield _result(
        size, progress, f"dv/dt / plain torch{on}", f"dv/dt {of}, through Layer.form", device,
        (ours.derivative, plain.derivative), answers,
    )  # fmt: skip
    answers = [list(way.gradients()) for way in (ours, plain)]
    yield _result(
        size, progress, f"dv/dt and gradients / plain torch{on}",
        f"dv/dt and the adjoints of voltages and parameters {of}", device,
        (ours.gradients, plain.gradients), answers,
    )  # fmt: skip
    if device == "cuda":
        # Rounding puts voltages on either side of a kink, whose slopes then differ by a lot.
        exact = _ways(size.side, device, double=True)
        answers = [[list(way.solve()) for _ in range(3)][-1] for way in exact[:2]]  # replayed
        yield _result(
            size, progress, f"solve and gradients / plain torch{on}",
            f"{STEPS} Runge-Kutta steps and the adjoints of voltages and parameters {of}, their "
            "answers compared in float64", device, (ours.solve, plain.solve), answers,
        )  # fmt: skip


def _result(size, progress, name, what, device, ways, answers) -> Result:
    clock, _, _ = clock_of(device)
    calls = (20, 1 if device == "cpu" else 20)
    if device != "cpu":
        for _ in range(3):  # compiled, captured
            for way in ways:
                way()
    times = ([], [])
    for turn in range(size.repeats):
        progress(f"{name}: {turn + 1} of {size.repeats}")
        times[0].append(clock(ways[0], calls[0]))
        times[1].append(clock(ways[1], calls[1]))
    apart = max(
        float((mine - plain).abs().max() / plain.abs().max())
        for mine, plain in zip(*answers, strict=True)
    )
    return Result(
        name, 1e3 * statistics.median(times[0]), 1e3 * statistics.median(times[1]), "ms",
        f"{what}; medians of {size.repeats}; answers {apart:.1e} apart, relative to the largest",
        None if apart <= TOLERANCE else f"the answers are {apart:.2g} apart",
    )  # fmt: skip


def _ways(side: int, device: str, *, double: bool = False) -> tuple[_Way, _Way, int]:
    import torch

    from benchmarks.plain import PlainLayer, rk4
    from kcompile.nn import KirchhoffNet

    dtype = torch.float64 if double else torch.float32
    net = KirchhoffNet.from_checkpoint(mixed_relu(side)).to(device, dtype)
    layer = next(net.phases)
    (edges,) = layer.batches
    plain = PlainLayer(edges.src.cpu().numpy(), edges.dst.cpu().numpy(), edges.params).to(device)
    generator = torch.Generator().manual_seed(0)
    v = torch.rand(BATCH, layer.nodes, generator=generator).to(device, dtype)
    given = torch.randn(BATCH, layer.nodes, generator=generator).to(device, dtype)
    columns, given_columns = v.T.contiguous(), given.T.contiguous()

    def gradients(field, at, adjoint, params):
        at = at.clone().requires_grad_()
        of_at, of_params = torch.autograd.grad(field(at), (at, params), adjoint)
        return of_at, of_params

    def ours() -> torch.Tensor:
        with torch.no_grad():
            return layer.form().derivative(columns).T

    def ours_back(field) -> tuple[torch.Tensor, torch.Tensor]:
        of_v, of_params = gradients(field, columns, given_columns, edges.params)
        return of_v.T, of_params

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return plain(0.0, v)

    def theirs_back(field) -> tuple[torch.Tensor, torch.Tensor]:
        return gradients(field, v, given, plain.params)

    mine = _Way(
        ours,
        lambda: ours_back(lambda at: layer.form().derivative(at)),
        lambda: ours_back(lambda at: layer.form().rk4(at, 1.0, STEPS)),
    )
    other = _Way(
        theirs,
        lambda: theirs_back(lambda at: plain(0.0, at)),
        lambda: theirs_back(lambda at: rk4(plain, at, STEPS)),
    )
    return mine, other, len(edges)


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
