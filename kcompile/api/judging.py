"""How good networks and their circuits are: verified, evaluated, sampled, inspected."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from kcompile.api.given import folder_of, model_of, options_of
from kcompile.compiler import CompileOptions
from kcompile.frontend import Model
from kcompile.inspection import Inspection, inspect_model
from kcompile.units import Scale
from kcompile.verification import Progress, Report, verify_model

if TYPE_CHECKING:
    from kcompile.tasks.evaluation import Evaluation
    from kcompile.tasks.sampling import Drawn
    from kcompile.variations import Variations


def verify(
    model: Model | Path | str,
    *,
    inputs: ArrayLike | None = None,
    samples: int | None = None,
    data: Path | str | None = None,
    tolerance: float = 1e-3,
    deck: Path | str | None = None,
    simulator: str = "ngspice",
    ngspice: Path | str | None = None,
    jobs: int = 2,
    timeout: float = 3600.0,
    seed: int = 0,
    command: str | None = None,
    variations: Variations | None = None,
    resume: bool = True,
    force: bool = False,
    on_progress: Progress | None = None,
    on_status: Callable[[str], None] = lambda _: None,
    on_worker: Callable[[int, str], None] | None = None,
    options: CompileOptions | None = None,
    scale: Scale | float | None = None,
    **fields: Any,
) -> Report:
    """Whether a network's circuit computes what its ODE says; a failing circuit is no exception.

    Args:
        model: a network, or the path of a checkpoint.
        inputs: ``[S, Nin]`` or ``[Nin]``; default: the first of the task's test split, standard
            normal draws for generative tasks, else zeros.
        samples: how many; default: all that are given, else 8.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        tolerance: largest error allowed, relative to ``max(1, peak)`` of the read-outs.
        deck: a folder of decks to judge as they lie.
        simulator: ``ngspice`` or ``pyspice``.
        ngspice: which ngspice; default: as ``kcompile doctor`` says.
        jobs: simulations at a time.
        timeout: seconds that one simulation may take.
        seed: of drawn inputs.
        command: the command line, for the report.
        variations: imperfections of the circuit, which the seed draws. The verdict compares SPICE
            with the equations of that circuit; the report says how far it is from the ideal one.
        resume: whether many samples go on where an interrupted run of the same ones stopped.
        force: whether to start although the memory will hardly do.
        on_progress: hears the stage, how much of it is done, and of how much.
        on_status: hears how the samples do so far.
        on_worker: hears what each simulator does, by its number.
        options: how to compile; or give single fields of ``CompileOptions`` instead.
        scale: a unit system, or the paper's scale ``a`` in seconds (1e-15 by default).
        **fields: of ``CompileOptions``.

    Raises:
        InputError, PdkError, DeckError: something given is bad.
        SimulatorNotFound: there is no simulator.
    """
    job: Callable[..., Report] = verify_model
    if variations is not None and variations.active:
        from kcompile.experiments import verify_drawn

        job = partial(verify_drawn, variations=variations)
    return job(
        model_of(model), options_of(options, scale, fields), inputs=inputs, samples=samples,
        data=folder_of(data), tolerance=tolerance, deck=deck, simulator=simulator, ngspice=ngspice,
        jobs=jobs, timeout=timeout, seed=seed, command=command, resume=resume, force=force,
        on_progress=on_progress, on_status=on_status, on_worker=on_worker,
    )  # fmt: skip


def evaluate(
    model: Model | Path | str,
    *,
    data: Path | str | None = None,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """How good a network is at its task, in software: the score on the task's test split.

    Args:
        model: a network, or the path of a checkpoint.
        data: a folder with the task's data; default: the cache.
        limit: look at no more than so many test samples.
        on_progress: hears how many samples are certain, of how many.

    Raises:
        UsageError: the network says no task, or one that there is not.
        DataMissing, MissingExtra: the task's data, or torch, are not there.
        InputError: the network does not fit the data.
        SolverError: its equations do not converge.
        TrainingDiverged: an answer is not finite.
    """
    from kcompile.tasks import evaluation

    return evaluation.evaluate(model_of(model), folder_of(data), limit, on_progress)


def sample(
    model: Model | Path | str,
    count: int = 1000,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Drawn:
    """Samples of a generative network, by the converged equations from standard normal draws.

    Args:
        model: a network, or the path of a checkpoint.
        count: how many.
        seed: of the draws; the first ones do not depend on how many there are.
        on_progress: hears how many samples are certain, of how many.

    Returns:
        Samples, their log densities and the draws; ``plot()`` gives pictures of them.

    Raises:
        UsageError: the network generates nothing, or less than one sample is asked for.
        MissingExtra: torch is not installed.
        SolverError: its equations do not converge.
        TrainingDiverged: an answer is not finite.
    """
    from kcompile.tasks import sampling

    return sampling.sample(model_of(model), count, seed, on_progress)


def inspect(model: Model | Path | str) -> Inspection:
    """What a network holds, and what its behavioural decks would roughly cost.

    Args:
        model: a network, or the path of a checkpoint.
    """
    return inspect_model(model_of(model))
