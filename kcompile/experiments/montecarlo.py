"""Monte Carlo: many circuits drawn from the variations, each judged, some of them by SPICE, too."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kcompile import __version__
from kcompile.errors import GraphError, UsageError
from kcompile.experiments.engines import Answer, OdeEngine, SpiceEngine, drawer
from kcompile.experiments.judging import Judge, Specification
from kcompile.experiments.plan import Plan
from kcompile.experiments.result import Check, Circuit, Experiment, Sensitivity
from kcompile.frontend import Model
from kcompile.ir import FloatArray, digest, require_continuous
from kcompile.kernels import workers
from kcompile.ledger import Ledger, kept
from kcompile.variations import Draw
from kcompile.verification.calibration import GAIN
from kcompile.verification.inputs import Chosen, choose_inputs

_FINER = (4, 16)
"""How much finer a circuit is simulated where its deck's own steps are too coarse."""

Progress = Callable[[str, int, int], None]


_Piece = TypeVar("_Piece", Circuit, Check)


class _Ledger(Ledger):
    """What is finished of a Monte Carlo, piece by piece of each of its parts."""

    kind = "montecarlo"

    def pieces(self, part: str, piece: type[_Piece]) -> dict[int, _Piece]:
        """What is finished of a part, by number; foreign lines are left out."""
        names = {"part", *(each.name for each in fields(piece))}
        found: dict[int, _Piece] = {}
        for values in self.lines():
            if values.keys() == names and values.pop("part") == part:
                done = piece(**values)
                found[done.index] = done
        return found

    def keep(self, part: str, piece: Circuit | Check) -> None:
        """Adds a finished piece; what failed is not, and so is tried again."""
        if piece.problem is None:
            self.append({"part": part, **asdict(piece)})


def run_montecarlo(
    model: Model,
    plan: Plan,
    *,
    inputs: Any | None = None,
    samples: int | None = None,
    data: Path | None = None,
    resume: bool = True,
    on_progress: Progress | None = None,
) -> Experiment:
    """Draws circuits, judges each, and says how they are distributed.

    Args:
        model: the ideal network.
        plan: what to do.
        inputs, samples, data: which samples, as for ``verify``; by default 256, or as many as the
            checkpoint carries.
        resume: whether to go on where an interrupted run of the same plan stopped.
        on_progress: hears the stage, how much of it is done, and of how much.

    Raises:
        UsageError: an option is out of range, or the device table names parameters and the
            equations are to answer.
        InputError, DataMissing: the samples do not fit, or are not there.
        GraphError: the ideal network cannot be solved.
        SimulatorNotFound: there is no simulator.
    """
    began = time.perf_counter()
    chosen = _samples(model, inputs, samples, data, plan.seed)
    specification, run = None, _Run(model, plan, chosen, on_progress or _silent)
    if plan.specification is not None:
        specification = Specification.parse(plan.specification, run.judge.metric)
    ledger = _Ledger.of(run.identity())
    if ledger is not None and not resume:
        ledger.clear()
    with kept(ledger):
        run.ledger = ledger
        circuits, checks, alone = run.circuits(), run.checks(), run.alone()
    return Experiment.of(
        model, plan.variations, run.judge, circuits,
        engine=plan.engine, seed=plan.seed, samples=len(chosen.inputs), note=chosen.note,
        tolerance=plan.tolerance, steps=run.ode.steps, specification=specification,
        checks=checks, sensitivities=alone, seconds=time.perf_counter() - began,
    )  # fmt: skip


_SAMPLES = 256


def _samples(
    model: Model, inputs: Any | None, samples: int | None, data: Path | None, seed: int
) -> Chosen:
    """The samples; where nobody says how many, what the checkpoint carries is enough.

    Raises:
        UsageError: so many are asked for of a network that nobody has samples of.
    """
    if samples is None and inputs is None:
        carried = model.samples
        if data is None and carried is not None:
            samples = len(carried)
        elif data is not None or model.generative:
            samples = _SAMPLES
    chosen = choose_inputs(model, inputs, samples, seed, data)
    if samples is not None and len(chosen.inputs) < samples:
        raise UsageError(
            "there are no test samples of this network", where="--samples",
            hint="give some with --inputs",
        )  # fmt: skip
    return chosen


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


class _Run:
    """The engines, the judge, and what they are asked."""

    def __init__(self, model: Model, plan: Plan, chosen: Chosen, on_progress: Progress) -> None:
        if plan.engine == OdeEngine.name and plan.variations.device:
            raise UsageError(
                "the device table is of SPICE alone", where="--engine", hint="use --engine spice"
            )
        if not plan.variations.timing.perfect:
            require_continuous(model.graph)
        self._plan, self._model, self._show = plan, model, on_progress
        self.ledger: _Ledger | None = None
        self._inputs = chosen.inputs
        self.ode = OdeEngine(model, chosen.inputs, plan.tolerance)
        self.judge = Judge(model, self.ode.ideal, chosen.targets)
        self._circuit = drawer(model, plan.variations, plan.seed)
        self._few = min(plan.check_samples, len(chosen.inputs))
        self._targets = chosen.targets
        self._spice = self._spice_engine()
        # What cannot be drawn or built is told before hours of work.
        first = self._circuit(0)
        self._deck = None if self._spice is None else self._spice.digest(first)

    def _spice_engine(self) -> SpiceEngine | None:
        plan = self._plan
        whole = plan.by_spice
        if not (whole or plan.checks):
            return None
        inputs = self._inputs if whole else self._inputs[: self._few]
        return SpiceEngine(
            inputs, plan.options, simulator=plan.simulator, ngspice=plan.ngspice, jobs=plan.jobs,
            timeout=plan.timeout,
        )  # fmt: skip

    def identity(self) -> dict[str, Any]:
        """All that a circuit's result depends on."""
        plan, head = self._plan, self._model.head
        program = None if self._spice is None else self._spice.program.banner
        targets = b"" if self._targets is None else np.ascontiguousarray(self._targets).tobytes()
        return {
            "kcompile": __version__,
            "graph": digest(self._model.graph),
            "inputs": hashlib.sha256(np.ascontiguousarray(self._inputs).tobytes()).hexdigest(),
            "targets": hashlib.sha256(targets).hexdigest(),
            # Behind the circuit: two networks may differ in their heads alone.
            "head": hashlib.sha256(
                np.ascontiguousarray(head(self.ode.ideal)).tobytes()
            ).hexdigest(),
            "task": self._model.task,
            "variations": plan.variations.to_mapping(),
            "seed": plan.seed,
            "engine": plan.engine,
            "tolerance": plan.tolerance,
            "deck": self._deck if plan.by_spice else None,
            "options": repr(plan.options) if plan.by_spice else None,
            "ngspice": program if plan.by_spice else None,
        }

    def circuits(self) -> tuple[Circuit, ...]:
        """Every circuit's result, in order."""
        plan = self._plan
        work = self._by_spice if plan.by_spice else self._by_equations
        return self._finished(
            "circuits", Circuit, range(plan.runs), work, together=not plan.by_spice
        )  # fmt: skip

    def _finished(
        self,
        part: str,
        piece: type[_Piece],
        numbers: Sequence[int],
        work: Callable[[int], _Piece],
        show: Callable[[int], None] | None = None,
        *,
        together: bool,
    ) -> tuple[_Piece, ...]:
        """A part's pieces, in order; those that the ledger has are not worked on again."""
        known = {} if self.ledger is None else self.ledger.pieces(part, piece)
        found = {number: known[number] for number in numbers if number in known}
        left = [number for number in numbers if number not in found]

        def keep(done: _Piece) -> None:
            found[done.index] = done
            if self.ledger is not None:
                self.ledger.keep(part, done)
            if show is None:
                self._show(part, len(found), len(numbers))
            else:
                show(len(found))

        if together:
            self._each(left, work, keep)
        else:
            for number in left:
                keep(work(number))
        return tuple(found[number] for number in numbers)

    def _each(
        self,
        numbers: Sequence[int],
        work: Callable[[int], _Piece],
        keep: Callable[[_Piece], None],
    ) -> None:
        """Works on several circuits at a time: the kernel leaves Python's lock to the others."""
        with ThreadPoolExecutor(workers(), "kcompile-draws") as pool:
            try:
                for circuit in pool.map(work, numbers):
                    keep(circuit)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _by_equations(self, index: int, circuit: Callable[[int], Draw] | None = None) -> Circuit:
        began = time.perf_counter()
        drawn = (circuit or self._circuit)(index)
        return self._judged(drawn, self.ode.answer(drawn), began)

    def _by_spice(self, index: int) -> Circuit:
        assert self._spice is not None
        began = time.perf_counter()
        drawn = self._circuit(index)
        return self._judged(drawn, self._spice.answer(drawn), began)

    def _judged(self, drawn: Draw, answer: Answer, began: float) -> Circuit:
        read = drawn.read_out(answer.outputs)
        return Circuit(
            drawn.chance.index, *self.judge.errors(read), self.judge.value(read),
            time.perf_counter() - began, answer.moved, answer.problem,
        )  # fmt: skip

    def checks(self) -> tuple[Check, ...]:
        """Some of the circuits in SPICE, compared with their equations."""
        plan, spice = self._plan, self._spice
        if spice is None or plan.by_spice:
            return ()
        count = min(plan.checks, plan.runs)
        numbers = np.unique(np.linspace(0, plan.runs - 1, count).round().astype(int)).tolist()
        asked = (self._few, self._deck, repr(plan.options), spice.program.banner)
        part = f"checks {hashlib.sha256(repr(asked).encode()).hexdigest()[:16]}"
        return self._finished(
            part, Check, numbers, partial(self._check, spice),
            lambda done: self._show("SPICE", done, len(numbers)), together=False,
        )  # fmt: skip

    def _check(self, spice: SpiceEngine, index: int) -> Check:
        drawn = self._circuit(index)
        try:
            expected, moved = self.ode.settled(drawn, self._few, 0.1 * self._plan.tolerance)
        except GraphError as error:
            return Check(index, None, None, None, str(error))
        found = self._compared(spice, drawn, expected, moved, 1)
        for finer in _FINER:
            if found.passed or found.problem is not None:
                break
            better = self._compared(spice, drawn, expected, moved, finer)
            if better.difference is None or GAIN * better.difference > (found.difference or 0.0):
                break  # it is not the steps
            found = better
        return found

    def _compared(
        self, spice: SpiceEngine, drawn: Draw, expected: FloatArray, moved: float, finer: int
    ) -> Check:
        answer = spice.answer(drawn, finer)
        difference = np.abs(answer.outputs - expected)
        allowed = self._plan.tolerance * max(1.0, float(np.abs(expected).max(initial=0.0)))
        known = bool(np.isfinite(difference).all())
        return Check(
            drawn.chance.index, float(difference.max()) if known else None, allowed, moved,
            answer.problem, finer,
        )  # fmt: skip

    def alone(self) -> tuple[Sensitivity, ...]:
        """What each effect does alone, the strongest first; nothing where there is only one."""
        plan = self._plan
        names = [name for name in plan.variations.active if name != "device"]
        if plan.by_spice or not plan.alone or len(names) < 2:
            return ()
        count = min(plan.alone, plan.runs)
        found: list[Sensitivity] = []
        for number, name in enumerate(names):
            draw = drawer(self._model, plan.variations.only([name]), plan.seed)

            def show(done: int, before: int = number * count) -> None:
                self._show("one effect alone", before + done, len(names) * count)

            circuits = self._finished(
                f"{name} alone", Circuit, range(count), partial(self._by_equations, circuit=draw),
                show, together=True,
            )  # fmt: skip
            found.append(Sensitivity.of(name, circuits, self.judge.ideal_metric))
        return tuple(sorted(found, key=lambda each: -each.rms_error))
