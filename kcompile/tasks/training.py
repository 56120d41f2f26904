"""Training a task's network: AdamW on the batches of its objective, a checkpoint every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kcompile.errors import CheckpointError, SolverError, TrainingDiverged, UsageError
from kcompile.frontend.fields import Field
from kcompile.frontend.model import Samples
from kcompile.frontend.records import Checkpoint
from kcompile.nn import Drawing, KirchhoffNet
from kcompile.nn.threads import one_thread
from kcompile.tasks.building import build, device_called, network_of
from kcompile.tasks.objectives import Objective, objective
from kcompile.tasks.optimiser import Optimiser
from kcompile.tasks.resuming import (
    first_difference,
    parameters_of,
    same_network,
    same_samples,
)
from kcompile.tasks.task import Kind, Preset, Split, Task
from kcompile.tasks.varying import Varied, nominal, require_fit, training_chance, varied_score
from kcompile.tasks.versions import versions
from kcompile.variations import Variations

CARRIED_SAMPLES = 64
"""How many test samples a checkpoint carries, so that verify needs no data set."""

_RUNAWAY = 100.0
_ADVICE = "try another seed, or a lower learning rate"
_OPTIONAL = ("variations", "from")
"""Settings that a record says nothing of where there are none."""


@dataclass(frozen=True)
class Progress:
    """How far a training run is.

    Args:
        epoch: epochs done.
        epochs: epochs wanted.
        done: batches done of the current epoch, 0 where one has just ended.
        batches: batches in an epoch.
        loss: mean training loss of the last epoch, or of the current one so far.
        seconds: since it began or was resumed.
        begun: epochs that were done then.
    """

    epoch: int
    epochs: int
    done: int
    batches: int
    loss: float
    seconds: float
    begun: int = 0

    @property
    def share(self) -> float:
        """Epochs done, with the current one's part."""
        return self.epoch + self.done / self.batches

    @property
    def remaining(self) -> float:
        """Seconds still to go at the pace so far."""
        passed = self.share - self.begun
        return self.seconds / passed * (self.epochs - self.share) if passed > 0 else math.inf


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training run.

    Args:
        checkpoint: the network with everything about it.
        parameters: how many numbers were trained.
        seed: of initialisation and shuffling.
        test_metric: the task's score on the test split, as the training solver sees it; of the
            ``nominal`` circuit.
        test_metric_converged: the score by the converged equations.
        convergence_error: how far the last doubling of the solver's steps moved an answer.
        seconds: it took.
        varied: the score on circuits with the variations that it was trained with, if with any.
    """

    checkpoint: Checkpoint
    parameters: int
    seed: int
    test_metric: float
    test_metric_converged: float
    convergence_error: float
    seconds: float
    varied: Varied | None = None


def train(
    task: Task,
    *,
    preset: Preset | str | None = None,
    size: str = "s",
    seed: int = 0,
    epochs: int | None = None,
    learning_rate: float | None = None,
    variations: Variations | None = None,
    start: Path | None = None,
    split: Split | None = None,
    device: str = "cpu",
    resume: Checkpoint | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_test: Callable[[int, int], None] | None = None,
    save: Callable[[Checkpoint], None] | None = None,
) -> Trained:
    """Trains one network; the same arguments give the same checkpoint.

    Args:
        task: what to train for.
        preset: network and recipe: of the task's own, by default the first, or one read from a
            file.
        size: a size of the preset.
        seed: of initialisation, shuffling and noise.
        epochs: instead of the recipe's.
        learning_rate: instead of the recipe's; the rate it ends with stays the recipe's.
        variations: imperfections of real circuits: every step sees another circuit, drawn by seed
            and step; the stored parameters are trained.
        start: a checkpoint of the same network whose parameters it starts from.
        split: the task's data, where the caller has loaded it already.
        device: where torch computes, such as ``cuda``; the test split is judged on the CPU.
        resume: a checkpoint of the same run, to go on from.
        on_progress: called after every batch, and after every epoch once its checkpoint is saved.
        on_test: called while the trained network is tested, with the samples whose answers are
            certain and with all.
        save: given a checkpoint after every epoch and a last one with the test scores.

    Raises:
        TrainingDiverged: the loss became NaN or ran away; what was saved last is still finite.
        SolverError: the trained network's equations do not converge.
        ConfigError: the preset's network cannot be built, or does not fit the data; the config of
            a published network to start from is bad.
        UsageError: no such preset, size or device, no epochs, another run's checkpoint, variations
            that there is no training with, or a checkpoint of another network to start from.
        CheckpointError: the checkpoint to go on or to start from is damaged or contradicts itself.
        MissingExtra, DataMissing: the data wants a package or a file that is not there.
    """
    chosen = preset if isinstance(preset, Preset) else task.preset(preset)
    given = {"epochs": epochs, "learning_rate": learning_rate}
    changed = {name: value for name, value in given.items() if value is not None}
    chosen = replace(chosen, recipe=replace(chosen.recipe, **changed))
    real = variations if variations is not None and variations.active else None
    if real is not None:
        require_fit(real, task.kind)
    if chosen.recipe.epochs < 1:
        raise UsageError(f"{chosen.recipe.epochs} epochs", hint="train for one or more")
    began = time.perf_counter()
    place = device_called(device)
    with one_thread():
        plan = chosen.plan(size)
        with network_of(chosen):
            net = build(plan, chosen.recipe, seed)
        origin = None if start is None else parameters_of(start, net, chosen.name, size)
        data = task.load(None) if split is None else split
        run = _Run(task, chosen, size, seed, data, net, real, origin)
        if resume is not None and (finished := run.finished(resume)) is not None:
            return finished
        goal = objective(task, data, chosen.recipe, seed)
        with network_of(chosen):
            goal.require_fit(net)
        net.to(place)
        curve = run.train(goal, resume, on_progress, save, began)
        net.to("cpu")
        with nominal(net, real) as built:
            tested = goal.test(built, as_trained=True, on_progress=on_test)
        varied = None
        if real is not None:
            varied = varied_score(net, goal, real, seed, on_progress=on_test)
    scores: dict[str, Any] = {
        "test_metric": tested.as_trained if tested.as_trained is not None else tested.score,
        "test_metric_converged": tested.score,
        "convergence_error": tested.error,
    }
    if not all(map(math.isfinite, scores.values())):
        raise TrainingDiverged("the score on the test split is not finite", hint=_ADVICE)
    if varied is not None:
        scores |= varied.to_record()
    checkpoint = run.checkpoint(curve, scores)
    if save is not None:
        save(checkpoint)
    return run.trained(checkpoint, time.perf_counter() - began)


@dataclass(frozen=True, eq=False)
class _Run:
    """What a training run is, and so what its checkpoints say."""

    task: Task
    preset: Preset
    size: str
    seed: int
    data: Split
    net: KirchhoffNet
    variations: Variations | None
    origin: Mapping[str, str] | None
    versions: Mapping[str, str] = field(default_factory=versions)

    def settings(self) -> dict[str, Any]:
        """What makes two runs the same."""
        recipe = asdict(self.preset.recipe)
        recipe["augment"] = list(recipe["augment"])
        return {
            "preset": self.preset.name,
            "size": self.size,
            "seed": self.seed,
            "recipe": recipe,
            "variations": {} if self.variations is None else self.variations.to_mapping(),
            "from": {} if self.origin is None else dict(self.origin),
        }

    def checkpoint(
        self,
        curve: list[float],
        scores: Mapping[str, float],
        optimiser: Optimiser | None = None,
    ) -> Checkpoint:
        """The network as it is now, with everything about it."""
        settings = self.settings()
        for name in _OPTIONAL:
            if not settings[name]:
                del settings[name]
        record: dict[str, Any] = {
            **settings,
            "loss": objective(self.task, self.data, self.preset.recipe).loss_name,
            "metric": self.task.score,
            "optimiser": "AdamW",
            "epochs_done": len(curve),
            "curve": list(curve),
            "versions": dict(self.versions),
            **scores,
        }
        return self.net.to_checkpoint(
            task=self.task.name,
            normalisation=self.data.normalisation,
            training=record,
            samples=self._samples(),
            optimiser={} if optimiser is None else optimiser.state(),
        )

    def _samples(self) -> Samples | None:
        if self.task.kind in (Kind.GENERATION, Kind.DENSITY):
            return None  # they start from draws
        data = self.data
        return Samples(data.test_inputs[:CARRIED_SAMPLES], data.test_targets[:CARRIED_SAMPLES])

    def finished(self, given: Checkpoint) -> Trained | None:
        """The result of a run that a checkpoint holds the end of, or None; it must be this run's.

        Raises:
            UsageError: it is another run's.
            CheckpointError: its record is damaged.
        """
        record = given.training
        wanted = {"task": self.task.name, **self.settings()}
        stated: dict[str, Any] = {**{name: {} for name in _OPTIONAL}, **record, "task": given.task}
        if (other := first_difference(stated, wanted)) is not None:
            name, said, value = other
            raise UsageError(
                f"the checkpoint is of another run: {name} is {_shown(said)}, not {_shown(value)}",
                where="--resume",
                hint="give the arguments of the run that it is of",
            )
        known = self.checkpoint([], {})
        if not (same_network(known, given) and same_samples(known.samples, given.samples)):
            raise UsageError(
                "the checkpoint is of another run: its network or its test samples differ",
                where="--resume", hint="give the arguments of the run that it is of",
            )  # fmt: skip
        if "test_metric_converged" in record:
            return self.trained(given, 0.0)
        if not given.optimiser:
            raise UsageError(
                "the checkpoint has no optimiser's state", where="--resume", hint="train anew"
            )
        return None

    def trained(self, checkpoint: Checkpoint, seconds: float) -> Trained:
        """The result, its scores as the checkpoint says them."""
        record = Field(checkpoint.training, "training", CheckpointError)
        return Trained(
            checkpoint,
            self.net.parameter_count,
            self.seed,
            record.key("test_metric").number(),
            record.key("test_metric_converged").number(),
            record.key("convergence_error").number(),
            seconds,
            Varied.from_record(checkpoint.training),
        )

    def train(
        self,
        goal: Objective,
        resume: Checkpoint | None,
        on_progress: Callable[[Progress], None] | None,
        save: Callable[[Checkpoint], None] | None,
        began: float,
    ) -> list[float]:
        """Trains the network in place; the mean loss of every epoch."""
        recipe = self.preset.recipe
        optimiser = Optimiser(self.net, recipe, goal.steps)
        curve: list[float] = []
        if resume is not None:
            record = Field(resume.training, "training", CheckpointError)
            curve = [loss.number() for loss in record.key("curve").items(1)]
            optimiser.restore(resume)
            if len(curve) > recipe.epochs:
                raise CheckpointError(f"the checkpoint has {len(curve)} of {recipe.epochs} epochs")
        begun = len(curve)
        for epoch in range(begun + 1, recipe.epochs + 1):
            for done, mean in self._epoch(goal, optimiser, epoch):
                if on_progress is not None and done < goal.steps:
                    seconds = time.perf_counter() - began
                    at = (epoch - 1, recipe.epochs, done, goal.steps, mean, seconds, begun)
                    on_progress(Progress(*at))
                if done == goal.steps:
                    curve.append(float(f"{mean:.6g}"))
            _require_sane(curve, self.net, goal.small_loss)
            if save is not None:
                save(self.checkpoint(curve, {}, optimiser))
            if on_progress is not None:
                seconds = time.perf_counter() - began
                at = (epoch, recipe.epochs, 0, goal.steps, curve[-1], seconds, begun)
                on_progress(Progress(*at))
        return curve

    def _epoch(
        self, goal: Objective, optimiser: Optimiser, epoch: int
    ) -> Iterator[tuple[int, float]]:
        """One epoch; after every batch, how many are done and the mean loss so far."""
        like, net = next(self.net.parameters()), self.net
        more = np.random.default_rng([self.seed, epoch]).integers(
            self.preset.recipe.jitter, size=goal.steps, endpoint=True
        )
        own = net.solver
        drawing = None if self.variations is None else Drawing(net, self.variations)
        total, samples = 0.0, 0
        for done, batch in enumerate(goal.batches(epoch, like), 1):
            number = (epoch - 1) * goal.steps + done
            extra = int(more[done - 1])
            if own.steps is not None and extra:
                net.solver = replace(own, steps=own.steps + extra)
            # The adjoint equation is solved in the step itself, which must see the same circuit.
            with (
                nullcontext()
                if drawing is None
                else drawing.drawn(training_chance(self.seed, number))
            ):
                try:
                    loss = goal.loss(net, batch)
                except SolverError as error:
                    raise _diverged(f"the solver cannot follow ({error})", epoch) from error
                finally:
                    net.solver = own
                value = loss.item()
                if not math.isfinite(value):
                    raise _diverged(f"the loss became {value}", epoch)
                optimiser.step(loss, number)
            count = batch[0].shape[0]
            total += value * count
            samples += count
            yield done, total / samples


def _require_sane(curve: Sequence[float], net: KirchhoffNet, small: float) -> None:
    # The last step of an epoch may have ruined what no further loss has looked at.
    if not all(bool(torch.isfinite(parameter).all()) for parameter in net.parameters()):
        raise _diverged("a parameter became infinite or NaN", len(curve))
    # A loss may be negative (a likelihood), so its rise is measured from the best that was seen.
    first, last = curve[0], curve[-1]
    if last - min(curve) > _RUNAWAY * max(abs(first), small):
        raise _diverged(f"the loss ran away from {first:.2g} to {last:.2g}", len(curve))


def _diverged(what: str, epoch: int) -> TrainingDiverged:
    return TrainingDiverged(f"{what} in epoch {epoch}", hint=_ADVICE)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."
