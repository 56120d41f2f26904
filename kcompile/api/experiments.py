"""Many circuits of one network: Monte Carlo and sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from kcompile.api.given import folder_of, model_of
from kcompile.experiments import Experiment, Plan, Sweep, run_montecarlo, run_sweep
from kcompile.frontend import Model
from kcompile.verification import Progress


def montecarlo(
    model: Model | Path | str,
    plan: Plan,
    *,
    inputs: ArrayLike | None = None,
    samples: int | None = None,
    data: Path | str | None = None,
    resume: bool = True,
    on_progress: Progress | None = None,
) -> Experiment:
    """How circuits with imperfections do: many of them, drawn and judged.

    Args:
        model: a network, or the path of a checkpoint.
        plan: which imperfections, how many circuits, and who answers for them.
        inputs: ``[S, Nin]`` or ``[Nin]``; default: what the checkpoint carries, or 256 draws.
        samples: how many.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        resume: whether to go on where an interrupted run of the same plan stopped.
        on_progress: hears the stage, how much of it is done, and of how much.

    Raises:
        UsageError, InputError, DataMissing: something given is out of range or does not fit.
        GraphError: the ideal network cannot be solved.
        SimulatorNotFound: there is no simulator.
    """
    return run_montecarlo(
        model_of(model), plan, inputs=inputs, samples=samples, data=folder_of(data), resume=resume,
        on_progress=on_progress,
    )  # fmt: skip


def sweep(
    model: Model | Path | str,
    key: str,
    values: Sequence[float],
    plan: Plan,
    *,
    inputs: ArrayLike | None = None,
    samples: int | None = None,
    data: Path | str | None = None,
    resume: bool = True,
    on_progress: Progress | None = None,
) -> Sweep:
    """What becomes of a network while one number of its circuit changes.

    Args:
        model: a network, or the path of a checkpoint.
        key: ``EFFECT.NUMBER`` of the variations, or ``device.NAME``, ``temperature``,
            ``scale``, ``v0``, ``i0``, ``c0``, which only SPICE sees.
        values: of that number.
        plan: everything else, as for ``montecarlo``.
        inputs, samples, data, resume, on_progress: as for ``montecarlo``.

    Raises:
        UsageError: there is no such number, or the equations do not know it.
        KcompileError: as for ``montecarlo``.
    """
    return run_sweep(
        model_of(model), key, values, plan, inputs=inputs, samples=samples, data=folder_of(data),
        resume=resume, on_progress=on_progress,
    )  # fmt: skip
