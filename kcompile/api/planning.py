"""What networks would be as physical circuits."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from kcompile.api.given import folder_of, model_of
from kcompile.frontend import Model
from kcompile.physics import CircuitPlan, Limits, NoiseModel, make_plan
from kcompile.physics.plan import DRAWS, planned_samples
from kcompile.units import Scale
from kcompile.verification import Progress, choose_inputs


def plan(
    model: Model | Path | str,
    *,
    inputs: ArrayLike | None = None,
    samples: int | None = None,
    data: Path | str | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    noise: NoiseModel | None = None,
    scale: Scale | float | None = None,
    draws: int = DRAWS,
    on_progress: Progress | None = None,
) -> CircuitPlan:
    """At which voltages, currents and capacitances a network could run, how fast, at what cost.

    Args:
        model: a network, or the path of a checkpoint.
        inputs: ``[S, Nin]`` or ``[Nin]``, the samples that it rests on; default: as for ``verify``.
        samples: how many; default: all that are given, else up to 64 where they cost little, or 4.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        seed: of drawn inputs and of noise.
        limits: what a circuit may do.
        noise: which noise it has, and its temperature.
        scale: to be judged: a unit system, or the paper's scale ``a`` in seconds; default: the
            one that makes the most of the limits is found and recommended.
        draws: of noise for each sample.
        on_progress: hears the stage, how much of it is done, and of how much.

    Raises:
        InputError: the samples do not fit the network.
        UsageError: an option is out of range.
        GraphError: a sample's equations have no usable solution.
    """
    network = model_of(model)
    asked = inputs is not None or samples is not None
    count, most = (samples, None) if asked else planned_samples(network)
    chosen = choose_inputs(network, inputs, count, seed, folder_of(data))
    targets = None if chosen.targets is None else chosen.targets[:most]
    unit = scale if scale is None or isinstance(scale, Scale) else Scale.from_time_unit(scale)
    return make_plan(
        network, chosen.inputs[:most], targets, limits=limits, noise_model=noise, scale=unit,
        draws=draws, seed=seed, notes=(chosen.note,), on_progress=on_progress,
    )  # fmt: skip
