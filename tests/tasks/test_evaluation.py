"""The score of a network on its task's test split."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flows import PUBLISHED, flow, untouched
from published import FOLDER

import kcompile
from kcompile.errors import InputError, UsageError
from kcompile.frontend import Checkpoint, PhaseRecord
from kcompile.tasks import TASKS
from kcompile.tasks.evaluation import evaluate


@pytest.mark.parametrize(
    ("name", "metric", "value"),
    [("twomoon", "nll", 1.071), ("circle", "nll", 0.840), ("potential2", "ess", 0.316)],
)
@PUBLISHED
def test_published_checkpoints_are_as_good_as_they_are(name: str, metric: str, value: float):
    """Catches wrong data, wrong units and a density of the wrong sign."""
    found = evaluate(kcompile.load(FOLDER / name / "model.pth"), limit=200)
    assert (found.task, found.metric, found.samples) == (name, metric, 200)
    assert found.value == pytest.approx(value, abs=2e-3)  # 200 of 10,000 samples
    assert found.error < 1e-3


def test_a_flow_that_does_nothing_has_the_likelihood_of_a_normal_draw():
    """Catches a metric that is no average over the test split, or another split's."""
    data = TASKS["8gaussians"].load(None).test_inputs
    expected = np.mean(0.5 * (data**2).sum(axis=1) + np.log(2 * np.pi))
    assert evaluate(untouched("8gaussians")).value == pytest.approx(expected, rel=1e-6)


def test_regression_by_hand():
    """A network without edges answers 0: its error is the mean of the squared targets."""
    model = Checkpoint((PhaseRecord(6, 1.0, ()),), 5, [6], task="toyregress").model()
    targets = TASKS["friedman"].load(None).test_targets
    heard: list[tuple[int, int]] = []
    found = evaluate(model, on_progress=lambda done, total: heard.append((done, total)))
    assert found.task == "friedman"  # what published configurations call toyregress
    assert found.value == pytest.approx(float(np.mean(targets**2)))
    assert found.samples == len(targets)
    assert heard[0] == (0, len(targets))
    few = evaluate(model, limit=10)
    assert few.value == pytest.approx(float(np.mean(targets[:10] ** 2)))
    assert few.samples == 10
    assert evaluate(model, limit=10**9).samples == len(targets)
    assert json.dumps(found.to_dict())


def test_the_circuit_between_the_solvers_steps_does_not_matter():
    """Catches a score by the solver that the network was trained with."""
    model = flow("pinwheel", seed=3)
    assert model.solver is not None
    coarse = replace(model, solver=replace(model.solver, method="euler", steps=1))
    assert evaluate(coarse, limit=50).value == evaluate(model, limit=50).value


def test_what_it_was_trained_for_must_be_known():
    with pytest.raises(UsageError, match=r"does not say .* tasks: .*friedman") as caught:
        evaluate(replace(flow("twomoon"), task=None))
    assert caught.value.exit_status == 2
    with pytest.raises(UsageError, match=r"unknown task 'juggling'; tasks: .*friedman"):
        evaluate(replace(flow("twomoon"), task="juggling"))


@pytest.mark.parametrize("limit", [0, -3])
def test_limits_out_of_range(limit: int):
    with pytest.raises(UsageError, match="--limit"):
        evaluate(flow("twomoon"), limit=limit)


def test_a_network_that_does_not_fit_its_task():
    """Catches a crash inside torch where a checkpoint names the wrong task."""
    with pytest.raises(InputError, match="pinwheel has samples of 2 values; this network takes 3"):
        evaluate(flow("pinwheel", nodes=3))
    no_flow = Checkpoint((PhaseRecord(3, 1.0, ()),), 2, [1, 2], task="pinwheel").model()
    with pytest.raises(UsageError, match="no density"):
        evaluate(no_flow)


def test_a_folder_that_means_nothing(tmp_path: Path):
    with pytest.raises(UsageError, match="--data"):
        evaluate(flow("pinwheel"), tmp_path)
    with pytest.raises(UsageError, match="--data"):
        kcompile.evaluate(flow("pinwheel"), data=str(tmp_path))
