"""Networks to circuits: compiled, written, simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from kcompile.api.given import folder_of, model_of, options_of
from kcompile.compiler import Compiled, CompileOptions, compile_model
from kcompile.errors import UsageError
from kcompile.frontend import Model
from kcompile.ir import FloatArray
from kcompile.netlist import DeckFiles
from kcompile.passes import BOUNDED
from kcompile.simulation import JobResult
from kcompile.units import Scale
from kcompile.verification import RangeWatch, approximated, choose_inputs, simulate_compiled


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a circuit did with some samples.

    Args:
        compiled: the circuit.
        inputs: ``float64[S, Nin]``.
        outputs: ``float64[S, M]``, the read-out nodes at the end, software units.
        results: the waveforms of every sample, in volts and seconds.
        left_ranges: samples whose voltages left those that ``-O3`` approximates over, where the
            bound does not hold; compile for them (``inputs``).
    """

    compiled: Compiled
    inputs: FloatArray
    outputs: FloatArray
    results: tuple[JobResult, ...]
    left_ranges: tuple[int, ...] = ()


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
            ``approximation``, ``temperature``, ``timing``.

    Raises:
        UsageError: an option is out of range.
        InputError: the samples do not fit the network.
        PdkError: the device family cannot build one of the network's laws.
    """
    network, chosen = model_of(model), options_of(options, scale, fields)
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
    sample = choose_inputs(network, inputs, 1, seed, folder_of(data)).inputs[0]
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
    sample = choose_inputs(network, inputs, 1, seed, folder_of(data)).inputs[0]
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
    given = choose_inputs(network, inputs, samples, seed, folder_of(data)).inputs
    compiled = _compiled(model, network, options, scale, fields, given)
    outputs, results = simulate_compiled(
        compiled, given, simulator=simulator, ngspice=ngspice, jobs=jobs, timeout=timeout
    )
    watch = RangeWatch(compiled)
    left = tuple(k for k, result in enumerate(results) if watch.left_by(result))
    return Simulation(compiled, given, outputs, results, left)


def _network(model: Model | Compiled | Path | str) -> Model:
    return model.model if isinstance(model, Compiled) else model_of(model)


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
