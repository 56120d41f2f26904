"""What training minimises and how its result is judged, for each kind of task (torch)."""

from kcompile.tasks.objectives.density import DensityMatching
from kcompile.tasks.objectives.generation import Generation
from kcompile.tasks.objectives.objective import Objective, Tested
from kcompile.tasks.objectives.supervised import Classification, Regression
from kcompile.tasks.task import Kind, Recipe, Split, Task

OBJECTIVES: dict[Kind, type[Objective]] = {
    Kind.REGRESSION: Regression,
    Kind.CLASSIFICATION: Classification,
    Kind.GENERATION: Generation,
    Kind.DENSITY: DensityMatching,
}
"""By the kind of a task."""


def objective(task: Task, split: Split, recipe: Recipe | None = None, seed: int = 0) -> Objective:
    """The objective of a task.

    Args:
        task: which.
        split: its data.
        recipe: how it is trained; default: that of its first preset.
        seed: of shuffling, noise and draws.
    """
    return OBJECTIVES[task.kind](task, split, recipe or task.preset().recipe, seed)


__all__ = ["Objective", "Tested", "objective"]
