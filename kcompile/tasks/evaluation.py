"""How good a network is at its task, by the converged equations (torch)."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kcompile.errors import InputError, UsageError
from kcompile.frontend.model import Model
from kcompile.nn import KirchhoffNet
from kcompile.tasks.objectives import objective
from kcompile.tasks.objectives.objective import Heard
from kcompile.tasks.registry import TASKS, get_task
from kcompile.tasks.task import Split, Task


@dataclass(frozen=True)
class Evaluation:
    """A network's score on the test split of its task.

    Args:
        task: its name.
        metric: what the score is: ``mse``, ``accuracy`` (0..1), ``nll`` (nats) or ``ess`` (the
            effective share of draws, 0..1).
        value: the score, by the converged equations in double precision.
        samples: how many it was judged on.
        error: how far the last doubling of the solver's steps moved one sample's answer at most.
        seconds: it took, without reading the data.
    """

    task: str
    metric: str
    value: float
    samples: int
    error: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As ``kcompile evaluate --json`` writes it."""
        return asdict(self)


def evaluate(
    model: Model,
    data: Path | None = None,
    limit: int | None = None,
    on_progress: Heard | None = None,
) -> Evaluation:
    """The score of a network on the test split of the task that it was trained for.

    Args:
        model: any model that says its task; published ones too.
        data: a folder with the task's data, instead of the cache.
        limit: look at no more than so many of the first test samples.
        on_progress: hears how many samples are certain, of how many.

    Raises:
        UsageError: the model says no task or one that there is not, the limit is below one, or
            the network has no density where its task wants one.
        DataMissing, MissingExtra: the task's data are not there.
        InputError: the network does not fit the data.
        SolverError: the equations do not converge.
        TrainingDiverged: an answer is not finite.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"{limit} samples", where="--limit", hint="ask for one or more")
    task = task_of(model)
    net = KirchhoffNet.from_model(model)
    split = fitting_split(task, model, data)
    began = time.perf_counter()
    found = objective(task, split).test(net, limit=limit, on_progress=on_progress)
    seconds = round(time.perf_counter() - began, 3)
    return Evaluation(task.name, task.score, found.score, found.samples, found.error, seconds)


def task_of(model: Model) -> Task:
    """The task that a model was trained for.

    Raises:
        UsageError: it says none, or one that there is not; the known ones are named.
    """
    if model.task is None:
        raise UsageError(
            "the checkpoint does not say what it was trained for",
            where=model.source,
            hint=f"tasks: {', '.join(sorted(TASKS))}",
        )
    return get_task(model.task)


def fitting_split(task: Task, model: Model, data: Path | None) -> Split:
    """A task's data, once it is known that the network takes them.

    Raises:
        InputError: its samples are of another width.
    """
    split = task.load(data)
    width = split.test_inputs.shape[1]
    if width != model.input_width:
        raise InputError(
            f"{task.name} has samples of {width} values",
            where=data,
            hint=f"this network takes {model.input_width}",
        )
    return split
