"""The solution under imperfect timing, against the definition, limits that are known, and solve."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from kcompile.errors import GraphError, InputError, UsageError
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phase, derivative
from kcompile.reference import ScheduledCircuit, schedule, solve, solve_schedule
from kcompile.timing import Timing

START = np.array([[0.5, -0.25, 0.0], [-1.0, 0.7, 0.2]])
IMPERFECT = {
    "rise": Timing(rise=0.3),
    "dead": Timing(dead=0.5),
    "overlap": Timing(overlap=0.3, rise=0.1),
    "late": Timing(late=0.1),
    "skew": Timing(skew=0.1, seed=2),
    "charge": Timing(charge=0.2),
    "leak": Timing(leak=0.5, dead=0.5),
    "all": Timing(rise=0.1, overlap=0.2, late=0.05, skew=0.1, charge=-0.1, leak=0.3),
}


def graph_of(phi: str = "tanh") -> Graph:
    graph = make_model(nodes=(3, 4), phi=phi).graph
    return Graph(graph.phases, 2, [1, 4], np.array([1.0, 0.5, 2.0, 1.5]))


def by_definition(graph: Graph, timing: Timing, start: FloatArray) -> FloatArray:
    """Final voltages by scipy, edge by edge, from one corner to the next."""
    phases = graph.phases
    times = timing.schedule([p.duration for p in phases], [p.nodes for p in phases])

    def slope(t: float, v: FloatArray, middle: float) -> FloatArray:
        total = -timing.leak * v
        for k, phase in enumerate(phases):
            gates = np.broadcast_to(times.gates(k, t), phase.nodes)
            for batch in phase.batches:
                rows = np.maximum(batch.src, batch.dst) - 1
                lone = EdgeBatch(
                    batch.phi, batch.src, batch.dst, batch.column("w") * gates[rows],
                    batch.a, batch.b, batch.c,
                )  # fmt: skip
                one = Graph((Phase(phase.nodes, 1.0, (lone,)),), 0, [1])
                total[: phase.nodes] += derivative(one, 0, v[: phase.nodes])
            total[: phase.nodes] += timing.charge * times.pulses(k, middle)
        return total / graph.capacitance

    corners = np.concatenate([times.corners(k).ravel() for k in range(len(phases))])
    cuts = np.unique(np.append(corners, 0.0))
    v = np.concatenate((start, np.zeros(graph.nodes - len(start))))
    for begin, end in pairwise(cuts.tolist()):
        v = solve_ivp(slope, (begin, end), v, args=((begin + end) / 2,), rtol=1e-9, atol=1e-10).y[
            :, -1
        ]
    return v


@pytest.mark.parametrize("phi", ["tanh", "relu"])
@pytest.mark.parametrize("name", IMPERFECT)
def test_the_solution_is_that_of_the_definition(name: str, phi: str) -> None:
    graph, timing = graph_of(phi), IMPERFECT[name]
    found = solve_schedule(graph, timing, START, 1e-4)
    assert found.certified
    assert found.convergence_error < found.absolute_tolerance / 100
    for sample, start in enumerate(START):
        expected = by_definition(graph, timing, start)
        np.testing.assert_allclose(found.outputs[sample], expected[[0, 3]], atol=2e-6)
        np.testing.assert_allclose(found.finals[-1][sample], expected, atol=1e-5)


@pytest.mark.parametrize("name", IMPERFECT)
def test_without_the_kernel_the_same_comes_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, timing = graph_of(), IMPERFECT[name]
    fast = ScheduledCircuit(graph, timing).outputs(START, 64)
    monkeypatch.setenv("KCOMPILE_KERNEL", "none")
    np.testing.assert_allclose(ScheduledCircuit(graph, timing).outputs(START, 64), fast, atol=1e-12)


@settings(max_examples=10)
@given(st.floats(1e-3, 0.9), st.floats(0.0, 2.0))
def test_rise_and_dead_time_change_nothing(rise: float, dead: float) -> None:
    """An autonomous ODE does not mind at which pace it is run, nor a pause in which all holds."""
    graph = graph_of()
    ideal = solve(graph, START, 1e-4)
    found = solve_schedule(graph, Timing(rise=rise, dead=dead), START, 1e-4)
    np.testing.assert_allclose(found.outputs, ideal.outputs, atol=1e-6)


def test_skew_in_a_lone_layer_hurts_and_a_common_delay_would_not() -> None:
    graph = make_model(nodes=(3,), phi="tanh").graph
    ideal = solve(graph, START, 1e-4).outputs
    error = {
        skew: np.abs(solve_schedule(graph, Timing(skew=skew), START, 1e-4).outputs - ideal).max()
        for skew in (0.01, 0.02)
    }
    assert error[0.01] > 1e-4
    assert error[0.02] == pytest.approx(2 * error[0.01], rel=0.2)


def test_overlap_is_of_second_order_and_late_gates_of_first() -> None:
    """Of two gates that overlap with their areas kept only the order of events is wrong."""
    graph = graph_of()
    ideal = solve(graph, START, 1e-5).outputs

    def error(**timing: float) -> float:
        return np.abs(solve_schedule(graph, Timing(**timing), START, 1e-5).outputs - ideal).max()

    assert error(overlap=0.04) / error(overlap=0.02) == pytest.approx(4.0, rel=0.15)
    assert error(late=0.02) / error(late=0.01) == pytest.approx(2.0, rel=0.1)


def empty(*durations: float, capacitance: FloatArray) -> Graph:
    nodes = len(capacitance)
    phases = tuple(Phase(nodes, duration, ()) for duration in durations)
    return Graph(phases, nodes, [*range(1, nodes + 1)], capacitance)


def test_charge_moves_every_node_by_q_over_c_once_a_layer() -> None:
    capacitance = np.array([1.0, 2.0, 0.5])
    graph = empty(1.0, 0.5, capacitance=capacitance)
    for timing in (Timing(charge=0.3), Timing(charge=0.3, skew=0.2), Timing(charge=0.3, rise=0.7)):
        found = ScheduledCircuit(graph, timing).outputs(START, 32)
        np.testing.assert_allclose(found, START + 2 * 0.3 / capacitance, atol=1e-13)


def test_without_edges_nodes_leak_exponentially_at_all_times() -> None:
    capacitance = np.array([1.0, 2.0, 0.5])
    graph = empty(1.0, 0.5, capacitance=capacitance)
    timing = Timing(leak=0.4, dead=1.5)
    stop = timing.schedule([1.0, 0.5], [3, 3]).stop
    found = solve_schedule(graph, timing, START, 1e-5)
    expected = START * np.exp(-timing.leak / capacitance * stop)
    np.testing.assert_allclose(found.outputs, expected, atol=1e-8)


@pytest.mark.parametrize("name", IMPERFECT)
def test_waveforms_go_through_the_solution(name: str) -> None:
    """At the ends of the windows they are the final voltages, and within them they are smooth."""
    graph, timing = graph_of(), IMPERFECT[name]
    found = solve_schedule(graph, timing, START, 1e-4)
    circuit = ScheduledCircuit(graph, timing)
    waves_of = [found.trajectory(sample) for sample in range(len(START))]
    for sample in range(len(START)):
        for k, (begin, end) in enumerate(circuit.schedule.windows):
            times = np.linspace(0.0, end - begin, 7)
            waves = waves_of[sample].at(k, times)
            np.testing.assert_allclose(waves[-1], found.finals[k][sample], atol=1e-9)
            if k == 0:
                np.testing.assert_allclose(waves[0], START[sample], atol=1e-12)
    fine: list[tuple[float, FloatArray]] = []
    circuit.states(START[:1], 512, lambda t, v, slope: fine.append((t, v[:, 0])))
    for t, v in fine[:: len(fine) // 50]:
        k = max(k for k, (begin, _) in enumerate(circuit.schedule.windows) if begin <= t)
        at = np.array([t - circuit.schedule.windows[k][0]])
        np.testing.assert_allclose(waves_of[0].at(k, at)[0], v[: graph.phases[k].nodes], atol=1e-5)


def test_what_cannot_be_solved_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_MOST", 256)
    graph = graph_of()
    with pytest.raises(InputError, match="initial voltages"):
        solve_schedule(graph, Timing(), START[:, :2], 1e-3)
    with pytest.raises(UsageError, match="tolerance"):
        solve_schedule(graph, Timing(), START, 0.0)
    (batch,) = graph.phases[0].batches
    unstable = EdgeBatch("identity", batch.src, batch.dst, -50.0, 1.0, -1.0, 0.0)
    phases = (Phase(3, 30.0, (unstable,)),)
    with pytest.raises(GraphError, match="without bound"):
        solve_schedule(Graph(phases, 2, [1]), Timing(), START, 1e-3)


def test_what_is_not_certain_enough_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_MOST", 256)
    graph = graph_of("relu")
    found = solve_schedule(graph, Timing(late=0.1), START, 1e-9)
    assert not found.certified
    assert found.reason is not None
    assert "steps a layer are not enough" in found.reason
