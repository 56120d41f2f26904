"""Training and the reference against torchdiffeq on the plain form."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import plain
from benchmarks.measuring import Progress, Result, Size, clock_of
from benchmarks.networks import mixed_relu, pixels
from kcompile.kernels import compiled_phase
from kcompile.nn import KirchhoffNet
from kcompile.reference import Reference, phase_rhs, solve
from kcompile.tasks import Preset, Split, get_task
from kcompile.tasks.building import build
from kcompile.tasks.objectives import objective
from kcompile.tasks.optimiser import Optimiser
from kcompile.tasks.training import Progress as TrainingProgress
from kcompile.tasks.training import Trained, train

LOSSES = 0.05
"""How far an epoch's mean loss may be apart, relative: their solver's tolerance is 1e-3."""

VERIFY = 1e-3
"""The tolerance of ``kcompile verify``, whose reference is measured."""

TRUE_STEPS = 1024
METHODS = ("dopri5", "dopri8")
GRID = np.logspace(-5, -11, 25)
"""Tolerances that the baseline may choose from, loosest first."""


def training(size: Size, progress: Progress, where: str, device: str = "cpu") -> Result:
    """Friedman-s, preset ``paper``: all epochs ours, some the paper's way, both on the device."""
    clock, of, on = clock_of(device)
    task = get_task("friedman")
    split = task.load(None)
    preset = task.preset("paper")
    turns = max(1, min(4, size.epochs // 100))
    moments = {size.epochs * turn // turns for turn in range(1, turns + 1)}
    slow = _plain_epochs(build(preset.plan("s"), preset.recipe, 0), preset, split, device)
    epochs: list[tuple[float, float]] = []

    def in_turns(at: TrainingProgress) -> None:
        if at.done == 0 and at.epoch in moments:
            epochs.append(next(slow))
            progress(f"train friedman, epoch {at.epoch}; the paper's way: {epochs[-1][0]:.2f} s")

    found: list[Trained] = []

    def ours_and_slow() -> None:
        found.append(
            train(
                task, preset="paper", size="s", epochs=size.epochs, split=split,
                device=device, on_progress=in_turns,
            )
        )  # fmt: skip

    both = clock(ours_and_slow)
    seconds = [took for took, _ in epochs]
    ours = both - sum(seconds)
    trained = KirchhoffNet.from_checkpoint(found[0].checkpoint)
    late, _ = next(_plain_epochs(trained, preset, split, device))
    baseline = statistics.median(seconds) * size.epochs
    curve = found[0].checkpoint.training["curve"]
    apart = max(abs(loss / curve[k] - 1) for k, (_, loss) in enumerate(epochs))
    return Result(
        f"train friedman-s / odeint_adjoint on plain torch{on}",
        ours, baseline, "s",
        f"{of} of {size.epochs} epochs of {len(split.train_inputs)} samples on {where}: ours "
        f"trained once, set-up and converged scores included; baseline dopri5 at 1e-3 with "
        f"odeint_adjoint, its first {turns} epochs, spread over ours, their median times "
        f"{size.epochs} (they took {min(seconds):.2f} to {max(seconds):.2f} s, and one from our "
        f"trained network {late:.2f} s); losses of the same epochs {apart:.1e} apart, relative",
        None if apart <= LOSSES else f"the losses are {apart:.2g} apart",
    )  # fmt: skip


def _plain_epochs(
    net: KirchhoffNet, preset: Preset, split: Split, device: str
) -> Iterator[tuple[float, float]]:
    """Seconds and mean loss of each epoch the paper's way, from a network's parameters on."""
    clock, _, _ = clock_of(device)
    (layer,) = net.phases
    (edges,) = layer.batches
    field = plain.PlainLayer(edges.src.numpy(), edges.dst.numpy(), edges.params).to(device)
    network = plain.PlainNetwork(field, layer.nodes)
    goal = objective(get_task("friedman"), split, preset.recipe)
    optimiser = Optimiser(network, preset.recipe, goal.steps)

    def run(epoch: int) -> float:
        total, samples = 0.0, 0
        for number, (inputs, targets) in enumerate(goal.batches(epoch, field.params), 1):
            loss = functional.mse_loss(network(inputs), targets)
            total, samples = total + loss.item() * len(inputs), samples + len(inputs)
            optimiser.step(loss, (epoch - 1) * goal.steps + number)
        return total / samples

    for epoch in count(1):
        losses: list[float] = []
        took = clock(lambda epoch=epoch, losses=losses: losses.append(run(epoch)))
        yield took, losses[0]


@dataclass(frozen=True, eq=False)
class _Problem:
    """Initial voltages of a layer, and what its read-out nodes really end with.

    Args:
        v0: ``float64[S, N]``.
        truth: ``float64[S, M]``.
        outputs: ``int[M]``, columns.
        plain: dv/dt, the plain form.
        fast: the same numbers sooner, to look for a tolerance with.
    """

    v0: Tensor
    truth: np.ndarray
    outputs: np.ndarray
    plain: plain.PlainLayer
    fast: Callable[[Tensor | float, Tensor], Tensor]

    def error(self, v: Tensor) -> float:
        """How far read-outs are off at most."""
        return float(np.abs(v.numpy()[:, self.outputs] - self.truth).max())


def reference(size: Size, progress: Progress, where: str, device: str = "cpu") -> Result:
    """The golden solution that ``verify`` compares with, against torchdiffeq at the same error.

    Ours is computed on the CPU, torchdiffeq's on the device.
    """
    clock, of, on = clock_of(device)
    checkpoint = mixed_relu(size.side)
    model = checkpoint.model()
    inputs = np.stack([pixels(size.side**2, seed) for seed in range(size.samples)])
    v0 = model.initial_voltages(inputs)
    progress(f"reference of {size.samples} samples")
    found: list[Reference] = []

    def ours() -> None:
        found.append(solve(model.graph, v0, VERIFY))

    ours()
    times: list[float] = []
    problem = _problem(checkpoint, v0)
    problem.plain.to(device)
    error = float(np.abs(found[0].outputs - problem.truth).max())
    ways = {}
    for title, parts in (("all samples in one batch", [v0]), ("one by one", list(v0[:, None]))):
        progress(f"torchdiffeq, {title}: looking for method and tolerance")
        method, tolerance = _cheapest(problem, parts, error)
        progress(f"torchdiffeq, {title}: {method} at {tolerance:.1e}")
        times.append(clock(ours))
        results: list[Tensor] = []
        there = [torch.as_tensor(part, device=device) for part in parts]
        took = clock(
            lambda results=results, parts=there, method=method, tolerance=tolerance: results.extend(
                plain.solve(problem.plain, part, method, tolerance) for part in parts
            )
        )
        times.append(clock(ours))
        ways[title] = took, method, tolerance, problem.error(torch.cat(results).cpu())
    title, (baseline, method, tolerance, reached) = min(ways.items(), key=lambda way: way[1])
    others = "; ".join(f"{name}: {way[0]:.3g} s" for name, way in ways.items())
    return Result(
        f"reference / torchdiffeq on plain torch{on}",
        statistics.median(times), baseline, "s",
        f"{of} of {size.samples} samples on {where}, float64, a layer of {model.graph.edges} "
        f"shift_relu edges: kcompile.reference.solve with its error estimate, median of "
        f"{len(times)} ({min(times):.3g} to {max(times):.3g} s); baseline {method} at "
        f"{tolerance:.1e}, {title}, once ({others}); errors at the read-outs {error:.1e} and "
        f"{reached:.1e}, estimated {found[0].convergence_error:.1e}, against {TRUE_STEPS} "
        "Runge-Kutta steps",
        _void(error, reached, found[0].absolute_tolerance),
    )  # fmt: skip


def _void(error: float, reached: float, allowed: float) -> str | None:
    if error > allowed / 10:
        return f"the reference is {error:.2g} off"
    return None if reached <= 1.1 * error else f"the baseline is {reached:.2g} off"


def _problem(checkpoint, v0: np.ndarray) -> _Problem:
    graph = checkpoint.model().graph
    (batch,) = checkpoint.phases[0].batches
    field = plain.PlainLayer(batch.src, batch.dst, torch.as_tensor(batch.params).double())
    rhs = phase_rhs(graph, 0)
    columns = np.ascontiguousarray(v0.T)
    compiled_phase(graph, 0).rk4(columns, graph.phases[0].duration, TRUE_STEPS)
    outputs = graph.outputs - 1
    return _Problem(
        torch.as_tensor(v0), columns.T[:, outputs], outputs, field,
        lambda _t, v: torch.as_tensor(rhs(v.numpy())),
    )  # fmt: skip


def _cheapest(problem: _Problem, parts: list[np.ndarray], error: float) -> tuple[str, float]:
    """The method, and its loosest tolerance, that reach an error in the fewest evaluations."""
    best: tuple[int, str, float] | None = None
    for method in METHODS:
        for tolerance in GRID.tolist():
            calls = [0]

            def counted(t, v: Tensor, calls: list[int] = calls) -> Tensor:
                calls[0] += 1
                return problem.fast(t, v)

            solved = [
                plain.solve(counted, torch.as_tensor(part), method, tolerance) for part in parts
            ]
            if best is not None and calls[0] >= best[0]:
                break
            if problem.error(torch.cat(solved)) <= error:
                best = calls[0], method, tolerance
                break
    if best is None:
        raise RuntimeError(f"no tolerance of {GRID[0]:.0e} to {GRID[-1]:.0e} reaches {error:.1e}")
    return best[1:]
