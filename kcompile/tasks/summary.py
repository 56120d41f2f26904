"""What is told of one or more runs of a task."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kcompile.tasks.task import Task

if TYPE_CHECKING:
    from kcompile.tasks.varying import Varied


class Outcome(Protocol):
    """What ``summary`` tells of a run: that of a ``Trained`` network or of a baseline."""

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        ...

    @property
    def seed(self) -> int:
        """Of initialisation and shuffling."""
        ...

    @property
    def test_metric(self) -> float:
        """The score as the training solver sees it."""
        ...

    @property
    def test_metric_converged(self) -> float:
        """The score by the converged equations."""
        ...

    @property
    def seconds(self) -> float:
        """It took."""
        ...

    @property
    def varied(self) -> Varied | None:
        """The score on circuits with variations, where it was trained with some."""
        ...


def summary(task: Task, size: str, results: Sequence[Outcome]) -> dict[str, Any]:
    """What ``kcompile train --json`` writes about one or more runs.

    Returns:
        ``{"task", "size", "parameters", "seeds": [{"seed", "test_metric",
        "test_metric_converged", "seconds"}], "mean", "sd"}``; mean and standard deviation (of the
        sample; 0 for one run) are those of the converged score. A run with variations also has
        ``"varied": {"mean", "sd", "draws", "steps"}``.
    """
    converged = [result.test_metric_converged for result in results]
    return {
        "task": task.name,
        "size": size,
        "metric": task.score,
        "parameters": results[0].parameters,
        "seeds": [
            {
                "seed": result.seed,
                "test_metric": result.test_metric,
                "test_metric_converged": result.test_metric_converged,
                "seconds": round(result.seconds, 3),
                **({} if result.varied is None else result.varied.to_record()),
            }
            for result in results
        ],
        "mean": statistics.fmean(converged),
        "sd": statistics.stdev(converged) if len(converged) > 1 else 0.0,
    }
