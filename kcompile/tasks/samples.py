"""The first test samples of the task that a model was trained for (no torch)."""

from __future__ import annotations

from pathlib import Path

from kcompile.errors import UsageError
from kcompile.frontend.model import Model, Samples
from kcompile.tasks.registry import PUBLISHED_NAMES, TASKS


def first_samples(model: Model, count: int, data: Path | None = None) -> Samples | None:
    """The first ``count`` samples of the task's test split, with their targets.

    The checkpoint's own as far as they reach; for more, the task's data is made or read again.

    Args:
        model: the network; its task says which data.
        count: how many.
        data: a folder with the task's data, looked at even where the checkpoint carries enough.

    Returns:
        Samples as the network takes them, or None where nobody has any.

    Raises:
        MissingExtra: the task's data wants a package that is not installed.
        UsageError: less than one, or more than the test split has.
    """
    if count < 1:
        raise UsageError(f"{count} samples", hint="ask for one or more")
    if data is None and model.samples is not None and len(model.samples) >= count:
        return Samples(model.samples.inputs[:count], model.samples.targets[:count])
    name = PUBLISHED_NAMES.get(model.task or "", model.task)
    if name not in TASKS:
        return None
    split = TASKS[name].load(data)
    if len(split.test_inputs) < count:
        raise UsageError(
            f"{count} samples, the test split of {model.task} has {len(split.test_inputs)}",
            hint="ask for fewer",
        )
    return Samples(split.test_inputs[:count], split.test_targets[:count])
