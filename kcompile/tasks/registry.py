"""Every task by name."""

from __future__ import annotations

from kcompile.errors import UsageError
from kcompile.ir import FloatArray
from kcompile.tasks.metrics import Targets
from kcompile.tasks.regression import FRIEDMAN
from kcompile.tasks.task import Task

TASKS = {task.name: task for task in (FRIEDMAN,)}
"""The tasks that can be trained."""


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UsageError: there is no such task.
    """
    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}", hint=f"tasks: {', '.join(sorted(TASKS))}")
    return TASKS[name]


def task_metrics(
    task: str | None, software: FloatArray, spice: FloatArray, targets: Targets
) -> dict[str, dict[str, float]]:
    """A task's metric of two sets of outputs for the same samples, as ``report.json`` has it.

    Args:
        task: its name; of one without a metric, nothing is said.
        software: ``float64[S, M]``, of the ODE, after the head.
        spice: ``float64[S, M]``, of the circuit, after the head.
        targets: what they should be.

    Returns:
        ``{name: {"software", "spice", "agreement"}}``.

    Raises:
        InputError: outputs and targets do not describe the same samples.
    """
    if task not in TASKS:
        return {}
    metric = TASKS[task].metric
    return {
        metric.name: {
            "software": metric.value(software, targets),
            "spice": metric.value(spice, targets),
            "agreement": metric.agreement(software, spice, targets),
        }
    }
