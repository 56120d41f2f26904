"""The golden solution against closed forms, and its certificate against solvers that are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from kcompile.errors import GraphError, InputError, UsageError
from kcompile.ir import EdgeBatch, Fill, FloatArray, Graph, Phase, Phi
from kcompile.reference import RightHandSide, phase_rhs, solve


def linear_phase(
    nodes: int, seed: int, fill: Fill = Fill.ZERO, residual: int | None = None
) -> tuple[Phase, FloatArray, FloatArray]:
    """A phase of identity edges, and the matrix and vector of ``dv/dt = A v + k``."""
    random = np.random.default_rng(seed)
    edges = 4 * nodes
    src, dst = random.integers(0, nodes + 1, (2, edges))
    w, a, b, c = random.normal(size=(4, edges)) * 0.7
    matrix, constant = np.zeros((nodes + 1, nodes + 1)), np.zeros(nodes + 1)
    for e in range(edges):
        for node, sign in ((src[e], -1.0), (dst[e], 1.0)):
            matrix[node, src[e]] += sign * w[e] * a[e]
            matrix[node, dst[e]] += sign * w[e] * b[e]
            constant[node] += sign * w[e] * c[e]
    batch = EdgeBatch(Phi.IDENTITY, src, dst, w, a, b, c)
    return Phase(nodes, 1.3, (batch,), fill, residual), matrix[1:, 1:], constant[1:]


def linear_flow(matrix: FloatArray, constant: FloatArray, v: FloatArray, t: float) -> FloatArray:
    """v(t) of ``dv/dt = A v + k`` by the matrix exponential of the augmented system."""
    size = len(v)
    augmented = np.zeros((size + 1, size + 1))
    augmented[:size, :size], augmented[:size, size] = matrix, constant
    return (np.asarray(expm(augmented * t), dtype=np.float64) @ np.append(v, 1.0))[:size]


def single(phi: Phi, *, c: float = 0.0, w: float = 1.0, duration: float = 1.0) -> Graph:
    """One node that discharges into ground: ``dv/dt = -w*phi(v + c)``."""
    edge = EdgeBatch(phi, [1], [0], w, 1.0, 0.0, c)
    return Graph((Phase(1, duration, (edge,)),), 1, [1])


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_linear_networks_follow_the_matrix_exponential(tolerance: float) -> None:
    phase, matrix, constant = linear_phase(5, seed=1)
    graph = Graph((phase,), 5, [5, 2])
    v0 = np.random.default_rng(2).normal(size=(3, 5))
    reference = solve(graph, v0, tolerance)
    exact = np.stack([linear_flow(matrix, constant, v, 1.3) for v in v0])
    np.testing.assert_array_equal(reference.outputs, reference.finals[0][:, [4, 1]])
    error = np.abs(reference.finals[0] - exact).max()
    assert error < tolerance * max(1.0, reference.peak) / 10
    assert reference.certified
    assert reference.reason is None
    halfway = reference.at(1, 0, np.array([0.0, 0.5, 1.3]))
    expected = [linear_flow(matrix, constant, v0[1], t) for t in (0.0, 0.5, 1.3)]
    np.testing.assert_allclose(halfway, expected, atol=tolerance)


@pytest.mark.parametrize("fill", list(Fill))
@pytest.mark.parametrize("sizes", [(3, 5, 2), (4, 4, 4), (2, 5, 5)])
def test_hand_over_between_phases(fill: Fill, sizes: tuple[int, int, int]) -> None:
    """Growing, shrinking and equal layers, zero and repeat, and a residual where sizes allow."""
    residual = {(4, 4, 4): 0, (2, 5, 5): 1}.get(sizes)
    built = [linear_phase(n, 10 + n + k, fill) for k, n in enumerate(sizes)]
    if residual is not None:
        built[2] = linear_phase(sizes[2], 10 + sizes[2] + 2, fill, residual)
    graph = Graph(tuple(phase for phase, _, _ in built), sizes[0], [1, sizes[2]])
    v0 = np.random.default_rng(3).normal(size=(2, sizes[0]))
    reference = solve(graph, v0, 1e-6)
    for sample, start in enumerate(v0):
        passed: list[FloatArray] = []
        v = start
        for k, (phase, matrix, constant) in enumerate(built):
            missing = phase.nodes - len(v)
            tail = np.zeros(max(missing, 0)) if fill is Fill.ZERO else np.resize(v, phase.nodes)[
                len(v) :
            ]  # fmt: skip
            v = linear_flow(matrix, constant, np.append(v, tail)[: phase.nodes], 1.3)
            np.testing.assert_allclose(reference.finals[k][sample], v, atol=1e-6)
            if phase.residual is not None:
                v = v + passed[phase.residual]
            passed.append(v)
        np.testing.assert_allclose(reference.outputs[sample], v[[0, sizes[2] - 1]], atol=1e-6)


def test_relu_decays_to_its_threshold() -> None:
    reference = solve(single(Phi.RELU, c=-0.5, w=2.0), np.array([[1.5], [0.2]]), 1e-6)
    expected = [[0.5 + np.exp(-2.0)], [0.2]]
    np.testing.assert_allclose(reference.outputs, expected, atol=1e-7)


def test_relu_that_switches_on_along_the_way() -> None:
    charge = EdgeBatch(Phi.IDENTITY, [0], [1], 1.0, 0.0, 0.0, 1.0)
    clamp = EdgeBatch(Phi.RELU, [1], [0], 1.0, 1.0, 0.0, -1.0)
    graph = Graph((Phase(1, 2.5, (charge, clamp)),), 1, [1])
    reference = solve(graph, np.zeros((1, 1)), 1e-6)
    times = np.linspace(0.0, 2.5, 11)
    expected = np.where(times < 1.0, times, 2.0 - np.exp(np.minimum(1.0 - times, 0.0)))
    np.testing.assert_allclose(reference.at(0, 0, times)[:, 0], expected, atol=1e-6)


def test_a_short_event_is_not_leapt_over() -> None:
    """A node at rest is woken for a hundredth of the phase by one that passes a narrow window."""
    width = 0.01
    ramp = EdgeBatch(Phi.IDENTITY, [0], [1], 1.0, 0.0, 0.0, 1.0)
    triangle = [1e4, -2e4, 1e4], [-0.53, -0.53 - width / 2, -0.53 - width]
    bump = EdgeBatch(Phi.RELU, [1] * 3, [2] * 3, triangle[0], 1.0, 0.0, triangle[1])
    # What node 1 gives away, ground returns, so that it goes on at unit speed.
    back = EdgeBatch(Phi.RELU, [0] * 3, [1] * 3, triangle[0], 0.0, 1.0, triangle[1])
    graph = Graph((Phase(2, 1.0, (ramp, bump, back)),), 2, [2])
    reference = solve(graph, np.zeros((1, 2)), 1e-4)
    assert reference.outputs[0, 0] == pytest.approx(1e4 * width**2 / 4, abs=1e-4)


def test_tanh_has_its_closed_form() -> None:
    v0 = np.array([[2.0], [-0.3]])
    reference = solve(single(Phi.TANH, duration=1.7), v0, 1e-8)
    np.testing.assert_allclose(reference.outputs, np.arcsinh(np.sinh(v0) * np.exp(-1.7)), atol=1e-9)


@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-4, 1e-6])
def test_the_error_estimate_bounds_the_true_error(tolerance: float) -> None:
    """Closed form against estimate: a solver ten times finer must not be a formality."""
    v0 = np.linspace(-3.0, 3.0, 8)[:, None]
    reference = solve(single(Phi.TANH, duration=2.0), v0, tolerance)
    exact = np.arcsinh(np.sinh(v0) * np.exp(-2.0))
    error = np.abs(reference.outputs - exact).max()
    assert 0.0 < error < 3 * reference.convergence_error
    assert reference.convergence_error < tolerance / 10


def rounded(graph: Graph, phase: int) -> RightHandSide:
    """A right-hand side in single precision: errors that no step size can cure."""
    exact = phase_rhs(graph, phase)
    return lambda v: (
        exact(v.astype(np.float32).astype(np.float64)).astype(np.float32).astype(np.float64)
    )


def test_errors_that_no_step_size_cures_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kcompile.reference.integrator.STEP_BUDGET", 2000)
    phase, _, _ = linear_phase(6, seed=4)
    graph = Graph((phase,), 6, list(range(1, 7)))
    v0 = np.random.default_rng(5).normal(size=(1, 6))
    honest = solve(graph, v0, 3e-7)
    assert honest.certified
    spoilt = solve(graph, v0, 3e-7, right_hand_side=rounded)
    assert not spoilt.certified
    assert spoilt.reason is not None
    true_error = np.abs(spoilt.outputs - honest.outputs).max()
    assert true_error > 1e-9
    # An infinite estimate ("unknown") would be an honest answer too.
    assert spoilt.convergence_error > true_error / 30


def test_a_trajectory_far_above_the_outputs_tightens_the_solver() -> None:
    """A rotation of radius 1e4, read where it crosses 0: the peak says nothing of its size."""
    rate = 4.0
    turn = EdgeBatch(Phi.IDENTITY, [2], [1], 1.0, -rate, -rate, 0.0)
    own = EdgeBatch(Phi.IDENTITY, [1, 2], [0, 0], 1.0, [-rate, rate], 0.0, 0.0)
    graph = Graph((Phase(2, 40 * np.pi / rate, (turn, own)),), 1, [2])
    reference = solve(graph, np.array([[1e4, 0.0]]), 1e-3)
    assert np.abs(reference.outputs).max() < 1e-4
    assert reference.rtol < 5e-6
    assert reference.certified
    np.testing.assert_allclose(reference.finals[0], [[1e4, 0.0]], atol=1e-4)


@pytest.mark.parametrize("tolerance", [1e-14, 1e-16, 1e-300])
def test_what_double_precision_cannot_carry_is_not_certified(tolerance: float) -> None:
    reference = solve(single(Phi.TANH), np.array([[1.0]]), tolerance)
    assert not reference.certified
    assert reference.reason is not None
    assert "double precision" in reference.reason
    np.testing.assert_allclose(reference.outputs, np.arcsinh(np.sinh(1.0) / np.e), atol=1e-11)


def test_the_peak_widens_the_tolerance() -> None:
    reference = solve(single(Phi.IDENTITY), np.array([[100.0], [-3000.0]]), 1e-3)
    assert reference.peak == pytest.approx(3000 / np.e, rel=1e-3)
    assert reference.absolute_tolerance == pytest.approx(3 / np.e, rel=1e-3)


def test_samples_are_solved_independently() -> None:
    """A sample's answer must not move with its batch-mates."""
    graph = single(Phi.TANH, duration=2.0)
    alone = solve(graph, np.array([[0.7]]), 1e-6)
    together = solve(graph, np.array([[50.0], [0.7], [-20.0]]), 1e-6)
    assert alone.outputs[0, 0] == together.outputs[1, 0]


def test_only_wanted_samples_stay_in_memory_and_the_others_come_back_the_same() -> None:
    v0 = np.linspace(-1.0, 1.0, 5)[:, None]
    graph = single(Phi.TANH)
    some = solve(graph, v0, 1e-6, keep=lambda s: s == 1)
    everything = solve(graph, v0, 1e-6, keep=lambda _: True)
    assert set(some.kept) == {1}
    times = np.linspace(0.0, 1.0, 7)
    for sample in range(5):
        np.testing.assert_array_equal(some.at(sample, 0, times), everything.at(sample, 0, times))
        assert some.trajectory(sample).outputs == some.outputs[sample]


def test_the_first_eight_and_every_fiftieth_are_solved_twice() -> None:
    calls: list[tuple[int, int]] = []
    v0 = np.linspace(-1.0, 1.0, 101)[:, None]
    reference = solve(
        single(Phi.TANH), v0, 1e-3, on_progress=lambda done, total: calls.append((done, total))
    )
    assert reference.checked == (*range(8), 50, 100)
    assert calls[-1] == (111, 111)
    assert [done for done, _ in calls] == list(range(1, 112))


def test_a_diverging_sample_is_named() -> None:
    graph = single(Phi.IDENTITY, w=-2000.0)
    with pytest.raises(GraphError, match=r"phase 0: the ODE of sample 1 grows without bound"):
        solve(graph, np.array([[0.0], [1.0]]), 1e-3)


def test_a_sample_that_is_infinite_at_once_is_named() -> None:
    graph = single(Phi.IDENTITY, w=1e300)
    with pytest.raises(GraphError, match="sample 0 grows without bound at t = 0"):
        solve(graph, np.array([[1e300]]), 1e-3)


def test_times_beyond_the_end_by_rounding_give_the_end() -> None:
    reference = solve(single(Phi.TANH), np.array([[1.0]]), 1e-6)
    late = reference.at(0, 0, np.array([1.0 + 1e-12]))
    np.testing.assert_allclose(late, reference.finals[0], atol=1e-12)
    assert reference.at(0, 0, np.array([])).shape == (0, 1)


@pytest.mark.parametrize(
    ("v0", "message"),
    [
        (np.zeros((1, 2)), "initial voltages of shape"),
        (np.zeros(1), "initial voltages of shape"),
        (np.zeros((0, 1)), "initial voltages of shape"),
        (np.array([[np.nan]]), "NaN or infinite"),
    ],
)
def test_bad_initial_voltages(v0: FloatArray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        solve(single(Phi.TANH), v0, 1e-3)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_tolerances(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance"):
        solve(single(Phi.TANH), np.zeros((1, 1)), tolerance)


def test_what_does_not_exist_cannot_be_asked_for() -> None:
    reference = solve(single(Phi.TANH), np.zeros((1, 1)), 1e-3, keep=lambda _: False)
    with pytest.raises(UsageError, match="no sample 1"):
        reference.trajectory(1)
    with pytest.raises(UsageError, match="no phase 1"):
        reference.at(0, 1, np.zeros(1))
