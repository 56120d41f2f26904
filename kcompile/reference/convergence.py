"""Solving all samples, as finely as the comparison wants and with proof that it was enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from kcompile.errors import GraphError, InputError, UsageError
from kcompile.ir import FloatArray, Graph, hand_over, phase_output
from kcompile.reference.integrator import (
    TOGETHER,
    IntegrationError,
    PhaseSolution,
    Settings,
    integrate,
)
from kcompile.reference.pairs import pair_for
from kcompile.reference.rhs import RhsFactory, RightHandSide, phase_rhs
from kcompile.reference.solution import Reference, Trajectory

FINEST = 1e-13
"""The smallest rtol and atol worth asking for: below it, a solver chases rounding errors."""

FIRST = 1e-5
"""The solver's first tolerance, relative to the comparison's: tight enough that the errors a
report states are the circuit's, not the reference's. For the methods used here that is cheap."""

LAST = 1e-2
"""The loosest first tolerance, where the solver cannot go on with a tighter one."""

COARSEST = 1e-4
"""The largest rtol and atol that is used, however loose the comparison."""

ALWAYS_CHECKED = 8
CHECK_EVERY = 50

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Rounding error of a solution, relative to its voltages, below which nothing is claimed."""


def solve(
    graph: Graph,
    v0: FloatArray,
    tolerance: float,
    *,
    keep: Callable[[int], bool] = lambda sample: sample < ALWAYS_CHECKED,
    right_hand_side: RhsFactory = phase_rhs,
    on_progress: Callable[[int, int], None] | None = None,
) -> Reference:
    """The golden ODE solution in double precision, with an estimate of its own error.

    Every sample is solved on its own with ``rtol = atol = FIRST * tolerance`` and, for the first 8
    and every 50th, once more ten times finer. Both are tightened until the read-outs of the two
    differ by less than a tenth of ``E = tolerance * max(1, peak)``, peak being the largest
    read-out. Where double precision ends before that, the result says so and is not certified.

    Args:
        graph: the circuit.
        v0: ``float64[S, N]``, the first phase's voltages at t = 0, software units.
        tolerance: relative tolerance of the comparison that the result serves.
        keep: the samples whose interpolants stay in memory (others are solved again on demand).
        right_hand_side: prepares dv/dt of a phase.
        on_progress: called with (solves done, solves planned).

    Raises:
        InputError: ``v0`` has the wrong shape or is not finite.
        UsageError: the tolerance is not a positive, finite number.
        GraphError: a sample's voltages grow without bound, or are too stiff to be solved.
    """
    v0 = checked_start(graph, v0)
    if not (np.isfinite(tolerance) and tolerance > 0.0):
        raise UsageError(
            f"the tolerance is {tolerance!r}", hint="give a positive number such as 1e-3"
        )
    began = time.perf_counter()
    samples = len(v0)
    checked = tuple(s for s in range(samples) if s < ALWAYS_CHECKED or s % CHECK_EVERY == 0)
    solver = _Solver(graph, v0, right_hand_side)
    count = _Counter(samples + len(checked), on_progress)
    found = _converge(solver, checked, tolerance, keep, count)
    known = found.coarse
    rest = [sample for sample in range(samples) if sample not in known]
    known |= solver.trajectories(rest, found.settings, keep, count.add)
    outputs = np.stack([known[s].outputs for s in range(samples)])
    finals = tuple(
        np.stack([known[s].phases[k].final for s in range(samples)])
        for k in range(len(graph.phases))
    )
    peak = float(np.abs(outputs).max(initial=0.0))
    reason = found.reason(tolerance * max(1.0, peak), peak)
    return Reference(
        outputs, finals, tolerance, peak, found.settings.rtol, found.settings.atol,
        found.difference, checked, reason is None, reason, time.perf_counter() - began,
        lambda sample: solver.trajectories([sample], found.settings)[sample],
        {s: known[s] for s in range(samples) if keep(s)},
        solver.method, found.settings.steps,
    )  # fmt: skip


def restored(
    graph: Graph,
    v0: FloatArray,
    numbers: Mapping[str, Any],
    *,
    right_hand_side: RhsFactory = phase_rhs,
) -> Reference:
    """A reference out of what ``Reference.numbers`` gave, without solving anything.

    Args:
        graph, v0, right_hand_side: as ``solve`` was given them.
        numbers: from ``Reference.numbers``.

    Raises:
        ValueError: they do not fit.
    """
    v0 = checked_start(graph, v0)
    solver = _Solver(graph, v0, right_hand_side)
    plain = {f.name: numbers[f.name] for f in fields(Reference) if f.name in numbers}
    finals = tuple(np.asarray(numbers[f"final{k}"]) for k in range(len(graph.phases)))
    settings = Settings(plain["rtol"], plain["atol"], steps=plain["steps"])
    kept: dict[int, Trajectory] = {}

    def solve_again(sample: int) -> Trajectory:
        return solver.trajectories([sample], settings)[sample]

    found = Reference(**plain, finals=finals, solve_again=solve_again, kept=kept)
    shapes = [found.outputs.shape, *(final.shape for final in finals)]
    sizes = [len(graph.outputs), *(phase.nodes for phase in graph.phases)]
    if shapes != [(len(v0), size) for size in sizes]:
        raise ValueError("a stored reference of other samples")
    kept.update({s: solve_again(s) for s in range(min(ALWAYS_CHECKED, len(v0)))})
    return found


class _Solver:
    """Solves samples of one graph, a few at a time."""

    def __init__(self, graph: Graph, v0: FloatArray, right_hand_side: RhsFactory) -> None:
        self._graph = graph
        self._v0 = v0
        self._pairs = [pair_for(phase) for phase in graph.phases]
        self._rhs: list[RightHandSide] = [
            right_hand_side(graph, phase) for phase in range(len(graph.phases))
        ]

    @property
    def method(self) -> str:
        """What the phases are solved with."""
        return ", ".join(dict.fromkeys(pair.name for pair in self._pairs))

    def trajectories(
        self,
        samples: Sequence[int],
        settings: Settings,
        dense: Callable[[int], bool] = lambda _sample: True,
        solved: Callable[[], None] = lambda: None,
    ) -> dict[int, Trajectory]:
        """Samples through all phases, by their numbers.

        Args:
            samples: their numbers.
            settings: tolerances.
            dense: of which the interpolants are wanted.
            solved: called once for each.

        Raises:
            GraphError: the solver could not go on.
        """
        found: dict[int, Trajectory] = {}
        for start in range(0, len(samples), TOGETHER):
            few = samples[start : start + TOGETHER]
            for sample, trajectory in zip(few, self._solve(few, settings, dense), strict=True):
                found[sample] = trajectory
                solved()
        return found

    def _solve(
        self, samples: Sequence[int], settings: Settings, dense: Callable[[int], bool]
    ) -> list[Trajectory]:
        graph = self._graph
        phases: list[list[PhaseSolution]] = []
        passed: list[FloatArray] = []
        v = self._v0[list(samples)]
        wanted = [dense(sample) for sample in samples]
        for index, phase in enumerate(graph.phases):
            start = hand_over(v, phase)
            try:
                solutions = integrate(
                    self._rhs[index], start, phase.duration, settings, self._pairs[index], wanted
                )
            except IntegrationError as error:
                raise GraphError(
                    f"the ODE of sample {samples[error.sample]} {error}",
                    where=f"phase {index}",
                    hint="the network has no usable solution for this input",
                ) from error
            phases.append(solutions)
            v = phase_output(graph, index, np.stack([each.final for each in solutions]), passed)
            passed.append(v)
        outputs = v[:, graph.outputs - 1]
        return [
            Trajectory(of_phases, output)
            for of_phases, output in zip(zip(*phases, strict=True), outputs, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Convergence:
    """The settings that were arrived at and what they are good for."""

    settings: Settings
    coarse: dict[int, Trajectory]
    difference: float
    obstacle: str

    def reason(self, allowed: float, peak: float) -> str | None:
        """Why the solution cannot serve a comparison to within ``allowed``, or None."""
        rounding = ROUNDING * max(1.0, peak)
        if self.difference >= allowed / 10:
            known = f"{self.difference:.2g}" if np.isfinite(self.difference) else "an unknown bound"
            return (
                f"the reference is certain to {known} only, a tolerance of {allowed:.2g} needs "
                f"{allowed / 10:.2g}: {self.obstacle}"
            )
        if rounding >= allowed / 10:
            return (
                f"a tolerance of {allowed:.2g} is beyond double precision, which carries "
                f"{rounding:.2g} here"
            )
        return None


def _converge(
    solver: _Solver,
    checked: tuple[int, ...],
    tolerance: float,
    keep: Callable[[int], bool],
    count: _Counter,
) -> _Convergence:
    """Tightens the solver until two solutions of the checked samples agree well enough."""

    def run(settings: Settings) -> dict[int, Trajectory]:
        return solver.trajectories(checked, settings, keep, count.add)

    obstacle = "double precision allows no finer steps"
    settings, coarse = _begin(run, tolerance)
    level, difference = 0, float("inf")
    while True:
        level += 1
        finer = _level(settings.rtol / 10, level)
        try:
            fine = run(finer)
        except GraphError as error:
            # The last difference known, if any, is of a coarser pair: it bounds this one's error.
            return _Convergence(settings, coarse, difference, error.message)
        difference = _difference(coarse, fine)
        peak = max(float(np.abs(t.outputs).max(initial=0.0)) for t in fine.values())
        enough = difference < tolerance * max(1.0, peak) / 10
        if enough or finer.rtol < 10 * FINEST:
            return _Convergence(settings, coarse, difference, obstacle)
        settings, coarse = finer, fine
        count.extend(len(checked))


def _begin(
    run: Callable[[Settings], dict[int, Trajectory]], tolerance: float
) -> tuple[Settings, dict[int, Trajectory]]:
    """The first solutions: as tight as can be had between ``FIRST`` and ``LAST``."""
    first = min(max(FIRST * tolerance, 10 * FINEST), COARSEST)
    while True:
        settings = _level(first, 0)
        try:
            return settings, run(settings)
        except GraphError:
            if first >= LAST * tolerance:
                raise
            first *= 10


def _level(tolerance: float, level: int) -> Settings:
    # Differing step caps: two solutions that look at the same instants would miss the same events.
    return Settings(tolerance, tolerance, steps=16 + 7 * level)


def _difference(one: dict[int, Trajectory], other: dict[int, Trajectory]) -> float:
    return max(
        float(np.abs(one[sample].outputs - other[sample].outputs).max(initial=0.0))
        for sample in one
    )


class _Counter:
    """Counts solves for those who show progress."""

    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._report = 0, total, report

    def extend(self, more: int) -> None:
        """Plans further solves."""
        self._total += more

    def add(self) -> None:
        """One solve more is done."""
        self._done += 1
        if self._report is not None:
            self._report(self._done, self._total)


def checked_start(graph: Graph, v0: FloatArray) -> FloatArray:
    """The initial voltages as ``float64[S, N]``.

    Raises:
        InputError: they have the wrong shape or are not finite.
    """
    v0 = np.asarray(v0, dtype=np.float64)
    nodes = graph.phases[0].nodes
    if v0.ndim != 2 or v0.shape[1] != nodes or not len(v0):
        raise InputError(
            f"initial voltages of shape {list(v0.shape)}",
            hint=f"give [samples, {nodes}], one sample or more",
        )
    if not np.isfinite(v0).all():
        raise InputError("an initial voltage is NaN or infinite", hint="clean the data")
    return v0
