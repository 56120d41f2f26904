"""What a drawn circuit answers: by its equations, fast, or by SPICE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import local

import numpy as np

from kcompile.compiler import Compiled, CompileOptions, compile_model, require_simulated
from kcompile.frontend import Model
from kcompile.ir import FloatArray
from kcompile.lower import read_family
from kcompile.reference import FixedSteps, settled_steps
from kcompile.simulation import Ngspice, PySpice
from kcompile.variations import Draw, Temperature, draw
from kcompile.variations.specification import Variations
from kcompile.verification.simulate import choose_simulator, run_samples, work_folder

SETTLED = 0.1
"""The fast solution's error in the ideal network, relative to the experiment's tolerance."""


class OdeEngine:
    """The equations of drawn circuits, by fixed steps that were settled at the ideal network.

    Args:
        model: the ideal network.
        inputs: ``float64[S, Nin]``.
        tolerance: of the experiment, relative to ``max(1, largest read-out)``.

    Raises:
        GraphError: fixed steps do not solve the network.
    """

    name = "ode"

    def __init__(self, model: Model, inputs: FloatArray, tolerance: float) -> None:
        self.inputs = inputs
        self._own = local()
        initial = model.initial_voltages(inputs)
        self.steps, self.moved = settled_steps(
            self._solver, model.graph, initial, SETTLED * tolerance
        )
        self.ideal = self._solver.outputs(model.graph, initial, self.steps)

    @property
    def _solver(self) -> FixedSteps:
        """One for each thread: what it remembers is not for two at once."""
        if not hasattr(self._own, "solver"):
            self._own.solver = FixedSteps()
        return self._own.solver

    def answers(self, drawn: Draw, finer: int = 1) -> FloatArray:
        """The read-out nodes ``float64[S, M]``; not finite where the voltages run away.

        Args:
            drawn: the circuit.
            finer: how many times as many steps to take.
        """
        initial = drawn.initial_voltages(self.inputs)
        return self._solver.outputs(drawn.model.graph, initial, self.steps, finer)

    def settled(self, drawn: Draw, samples: int, allowed: float) -> tuple[FloatArray, float]:
        """The first samples' read-out nodes as exactly as a comparison wants, and their error.

        Args:
            drawn: the circuit.
            samples: how many.
            allowed: relative to ``max(1, largest read-out)``.

        Raises:
            GraphError: fixed steps do not solve the circuit.
        """
        initial = drawn.initial_voltages(self.inputs)[:samples]
        graph = drawn.model.graph
        steps, moved = settled_steps(self._solver, graph, initial, allowed)
        return self._solver.outputs(graph, initial, steps, finer=2), moved


class SpiceEngine:
    """Drawn circuits as decks, each simulated for every sample.

    Args:
        inputs: ``float64[S, Nin]``.
        options: how to compile.
        simulator: ``ngspice`` or ``pyspice``.
        ngspice: which ngspice; None: as ``kcompile doctor`` says.
        jobs: simulations at a time.
        timeout: seconds that one of them may take.

    Raises:
        UsageError: the device family is one of another simulator's.
        SimulatorNotFound: there is no simulator.
    """

    name = "spice"

    def __init__(
        self,
        inputs: FloatArray,
        options: CompileOptions,
        *,
        simulator: str = "ngspice",
        ngspice: Path | str | None = None,
        jobs: int = 2,
        timeout: float = 3600.0,
    ) -> None:
        self.inputs = inputs
        self.options = require_simulated(options)
        device = options.device
        self._thermal = device is not None and read_family(device, options.pdk).thermal
        self.program: Ngspice | PySpice = choose_simulator(simulator, ngspice)
        self._jobs, self._timeout = jobs, timeout

    def answers(self, drawn: Draw, finer: int = 1) -> tuple[FloatArray, tuple[str, ...]]:
        """The read-out nodes ``float64[S, M]``, NaN for a sample that failed, and why some did.

        Args:
            drawn: the circuit.
            finer: how many times as many steps a layer to take, and as small a ``reltol``.
        """
        parameters = {**self.options.parameters, **drawn.variations.device}
        options, circuit = replace(self.options, parameters=parameters), drawn
        temperature: Temperature = drawn.variations.effect(Temperature)
        if temperature.active and self._thermal:
            options = replace(options, temperature=temperature.celsius)
            circuit = drawn.of_thermal_devices()
        compiled = _refined(compile_model(circuit.model, options), finer)
        initial = drawn.initial_voltages(self.inputs)
        with work_folder() as folder:
            compiled.write(folder, initial[0])
            runs = run_samples(
                compiled, folder, initial, self.program, jobs=self._jobs, timeout=self._timeout
            )
        problems = tuple(f"sample {run.index}: {run.problem}" for run in runs if run.problem)
        return np.stack([run.outputs for run in runs]), problems


def _refined(compiled: Compiled, finer: int) -> Compiled:
    if finer == 1:
        return compiled
    circuit, options = compiled.circuit, dict(compiled.circuit.options)
    options["reltol"] = (options["reltol"] or 0.0) / finer
    circuit = replace(circuit, steps=circuit.steps * finer, options=options)
    return replace(compiled, circuit=circuit)


def drawer(model: Model, variations: Variations, seed: int) -> Callable[[int], Draw]:
    """A function that gives the circuit of a number."""

    def circuit(index: int) -> Draw:
        return draw(model, variations, seed, index)

    return circuit
