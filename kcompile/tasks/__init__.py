"""The paper's tasks: data, recipe and metric of each, and training.

Importing this imports neither torch nor scikit-learn; ``kcompile.tasks.training`` imports torch.
"""

from kcompile.tasks.metrics import Metric
from kcompile.tasks.registry import TASKS, classifies, get_task, metric_of, task_metrics
from kcompile.tasks.samples import first_samples
from kcompile.tasks.task import Kind, LayerPlan, Plan, Preset, Recipe, Split, Task

__all__ = [
    "TASKS",
    "Kind",
    "LayerPlan",
    "Metric",
    "Plan",
    "Preset",
    "Recipe",
    "Split",
    "Task",
    "classifies",
    "first_samples",
    "get_task",
    "metric_of",
    "task_metrics",
]
