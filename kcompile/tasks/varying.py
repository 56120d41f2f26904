"""Training and testing with the imperfections of real circuits (torch)."""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kcompile.errors import CheckpointError, SolverError, UsageError
from kcompile.frontend.fields import Field
from kcompile.ir import FloatArray
from kcompile.nn import Drawing, KirchhoffNet, answers_at
from kcompile.nn.drawn import require_trainable
from kcompile.nn.solution import Evaluate
from kcompile.tasks.objectives import Objective
from kcompile.tasks.objectives.objective import Heard
from kcompile.tasks.task import Kind
from kcompile.variations import Chance, Input, OutputConductance, ReadOut, Temperature, Variations
from kcompile.variations.parameters import Quantisation
from kcompile.variations.terminals import Converter

TEST_DRAWS = 10
"""How many circuits a trained network is tested on."""

_PROBES = 64
"""So many test samples say how finely circuits must be solved."""

_FINE = 1e-3
"""How far the last doubling of the steps may move answers, relative to how they are spread (both
root mean squares). Scores differ from circuit to circuit by far more than that changes."""

_FEWEST, _MOST = 8, 1 << 14

_OF_DEVICES = (Quantisation, Temperature, OutputConductance)
"""What makes other devices, the same in every circuit."""

_RECORD = "varied"


def require_fit(variations: Variations, kind: Kind) -> None:
    """Sees that a task's networks can be trained with these variations.

    Raises:
        UsageError: they cannot; it names what cannot.
    """
    require_trainable(variations)
    if kind in (Kind.REGRESSION, Kind.CLASSIFICATION):
        return
    names = [effect.name for effect in (Input, ReadOut) if variations.effect(effect).active]
    if names:
        raise UsageError(
            f"a density knows no {' or '.join(names)} converter",
            where="--vary",
            hint="leave it out here",
        )


def training_chance(seed: int, step: int) -> Chance:
    """The chance of a training step's circuit.

    Args:
        seed: of the run; circuits are others than those of an experiment with the same seed.
        step: from 1 over all epochs.
    """
    words = np.random.SeedSequence([seed, zlib.crc32(b"training")]).generate_state(1, np.uint64)
    return Chance(int(words[0]), step)


@dataclass(frozen=True)
class Varied:
    """How good a network is on real circuits that it was not trained on.

    Args:
        mean: of the task's score on the test split, over circuits.
        sd: of the score over circuits.
        draws: how many circuits.
        steps: Runge-Kutta steps a layer that they were solved with.
    """

    mean: float
    sd: float
    draws: int
    steps: int

    def to_record(self) -> dict[str, Any]:
        """As a training record has it."""
        return {_RECORD: {"mean": self.mean, "sd": self.sd, "draws": self.draws,
                          "steps": self.steps}}  # fmt: skip

    @classmethod
    def from_record(cls, training: Mapping[str, Any]) -> Self | None:
        """What a training record says; None: nothing.

        Raises:
            CheckpointError: the record is damaged.
        """
        found = Field(training, "training", CheckpointError).get(_RECORD)
        if found is None:
            return None
        mean, sd = found.key("mean").number(), found.key("sd").number()
        return cls(mean, sd, found.key("draws").integer(1), found.key("steps").integer(1))


@contextmanager
def nominal(net: KirchhoffNet, variations: Variations | None) -> Generator[KirchhoffNet]:
    """The network with its quantisation, temperature and output conductance.

    Every circuit has the same of these, and training knew no network without: parameters that were
    only ever rounded may be anything in between.

    Args:
        net: on the CPU; it is not changed.
        variations: that it was trained with.
    """
    certain = () if variations is None else _of_devices(variations)
    if variations is None or not certain:
        yield net
        return
    double = copy.deepcopy(net).double()
    with Drawing(double, variations.only(certain)).drawn(Chance(0, 0)):
        yield double


def _of_devices(variations: Variations) -> tuple[str, ...]:
    """The effects that make other devices, the same in every circuit."""
    effects = variations.effects
    return tuple(name for name in variations.active if isinstance(effects.get(name), _OF_DEVICES))


def _all_alike(variations: Variations) -> bool:
    """Whether all circuits are the same: nothing of them is drawn."""
    converters = (variations.effects.get(name) for name in variations.active)
    rounding = sum(
        isinstance(each, Converter) and each.noise == each.offset == 0.0 for each in converters
    )
    return len(_of_devices(variations)) + rounding == len(variations.active)


def varied_score(
    net: KirchhoffNet,
    goal: Objective,
    variations: Variations,
    seed: int,
    draws: int = TEST_DRAWS,
    on_progress: Heard | None = None,
) -> Varied:
    """The score of a network on circuits ``variations.draw(..., seed, 0)`` and on.

    All are solved with as many steps as the first one wants.

    Args:
        net: on the CPU; it is not changed.
        goal: what is told of the test split.
        variations: of the circuits.
        seed: of the experiment.
        draws: how many; one where all are the same.
        on_progress: hears how many answers are there, over all circuits, of how many.

    Raises:
        SolverError: the first circuit's equations do not converge.
        TrainingDiverged: an answer is not finite.
    """
    double = copy.deepcopy(net).double()
    drawing = Drawing(double, variations)
    inputs, targets = goal.split.test_inputs, goal.split.test_targets
    if _all_alike(variations):
        draws = 1
    # Converters may round two close answers apart, or add noise.
    exact = Drawing(double, variations.without([Input.name, ReadOut.name]))
    with exact.drawn(Chance(seed, 0)):
        steps = _settled_steps(double, inputs[:_PROBES], goal.answers)
    scores: list[float] = []
    for index in range(draws):
        with drawing.drawn(Chance(seed, index)):
            answers: FloatArray = answers_at(double, inputs, goal.answers, steps)
        scores.append(goal.score(answers, targets))
        if on_progress is not None:
            on_progress((index + 1) * len(inputs), draws * len(inputs))
    sd = float(np.std(scores, ddof=1)) if draws > 1 else 0.0
    return Varied(math.fsum(scores) / draws, sd, draws, steps)


def _settled_steps(net: KirchhoffNet, inputs: FloatArray, evaluate: Evaluate) -> int:
    """How many steps a layer answers want until twice as many hardly move them."""
    steps = _FEWEST
    coarse = answers_at(net, inputs, evaluate, steps)
    while steps < _MOST:
        steps *= 2
        fine = answers_at(net, inputs, evaluate, steps)
        with np.errstate(invalid="ignore", over="ignore"):
            moved, spread = np.sqrt(np.mean((fine - coarse) ** 2)), np.std(fine)
        if moved <= _FINE * spread:
            return steps
        coarse = fine
    raise SolverError(
        f"answers of a circuit with variations still change at {steps} steps a layer",
        hint="its voltages run away: take weaker variations",
    )
