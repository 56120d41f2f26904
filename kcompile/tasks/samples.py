"""The first test samples of the task that a model was trained for (no torch)."""

from __future__ import annotations

from kcompile.errors import UsageError
from kcompile.frontend.model import Model, Samples
from kcompile.tasks.registry import TASKS


def first_samples(model: Model, count: int) -> Samples | None:
    """The first ``count`` samples of the task's test split, with their targets.

    The checkpoint's own as far as they reach; for more, the task's data is made or read again.

    Args:
        model: the network; its task says which data.
        count: how many.

    Returns:
        Samples as the network takes them, or None where nobody has any.

    Raises:
        MissingExtra: the task's data wants a package that is not installed.
        UsageError: less than one, or more than the test split has.
    """
    if count < 1:
        raise UsageError(f"{count} samples", hint="ask for one or more")
    if model.samples is not None and len(model.samples) >= count:
        return Samples(model.samples.inputs[:count], model.samples.targets[:count])
    if model.task not in TASKS:
        return None
    split = TASKS[model.task].load()
    if len(split.test_inputs) < count:
        raise UsageError(
            f"{count} samples, the test split of {model.task} has {len(split.test_inputs)}",
            hint="ask for fewer",
        )
    return Samples(split.test_inputs[:count], split.test_targets[:count])
