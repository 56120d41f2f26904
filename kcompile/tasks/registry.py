"""Every task by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcompile.errors import MissingExtra, UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.classification import CLASSIFICATION
from kcompile.tasks.density import DENSITY
from kcompile.tasks.generation import GENERATION
from kcompile.tasks.metrics import Metric, Targets, confusion, share_interval
from kcompile.tasks.regression import REGRESSION
from kcompile.tasks.task import Task

TASKS = {task.name: task for task in (*REGRESSION, *CLASSIFICATION, *GENERATION, *DENSITY)}
"""The tasks that can be trained."""

PUBLISHED_NAMES = {"toyregress": "friedman", "diabete": "diabetes"}
"""What published configurations call some of them."""


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UsageError: there is no such task.
    """
    known = PUBLISHED_NAMES.get(name, name)
    if known not in TASKS:
        raise UsageError(f"unknown task {name!r}", hint=f"tasks: {', '.join(sorted(TASKS))}")
    return TASKS[known]


def metric_of(task: str | None) -> Metric | None:
    """The metric of a task's outputs; None of a task that is not known."""
    known = PUBLISHED_NAMES.get(task or "", task)
    return TASKS[known].metric if known in TASKS else None


def task_metrics(
    task: str | None, software: FloatArray, spice: FloatArray, targets: Targets | None
) -> dict[str, dict[str, Any]]:
    """A task's metric of two sets of outputs for the same samples, as ``report.json`` has it.

    Args:
        task: its name; of one without a metric, nothing is said.
        software: ``float64[S, M]``, of the ODE, after the head.
        spice: ``float64[S, M]``, of the circuit, after the head.
        targets: what they should be, where that is known.

    Returns:
        ``{name: {"software", "spice", "agreement"}}``, of an accuracy with the 95 % confidence
        intervals of all three and the confusion of the circuit's answers with the software's.

    Raises:
        InputError: outputs and targets do not describe the same samples.
    """
    metric = metric_of(task)
    if metric is None:
        return {}
    if targets is None:
        if metric.by_targets:
            return {}
        targets = np.empty((len(software), 0))
    try:
        values: dict[str, Any] = {
            "software": metric.value(software, targets),
            "spice": metric.value(spice, targets),
            "agreement": metric.agreement(software, spice, targets),
        }
    except MissingExtra:  # what samples would be compared with cannot be made here
        return {}
    if metric.counts:
        intervals = {name: share_interval(share, len(spice)) for name, share in values.items()}
        values |= {f"{name}_interval": list(interval) for name, interval in intervals.items()}
        values["confusion"] = confusion(software, spice)
    return {metric.name: values}


def classifies(task: str | None) -> bool:
    """Whether a task's answers are classes."""
    metric = metric_of(task)
    return metric is not None and metric.counts
