"""The fast solution with fixed steps is the reference's, and leaves what it is given alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from circuits import make_model

from kcompile import kernels
from kcompile.errors import GraphError, UsageError
from kcompile.ir import Fill, Injected
from kcompile.reference import FixedSteps, settle, solve
from kcompile.reference.rhs import phase_rhs

INPUTS = np.array([[0.3, -0.4], [1.0, 0.5], [-0.6, 0.1]])


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("phi", ["relu", "tanh", "leaky_relu", "identity"])
@pytest.mark.parametrize("kernel", [True, False])
def test_it_is_the_reference(
    samples: int, phi: str, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setenv(kernels.VARIABLE, "none")
    model = make_model(nodes=(3, 4, 4), phi=phi, fill=Fill.REPEAT, residual=1)
    v0 = model.initial_voltages(INPUTS[:samples])
    given = v0.copy()
    solver = FixedSteps()
    _, found, moved = settle(partial(solver.outputs, model.graph, v0), 1e-6)
    assert (v0 == given).all()
    exact = solve(model.graph, v0, 1e-6).outputs
    assert found == pytest.approx(exact, abs=1e-5)
    assert np.abs(found - exact).max() < 4 * moved + 1e-9


def test_short_layers_are_no_less_exact() -> None:
    model = make_model(nodes=(3, 3))
    phases = (replace(model.graph.phases[0], duration=1e-3), model.graph.phases[1])
    graph = replace(model.graph, phases=phases)
    v0 = model.initial_voltages(INPUTS)
    assert FixedSteps().outputs(graph, v0, 200) == pytest.approx(
        solve(graph, v0, 1e-6).outputs, abs=1e-5
    )


def test_what_runs_away_is_no_answer() -> None:
    model = make_model(phi="identity")
    (batch,) = model.graph.phases[0].batches
    graph = replace(
        model.graph,
        phases=(replace(model.graph.phases[0], batches=(replace(batch, w=-1e9 * batch.w),)),
                model.graph.phases[1]),
    )  # fmt: skip
    v0 = model.initial_voltages(INPUTS)
    assert not np.isfinite(FixedSteps().outputs(graph, v0, 4000)).all()
    with pytest.raises(GraphError, match="run away"):
        settle(partial(FixedSteps().outputs, graph, v0), 1e-3, most=64)


@pytest.mark.parametrize("kernel", [True, False])
def test_injected_currents_charge_capacitors(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A triangle of current into a node with nothing else moves its area over C."""
    if not kernel:
        monkeypatch.setenv(kernels.VARIABLE, "none")
    model = make_model(nodes=(3,))
    (batch,) = model.graph.phases[0].batches
    times = np.array([0.0, 0.1, 0.3, 1.0])
    currents = np.array([[0.0, 0, 0], [2.0, -1, 0], [0.0, 0, 0], [0.0, 0, 0]])
    phase = replace(
        model.graph.phases[0], batches=(replace(batch, w=np.zeros(())),),
        injected=Injected(times, currents),
    )  # fmt: skip
    graph = replace(model.graph, phases=(phase,), capacitance=[1.0, 2.0, 1.0], outputs=[1, 2, 3])
    v0 = np.array([[0.3, -0.1, 0.2]])
    found = FixedSteps().outputs(graph, v0, 7)
    area = 0.5 * 2.0 * 0.3
    assert found[0] == pytest.approx([0.3 + area, -0.1 - area / 2 / 2, 0.2])
    with pytest.raises(UsageError, match="depend on the time"):
        phase_rhs(graph, 0)


def test_samples_have_currents_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them find room at a time."""
    from kcompile.reference import fixed

    model = make_model(nodes=(3, 3))
    random = np.random.default_rng(0)
    drawn = [
        tuple(
            Injected(np.linspace(0, p.duration, 5), random.normal(size=(5, 3)))
            for p in model.graph.phases
        )
        for _ in INPUTS
    ]
    v0 = model.initial_voltages(INPUTS)
    whole = FixedSteps().outputs(model.graph, v0, 16, currents=drawn.__getitem__)
    for k, of_sample in enumerate(drawn):
        phases = (
            replace(p, injected=i) for p, i in zip(model.graph.phases, of_sample, strict=True)
        )
        alone = model.graph.with_phases(tuple(phases))
        assert FixedSteps().outputs(alone, v0[k : k + 1], 16)[0] == pytest.approx(whole[k])
    monkeypatch.setattr(fixed, "_ROOM", 1)
    assert FixedSteps().outputs(model.graph, v0, 16, currents=drawn.__getitem__) == pytest.approx(
        whole
    )
