"""Samples of generative networks, and the states that they pass through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flows import PUBLISHED, flow, untouched
from hypothesis import given, settings
from hypothesis import strategies as st
from published import FOLDER

import kcompile
from kcompile.errors import DataMissing, StorageError, UsageError
from kcompile.frontend import Checkpoint, PhaseRecord
from kcompile.reference import solve
from kcompile.tasks.sampling import density, sample, states
from kcompile.verification import default_inputs


def test_samples_are_where_the_reference_ends():
    """Catches other draws than verify's, a lost layer, and a solver that is not converged."""
    model = flow("twomoon", seed=1)
    drawn = kcompile.sample(model, 6, seed=5)
    np.testing.assert_array_equal(drawn.start, default_inputs(model, 6, seed=5))
    reference = solve(model.graph, drawn.start, 1e-5)
    np.testing.assert_allclose(drawn.samples, model.read_out(reference.outputs), atol=2e-5)
    assert drawn.error <= 1e-5


@PUBLISHED
def test_samples_of_a_published_network_are_where_the_reference_ends():
    model = kcompile.load(FOLDER / "twomoon" / "model.pth")
    drawn = sample(model, 3)
    reference = solve(model.graph, drawn.start, 1e-4)
    np.testing.assert_allclose(drawn.samples, reference.outputs, atol=1e-4)


@given(st.integers(0, 100), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_the_densities_integrate_to_what_the_samples_say(seed: int, nodes: int):
    """Catches a trace of the wrong sign or scale: the Jacobian's determinant by differences."""
    model = flow("twomoon", nodes=nodes, seed=seed)
    drawn = sample(model, 2, seed)
    step = 1e-3
    for start, told in zip(drawn.start, drawn.log_density, strict=True):
        shifted = start + step * np.concatenate((np.eye(nodes), -np.eye(nodes)))
        ends = solve(model.graph, shifted, 1e-8).outputs
        jacobian = (ends[:nodes] - ends[nodes:]) / (2 * step)
        normal = -0.5 * (start**2).sum() - 0.5 * nodes * np.log(2 * np.pi)
        assert told == pytest.approx(normal - np.linalg.slogdet(jacobian)[1], abs=1e-3)


def test_the_same_seed_gives_the_same_samples_and_more_of_them_change_none():
    model = flow("pinwheel")
    one, again, more = sample(model, 4, 7), sample(model, 4, 7), sample(model, 9, 7)
    np.testing.assert_array_equal(one.samples, again.samples)
    np.testing.assert_allclose(one.samples, more.samples[:4], rtol=1e-12)
    np.testing.assert_array_equal(one.start, more.start[:4])
    assert not np.array_equal(sample(model, 4, 8).start, one.start)


def test_states_begin_at_the_draw_and_end_at_the_sample():
    """Catches times that are taken per layer, and a stop exactly between two layers."""
    model = flow("twomoon", durations=(0.3, 0.1, 0.2))
    start = default_inputs(model, 5)
    found = states(model, start, (0.0, 0.5, 0.8, 1.0))
    np.testing.assert_array_equal(found[0], start)
    between = solve(model.graph, start, 1e-5)
    np.testing.assert_allclose(found[-1], between.outputs, atol=2e-2)
    phases = model.graph.phases
    for share, upto in ((1, 1), (2, 2)):
        head = Checkpoint.from_graph(type(model.graph)(phases[:upto], 2, [1, 2])).model()
        np.testing.assert_allclose(
            found[share] if upto == 1 else states(model, start, (2 / 3,))[0],
            solve(head.graph, start, 1e-5).outputs,
            atol=2e-2,
        )


def test_density_is_that_of_the_draws_where_nothing_happens():
    points = np.array([[0.0, 0.0], [1.0, -2.0], [1e200, 0.0]])
    found = density(untouched("potential1"), points, 0.1)
    np.testing.assert_allclose(found[:2], np.exp([-0.0, -2.5]) / (2 * np.pi), rtol=1e-6)
    assert found[2] == 0.0


def test_only_generative_networks_generate():
    model = Checkpoint((PhaseRecord(6, 1.0, ()),), 5, [6], task="friedman").model()
    with pytest.raises(UsageError, match="trained for friedman, it generates no samples") as caught:
        sample(model, 1)
    assert caught.value.exit_status == 2
    with pytest.raises(UsageError, match="for nothing that it says"):
        sample(Checkpoint((PhaseRecord(2, 1.0, ()),), 2, [1, 2]).model(), 1)
    partial = Checkpoint((PhaseRecord(3, 1.0, ()),), 2, [1, 2], task="twomoon").model()
    with pytest.raises(UsageError, match="no density"):
        sample(partial, 1)
    with pytest.raises(UsageError, match="0 samples"):
        sample(flow("twomoon"), 0)


def test_the_file_holds_what_was_drawn(tmp_path: Path):
    drawn = sample(flow("twomoon"), 3)
    with np.load(drawn.write(tmp_path / "odd name")) as stored:
        assert sorted(stored) == ["log_density", "samples", "start"]
        for name in stored:
            np.testing.assert_array_equal(stored[name], getattr(drawn, name))
            assert stored[name].dtype == np.float64
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        drawn.write(tmp_path / "file" / "x.npz")


def test_pictures_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Catches a task without its picture, and pictures that need data that nobody has."""
    monkeypatch.setenv("KCOMPILE_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert list(sample(flow("pinwheel"), 20).plot().figures) == ["samples", "states"]
    assert list(sample(flow("gauss"), 20).plot().figures) == ["samples", "states"]
    assert list(sample(flow("potential1"), 20).plot().figures) == ["density", "states"]
    images = sample(untouched("genmnist", nodes=64), 3)
    assert list(images.plot().figures) == ["samples", "states"]
    with pytest.raises(DataMissing):
        images.plot(tmp_path)
    assert not sample(untouched("gauss", nodes=3), 2).plot().figures
