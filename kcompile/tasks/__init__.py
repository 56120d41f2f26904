"""The paper's tasks: data, recipe and metric of each, and training.

Importing this imports neither torch nor scikit-learn; ``kcompile.tasks.training`` imports torch.
"""

from kcompile.tasks.metrics import METRICS, Metric
from kcompile.tasks.registry import TASKS, get_task, task_metrics
from kcompile.tasks.samples import first_samples
from kcompile.tasks.task import LayerPlan, Plan, Recipe, Split, Task

__all__ = [
    "METRICS",
    "TASKS",
    "LayerPlan",
    "Metric",
    "Plan",
    "Recipe",
    "Split",
    "Task",
    "first_samples",
    "get_task",
    "task_metrics",
]
