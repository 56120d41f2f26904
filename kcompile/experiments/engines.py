"""What a drawn circuit answers: by its equations, fast, or by SPICE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import local

import numpy as np

from kcompile.compiler import Compiled, CompileOptions, compile_model, require_simulated
from kcompile.errors import GraphError
from kcompile.frontend import Model
from kcompile.ir import FloatArray
from kcompile.lower import read_family
from kcompile.reference import FixedSteps, ScheduledCircuit, movement, settle
from kcompile.reference.fixed import FIRST
from kcompile.simulation import Ngspice, PySpice
from kcompile.variations import Draw, Temperature, draw
from kcompile.variations.specification import Variations
from kcompile.verification.ranges import approximated
from kcompile.verification.simulate import choose_simulator, run_samples, work_folder

SETTLED = 0.1
"""The fast solution's error, relative to the experiment's tolerance."""

_LENIENT = 8.0
"""Half the steps may move a circuit's read-outs so many times more than all of them may be wrong:
the rule's error falls sixteenfold, or eightfold where a device switches within a step."""

_HARDER = 16
"""A circuit that wants so many times more steps than the ideal network has no fast solution."""

_FIRST_SCHEDULED = 32


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a circuit answers.

    Args:
        outputs: ``float64[S, M]``, the read-out nodes; NaN where there is no answer.
        moved: how far half the steps would have moved them at most; None of SPICE.
        problem: why there is no answer, or None.
    """

    outputs: FloatArray
    moved: float | None = None
    problem: str | None = None


class OdeEngine:
    """The equations of drawn circuits, by fixed steps; every circuit's are checked.

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
        self._allowed = SETTLED * tolerance
        self._own = local()
        initial = model.initial_voltages(inputs)

        def outputs(steps: int, finer: int) -> FloatArray:
            return self._solver.outputs(model.graph, initial, steps, finer)

        self.steps, _, self.moved = settle(outputs, self._allowed)
        # A circuit is solved with these steps; half of them are looked at as well.
        self.ideal = outputs(max(self.steps // 2, FIRST), 2)

    @property
    def _solver(self) -> FixedSteps:
        """One for each thread: what it remembers is not for two at once."""
        if not hasattr(self._own, "solver"):
            self._own.solver = FixedSteps()
        return self._own.solver

    def answer(self, drawn: Draw) -> Answer:
        """The read-outs of one circuit, with more steps where it turns out to need them."""
        solve, first = self._prepared(drawn, len(self.inputs))
        half = max(self.steps // 2, first)
        coarse, fine = solve(half, 1), solve(half, 2)
        moved = movement(coarse, fine)
        if moved <= _LENIENT * self._allowed * max(1.0, float(np.abs(fine).max(initial=0.0))):
            return Answer(fine, moved)
        try:
            _, fine, moved = settle(
                solve, self._allowed, 2 * half, _HARDER * max(self.steps, first)
            )
        except GraphError as error:
            return Answer(np.full_like(fine, np.nan), None, str(error))
        return Answer(fine, moved)

    def settled(self, drawn: Draw, samples: int, allowed: float) -> tuple[FloatArray, float]:
        """The first samples' read-out nodes as exactly as a comparison wants, and their error.

        Args:
            drawn: the circuit.
            samples: how many.
            allowed: relative to ``max(1, largest read-out)``.

        Raises:
            GraphError: fixed steps do not solve the circuit.
        """
        solve, first = self._prepared(drawn, samples)
        return settle(solve, allowed, first)[1:]

    def _prepared(self, drawn: Draw, samples: int) -> tuple[Callable[[int, int], FloatArray], int]:
        """Gives read-outs for so many steps, so many times finer; and the fewest steps."""
        graph = drawn.model.graph
        initial = drawn.initial_voltages(self.inputs)[:samples]
        if (timing := drawn.timing) is not None:
            circuit = ScheduledCircuit(graph, timing)
            return lambda steps, finer: circuit.outputs(initial, steps * finer), _FIRST_SCHEDULED
        currents = drawn.injected if drawn.noisy else None
        solver = self._solver
        return (lambda steps, finer: solver.outputs(graph, initial, steps, finer, currents)), FIRST


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

    def answer(self, drawn: Draw, finer: int = 1) -> Answer:
        """The read-outs of one circuit, NaN for a sample that failed.

        Args:
            drawn: the circuit.
            finer: how many times as many steps a layer to take, and as small a ``reltol``.
        """
        initial = drawn.initial_voltages(self.inputs)
        circuit, options = self._circuit(drawn, initial)
        # Noise is another for every sample, and then so is its circuit.
        parts = range(len(initial)) if drawn.noisy else [slice(None)]
        outputs: list[FloatArray] = []
        problem: str | None = None
        for part in parts:
            rows = slice(part, part + 1) if isinstance(part, int) else part
            model = circuit.of_sample(part) if isinstance(part, int) else circuit.model
            compiled = _refined(compile_model(model, options), finer)
            with work_folder() as folder:
                compiled.write(folder, initial[rows][0])
                runs = run_samples(
                    compiled, folder, initial[rows], self.program, jobs=self._jobs,
                    timeout=self._timeout,
                )  # fmt: skip
            outputs += (run.outputs for run in runs)
            failed = (f"sample {run.index}: {run.problem}" for run in runs if run.problem)
            problem = problem or next(failed, None)
        return Answer(np.stack(outputs), None, problem)

    def digest(self, drawn: Draw) -> str:
        """Of the deck of one circuit's first sample, which has all that family and options say."""
        initial = drawn.initial_voltages(self.inputs)[:1]
        circuit, options = self._circuit(drawn, initial)
        with work_folder() as folder:
            compiled = compile_model(circuit.of_sample(0), options)
            return compiled.write(folder, initial[0]).sha256

    def _circuit(self, drawn: Draw, initial: FloatArray) -> tuple[Draw, CompileOptions]:
        """The circuit for these devices, and the options with what the variations say."""
        parameters = {**self.options.parameters, **drawn.variations.device}
        options = replace(self.options, parameters=parameters)
        if (timing := drawn.timing) is not None:
            options = replace(options, single_deck=True, timing=timing)
        temperature: Temperature = drawn.variations.effect(Temperature)
        if temperature.active and self._thermal:
            drawn = drawn.of_thermal_devices()
            options = replace(options, temperature=temperature.celsius)
        return drawn, approximated(drawn.model, options, initial)


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
