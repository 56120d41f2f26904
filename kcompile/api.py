"""What the commands do, as functions for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.frontend import Model, load
from kcompile.inspection import Inspection, inspect_model
from kcompile.ir import FloatArray
from kcompile.netlist import DeckFiles
from kcompile.passes import BOUNDED
from kcompile.simulation import JobResult
from kcompile.units import Scale
from kcompile.verification import (
    Progress,
    Report,
    approximated,
    choose_inputs,
    simulate_compiled,
    verify_model,
)

if TYPE_CHECKING:
    from kcompile.experiments import Experiment, Plan, Sweep
    from kcompile.tasks.evaluation import Evaluation
    from kcompile.tasks.sampling import Drawn
    from kcompile.variations import Variations


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a circuit did with some samples.

    Args:
        compiled: the circuit.
        inputs: ``float64[S, Nin]``.
        outputs: ``float64[S, M]``, the read-out nodes at the end, software units.
        results: the waveforms of every sample, in volts and seconds.
    """

    compiled: Compiled
    inputs: FloatArray
    outputs: FloatArray
    results: tuple[JobResult, ...]


def compile(
    model: Model | Path | str,
    options: CompileOptions | None = None,
    *,
    scale: Scale | float | None = None,
    inputs: ArrayLike | None = None,
    **fields: Any,
) -> Compiled:
    """A network as a circuit.

    Args:
        model: a network, or the path of a checkpoint.
        options: how to compile; or give single fields of ``CompileOptions`` instead.
        scale: a unit system, or the paper's scale ``a`` in seconds (1e-15 by default).
        inputs: ``[S, Nin]`` or ``[Nin]``, the samples near whose trajectories the approximations
            of ``-O3`` are to hold; default: one, as for ``write_netlist``. Other levels hold for
            any.
        **fields: ``device``, ``opt_level``, ``single_deck``, ``parameters``, ``pdk``,
            ``approximation``, ``temperature``.

    Raises:
        UsageError: an option is out of range.
        InputError: the samples do not fit the network.
        PdkError: the device family cannot build one of the network's laws.
    """
    network, chosen = _model(model), _options(options, scale, fields)
    if chosen.opt_level == BOUNDED and chosen.approximation is None:
        samples = choose_inputs(network, inputs, 1 if inputs is None else None).inputs
        chosen = approximated(network, chosen, network.initial_voltages(samples))
    return compile_model(network, chosen)


def write_netlist(
    model: Model | Compiled | Path | str,
    output: Path | str | None = None,
    *,
    inputs: ArrayLike | None = None,
    data: Path | str | None = None,
    seed: int = 0,
    options: CompileOptions | None = None,
    scale: Scale | float | None = None,
    **fields: Any,
) -> DeckFiles:
    """Writes a network as a folder of decks that ``ngspice -b run.cir`` runs.

    Args:
        model: a network, a compiled one, or the path of a checkpoint.
        output: the folder; default: ``<name>-deck`` in the current one.
        inputs: one sample ``[Nin]``; default: the task's first test sample, else zeros.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        seed: of the drawn sample of a generative task.
        options: as for ``compile``.
        scale: as for ``compile``.
        **fields: as for ``compile``.

    Raises:
        InputError: the sample does not fit the network.
        StorageError: the decks cannot be written.
    """
    network = _network(model)
    sample = choose_inputs(network, inputs, 1, seed, _folder(data)).inputs[0]
    compiled = _compiled(model, network, options, scale, fields, sample)
    folder = Path(f"{network.name}-deck") if output is None else Path(output)
    return compiled.write(folder, network.initial_voltages(sample))


def pyspice_circuit(
    model: Model | Compiled | Path | str,
    layer: int = 1,
    *,
    inputs: ArrayLike | None = None,
    data: Path | str | None = None,
    seed: int = 0,
    options: CompileOptions | None = None,
    scale: Scale | float | None = None,
    **fields: Any,
) -> Any:
    """One layer of a network's circuit as a ``PySpice.Spice.Netlist.Circuit``.

    Its elements, names and numbers are those of the layer's deck; its simulator options are in
    its ``raw_spice``. A residual that the next layer starts with is not added. To simulate it::

        compiled = kcompile.compile("model.pt", scale=1e-15)
        layer = compiled.circuit.layers[0]
        step = layer.duration / compiled.circuit.steps
        analysis = kcompile.pyspice_circuit(compiled).simulator().transient(
            step_time=step, end_time=layer.duration, max_time=step, use_initial_condition=True
        )

    Args:
        model: a network, a compiled one, or the path of a checkpoint.
        layer: which, from 1.
        inputs: for the first layer one sample ``[Nin]``, default: as for ``write_netlist``; for
            others the voltages ``[N]`` that the layer before hands over, software units, default 0.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        seed: of the drawn sample of a generative task.
        options: as for ``compile``.
        scale: as for ``compile``.
        **fields: as for ``compile``.

    Raises:
        MissingExtra: PySpice is not installed.
        UsageError: there is no such layer, or all layers share one transient.
        InputError: the voltages do not fit the layer.
    """
    network = _network(model)
    if layer != 1:
        return _compiled(model, network, options, scale, fields, None).to_pyspice(layer, inputs)
    sample = choose_inputs(network, inputs, 1, seed, _folder(data)).inputs[0]
    compiled = _compiled(model, network, options, scale, fields, sample)
    return compiled.to_pyspice(1, network.initial_voltages(sample))


def simulate(
    model: Model | Compiled | Path | str,
    inputs: ArrayLike | None = None,
    *,
    samples: int | None = None,
    data: Path | str | None = None,
    seed: int = 0,
    ngspice: Path | str | None = None,
    simulator: str = "ngspice",
    jobs: int = 2,
    timeout: float = 3600.0,
    options: CompileOptions | None = None,
    scale: Scale | float | None = None,
    **fields: Any,
) -> Simulation:
    """Runs a circuit on some samples.

    Args:
        model: a network, a compiled one, or the path of a checkpoint.
        inputs: ``[S, Nin]`` or ``[Nin]``; default: as for ``verify``.
        samples: how many; default: all that are given, else 8.
        data: a folder with the task's data, instead of the checkpoint's samples and the cache.
        seed: of drawn inputs.
        ngspice: which ngspice; default: as ``kcompile doctor`` says.
        simulator: ``ngspice`` or ``pyspice``.
        jobs: simulations at a time.
        timeout: seconds that one simulation may take.
        options: as for ``compile``.
        scale: as for ``compile``.
        **fields: as for ``compile``.

    Raises:
        SimulatorNotFound: there is no simulator.
        SimulationFailed: a sample did not finish; its work folder is named.
    """
    network = _network(model)
    given = choose_inputs(network, inputs, samples, seed, _folder(data)).inputs
    compiled = _compiled(model, network, options, scale, fields, given)
    outputs, results = simulate_compiled(
        compiled, given, simulator=simulator, ngspice=ngspice, jobs=jobs, timeout=timeout
    )
    return Simulation(compiled, given, outputs, results)


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
        _model(model), _options(options, scale, fields), inputs=inputs, samples=samples,
        data=_folder(data), tolerance=tolerance, deck=deck, simulator=simulator, ngspice=ngspice,
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

    return evaluation.evaluate(_model(model), _folder(data), limit, on_progress)


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

    return sampling.sample(_model(model), count, seed, on_progress)


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
    from kcompile.experiments import run_montecarlo

    return run_montecarlo(
        _model(model), plan, inputs=inputs, samples=samples, data=_folder(data), resume=resume,
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
    on_progress: Progress | None = None,
) -> Sweep:
    """What becomes of a network while one number of its circuit changes.

    Args:
        model: a network, or the path of a checkpoint.
        key: ``EFFECT.NUMBER`` of the variations, or ``device.NAME``, ``temperature``,
            ``scale``, ``v0``, ``i0``, ``c0``, which only SPICE sees.
        values: of that number.
        plan: everything else, as for ``montecarlo``.
        inputs, samples, data, on_progress: as for ``montecarlo``.

    Raises:
        UsageError: there is no such number, or the equations do not know it.
        KcompileError: as for ``montecarlo``.
    """
    from kcompile.experiments import run_sweep

    return run_sweep(
        _model(model), key, values, plan, inputs=inputs, samples=samples, data=_folder(data),
        on_progress=on_progress,
    )  # fmt: skip


def inspect(model: Model | Path | str) -> Inspection:
    """What a network holds, and what its behavioural decks would roughly cost.

    Args:
        model: a network, or the path of a checkpoint.
    """
    return inspect_model(_model(model))


def _folder(data: Path | str | None) -> Path | None:
    return None if data is None else Path(data)


def _model(model: Model | Path | str) -> Model:
    return model if isinstance(model, Model) else load(model)


def _network(model: Model | Compiled | Path | str) -> Model:
    return model.model if isinstance(model, Compiled) else _model(model)


def _compiled(
    given: Model | Compiled | Path | str,
    network: Model,
    options: CompileOptions | None,
    scale: Scale | float | None,
    fields: dict[str, Any],
    inputs: FloatArray | None,
) -> Compiled:
    if not isinstance(given, Compiled):
        return compile(network, options, scale=scale, inputs=inputs, **fields)
    if options is not None or scale is not None or fields:
        raise UsageError("a compiled network takes no compile options", hint="compile it anew")
    return given


def _options(
    options: CompileOptions | None, scale: Scale | float | None, fields: dict[str, Any]
) -> CompileOptions:
    if options is None:
        unit = scale if isinstance(scale, Scale) else Scale.from_time_unit(
            1e-15 if scale is None else scale
        )  # fmt: skip
        return CompileOptions(scale=unit, **fields)
    if scale is not None or fields:
        raise UsageError("options and single fields exclude each other", hint="give one of them")
    return options
