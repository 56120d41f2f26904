"""Noise through the network: many noisy solutions of the ODE beside the one without noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kcompile.ir import FloatArray, Graph, hand_over, phase_output
from kcompile.physics.edge_noise import NodeNoise, NoiseModel
from kcompile.physics.flow import Flow
from kcompile.physics.noise import decibels, kt_over_c
from kcompile.physics.quadrature import panel_edges
from kcompile.physics.sample import written_nodes
from kcompile.reference import Trajectory
from kcompile.units import Scale

PANELS = 16
"""Least panels of a phase, in each of which the edges' noise is added twice."""

_SOLVED = 3
"""Steps of the reference's solver in a panel, where there are more panels than that."""

_PLACES = (0.5 - 12**-0.5, 12**-0.5 * 2, 0.5 - 12**-0.5)
"""The shares of a panel before, between and after Gauss's two points."""

ACCURACY = 1e-3
"""How well steps must meet the reference, relative: noise needs no more."""

_MOST_STEPS = 256
_SAMPLED, _BOTH = range(2)


@dataclass(frozen=True, slots=True, eq=False)
class NoiseFigures:
    """What noise does to the read-outs, software units.

    Args:
        signal: ``float64[S, M]``, the read-outs without noise.
        sampled, both: ``float64[S, R, M]``, R draws of how far noise moves them: of the sampled
            voltages alone, and with that of the edges' currents.
        step_error: how far the steps taken were from the reference, relative.
    """

    signal: FloatArray
    sampled: FloatArray
    both: FloatArray
    step_error: float

    @property
    def current(self) -> FloatArray:
        """What the currents' noise adds, ``float64[S, R, M]``."""
        return self.both - self.sampled

    @property
    def signal_rms(self) -> float:
        """Over samples and read-outs."""
        return float(np.sqrt(np.mean(self.signal**2)))

    @property
    def sampled_rms(self) -> float:
        """Of the sampled voltages' noise: of the median sample, as all that follow."""
        return float(np.median(_by_sample(self.sampled)))

    @property
    def current_rms(self) -> float:
        """Of the currents' noise."""
        return float(np.median(_by_sample(self.current)))

    @property
    def both_rms(self) -> float:
        """Of all noise."""
        return float(np.median(_by_sample(self.both)))

    @property
    def finite(self) -> bool:
        """Whether every noisy solution came to an end."""
        return bool(np.isfinite(self.both).all())

    @property
    def snr(self) -> float | None:
        """Signal to noise of the median sample, dB: None without noise, -inf without signal.

        The median, for a few samples near a watershed of a network's flow may be moved a thousand
        times as far as the others and would stand for all.
        """
        return decibels(self.signal_rms, self.both_rms)

    @property
    def no_ratio(self) -> str | None:
        """Why ``snr`` is no finite number: ``no noise``, ``no signal``, ``beyond measure``."""
        if self.finite and self.both_rms == 0.0:
            return "no noise"
        if self.signal_rms == 0.0:
            return "no signal"
        return None if self.finite else "beyond measure"

    @property
    def worst_snr(self) -> float | None:
        """That of the sample with most noise."""
        return decibels(self.signal_rms, float(_by_sample(self.both).max()))

    @property
    def snr_error(self) -> float:
        """The standard error of ``snr``, dB, as far as the draws are few."""
        median = int(np.argsort(_by_sample(self.both))[len(self.both) // 2])
        squares: FloatArray = np.mean(self.both[median] ** 2, axis=1)
        mean = float(np.mean(squares))
        if mean == 0.0 or len(squares) < 2:
            return 0.0
        spread = float(np.std(squares, ddof=1))
        relative = spread / (mean * len(squares) ** 0.5)
        return 10.0 / math.log(10.0) * relative


def noise_figures(
    graph: Graph,
    trajectories: Iterable[Trajectory],
    model: NoiseModel,
    scale: Scale,
    draws: int,
    seed: int = 0,
    on_sample: Callable[[int], None] = lambda _done: None,
) -> NoiseFigures:
    """What sampled voltages' and currents' noise does to the read-outs.

    Each voltage that is put onto a node is off by a draw of ``sqrt(kT/C)``. Edges' noise is white
    and follows the noiseless currents. It is added at two instants of every panel, between which
    the equations are solved without noise: Gauss's points, so that what the noise of a panel has
    grown or shrunk to at its end has the right mean square up to the fourth order of its length.
    What a noisy solution differs by is told from one without noise that took the same steps.

    Args:
        graph: the circuit.
        trajectories: one a sample, with their interpolants; one at a time is held.
        model: which noise.
        scale: the unit system.
        draws: R, of each kind.
        seed: of the draws; a sample's do not depend on the others.
        on_sample: hears how many are done.

    Raises:
        UsageError: the interpolants of a sample were not kept.
    """
    solver = _NoisySolver(graph, model, scale)
    signal: list[FloatArray] = []
    found: list[FloatArray] = []
    error = 0.0
    for number, trajectory in enumerate(trajectories):
        random = np.random.default_rng([seed, number])
        deviations, missed = solver.run(trajectory, draws, random)
        found.append(deviations)
        signal.append(trajectory.outputs)
        error = max(error, missed)
        on_sample(number + 1)
    kinds = np.stack(found).reshape(len(found), 2, draws, -1)
    return NoiseFigures(np.stack(signal), kinds[:, _SAMPLED], kinds[:, _BOTH], error)


class _NoisySolver:
    """Solves one sample many times; column 0 is without noise, R columns of each kind follow."""

    def __init__(self, graph: Graph, model: NoiseModel, scale: Scale) -> None:
        self._graph, self._model, self._scale = graph, model, scale
        phases = range(len(graph.phases))
        self._flows = [Flow(graph, phase) for phase in phases]
        self._noise = [NodeNoise(graph, phase, model, scale) for phase in phases]

    def run(
        self, trajectory: Trajectory, draws: int, random: np.random.Generator
    ) -> tuple[FloatArray, float]:
        """How far the read-outs are off, ``float64[2 R, M]``, and the steps' own error."""
        graph = self._graph
        v = np.repeat(trajectory.at(0, np.zeros(1)), 1 + 2 * draws, axis=0)
        passed: list[FloatArray] = []
        error = 0.0
        for index, phase in enumerate(graph.phases):
            state = np.ascontiguousarray(hand_over(v, phase).T)
            self._sample(index, state, draws, random)
            error = max(error, self._run_phase(index, trajectory, state, draws, random))
            v = phase_output(graph, index, np.ascontiguousarray(state.T), passed)
            passed.append(v)
        outputs = v[:, graph.outputs - 1]
        return outputs[1:] - outputs[0], error

    def _sample(
        self, phase: int, state: FloatArray, draws: int, random: np.random.Generator
    ) -> None:
        """Adds the noise of voltages that are put onto nodes to ``state [N, 1 + 2 R]``."""
        nodes = written_nodes(self._graph, phase)
        farads = self._scale.c0 * self._graph.capacitance[nodes]
        spread = kt_over_c(farads, self._model.kelvin)[:, None] / self._scale.v0
        noise = spread * random.normal(size=(len(nodes), draws))
        for kind in (_SAMPLED, _BOTH):
            state[nodes, _columns(kind, draws)] += noise

    def _run_phase(
        self,
        index: int,
        trajectory: Trajectory,
        state: FloatArray,
        draws: int,
        random: np.random.Generator,
    ) -> float:
        """Moves ``state`` to the phase's end; gives the error of the steps."""
        flow, noise = self._flows[index], self._noise[index]
        ends = panel_edges(trajectory, index, _panels(trajectory, index))
        steps, error = _settled_steps(flow, trajectory, index, ends)
        middles = trajectory.at(index, (ends[:-1] + ends[1:]) / 2)
        for length, middle in zip(np.diff(ends).tolist(), middles, strict=True):
            kick = noise.factor(middle) * (length / 2) ** 0.5
            first, *others = _PLACES
            flow.advance(state, length * first, steps)
            for share in others:
                normal = random.normal(size=(len(state), draws))
                state[:, _columns(_BOTH, draws)] += kick @ normal
                flow.advance(state, length * share, steps)
        return error


def _panels(trajectory: Trajectory, phase: int) -> int:
    return max(PANELS, len(trajectory.steps(phase)) // _SOLVED)


def _columns(kind: int, draws: int) -> slice:
    return slice(1 + kind * draws, 1 + (kind + 1) * draws)


def _settled_steps(
    flow: Flow, trajectory: Trajectory, phase: int, ends: FloatArray
) -> tuple[int, float]:
    """How many steps each part of a panel takes, and how far they are then from the reference."""
    start, final = trajectory.at(phase, ends[[0, -1]])
    size = max(1.0, float(np.abs(final).max()))
    steps = 1
    while True:
        state = start[:, None].copy()
        for length in np.outer(np.diff(ends), _PLACES).ravel().tolist():
            flow.advance(state, length, steps)
        error = float(np.abs(state[:, 0] - final).max()) / size
        if error < ACCURACY or steps >= _MOST_STEPS:
            return steps, error
        steps *= 2


def _by_sample(deviations: FloatArray) -> FloatArray:
    """The rms of each sample's ``[S, R, M]``, over draws and read-outs."""
    return np.sqrt(np.mean(deviations**2, axis=(1, 2)))
