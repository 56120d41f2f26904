"""Subjects of negative controls: networks, their decks, and edits sized by the reference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import deck_edits
import numpy as np
import pytest
import sensitivity
from commands import Done, files, run

import kcompile
from kcompile import Compiled, CompileOptions
from kcompile.ir import FloatArray, Graph
from kcompile.verification import choose_inputs

FRIEDMAN = Path(__file__).resolve().parents[2] / "golden" / "friedman" / "model.safetensors"
FAMILIES = {
    "switch": ("--device", "switch", "-O", "0"),
    "ideal": ("--device", "ideal", "-O", "0"),
    "tables": ("--device", "ideal", "-O", "2"),
    "diode": ("--device", "diode", "-O", "0"),
}
INPUT = [0.7, -0.4]


@dataclass(eq=False)
class Subject:
    """A network, its decks as ``kcompile netlist`` writes them, and what the reference says."""

    checkpoint: Path
    arguments: tuple[str, ...]
    inputs: tuple[object, ...]
    folder: Path

    def __post_init__(self) -> None:
        self.deck = self.folder / "deck"
        done = run("netlist", self.checkpoint, *self.arguments, *self.inputs, "-o", self.deck)
        assert done.status == 0, done
        self.model = kcompile.load(self.checkpoint)
        given = np.load(str(self.inputs[1])) if self.inputs else None
        self.v0: FloatArray = self.model.initial_voltages(
            choose_inputs(self.model, given, 1).inputs[0]
        )
        self.graph: Graph = self.model.graph
        self.expected = sensitivity.outputs(self.graph, self.v0)
        self.allowed = 1e-3 * max(1.0, float(abs(self.expected).max()))
        self._copies = 0

    @cached_property
    def compiled(self) -> Compiled:
        words = self.arguments
        level = int(words[words.index("-O") + 1])
        return kcompile.compile(self.model, CompileOptions(device=words[1], opt_level=level))

    def effect(self, graph: Graph, v0: FloatArray | None = None) -> float:
        """The error of the read-outs that the reference predicts, over what is allowed."""
        answer = sensitivity.outputs(graph, self.v0 if v0 is None else v0)
        return float(abs(answer - self.expected).max()) / self.allowed

    def judge(self, edit: Callable[[Path], None], *more: object) -> tuple[Done, dict[str, Any]]:
        """What ``kcompile verify --deck`` says of an edited copy, and its report."""
        self._copies += 1
        copy = self.folder / f"edited {self._copies}"
        shutil.copytree(self.deck, copy)
        edit(copy)
        before, facts = files(copy), copy.with_suffix(".json")
        done = run(
            "verify", self.checkpoint, "--deck", copy, "--json", facts, *self.inputs,
            *(more or ("--samples", "1")),
        )  # fmt: skip
        assert files(copy) == before
        return done, json.loads(facts.read_text())

    def must_fail(self, edit: Callable[[Path], None], predicted: float | None = None) -> str:
        """The reason why an edited copy fails, with an error as predicted (over the allowed)."""
        done, report = self.judge(edit)
        assert done.status == 1, done
        assert report["verdict"] == "fail"
        assert done.complaint == report["reason"]
        if predicted is not None:
            found = report["summary"]["max_abs_error"] / self.allowed
            assert found == pytest.approx(predicted, rel=0.02, abs=0.02)
        return report["reason"]

    def must_pass(self, edit: Callable[[Path], None], *more: object) -> dict[str, Any]:
        """The report of a copy that passes."""
        done, report = self.judge(edit, *more)
        assert done.status == 0, done
        assert report["verdict"] == "pass"
        return report


def nothing(folder: Path) -> None:
    """No edit."""


def deck_of(folder: Path, phase: int) -> Path:
    """The deck that holds a phase."""
    path = folder / f"layer{phase + 1}.cir"
    return path if path.exists() else folder / "run.cir"


def element_of(folder: Path, phase: int, edge: int | str) -> str:
    """What an edge's devices are called after their letter."""
    return str(edge) if (folder / "layer1.cir").exists() else f"{phase + 1}_{edge}"


def scaling(
    graph: Graph, phase: int, edges: Sequence[int], w: Sequence[float], c: Sequence[float]
) -> Callable[[Path], None]:
    """The edit that gives some edges other weights and offsets."""
    batch = sensitivity.batch_of(graph, phase)

    def edit(folder: Path) -> None:
        for edge, new_w, new_c in zip(edges, w, c, strict=True):
            old_w, old_c = batch.column("w")[edge], batch.column("c")[edge]
            deck_edits.scale_element(
                deck_of(folder, phase),
                element_of(folder, phase, edge),
                float(new_w * new_c / (old_w * old_c)),
                float(new_w / old_w),
            )

    return edit


def most_sensitive(subject: Subject, phase: int) -> tuple[int, str, float]:
    """Edge and coefficient (w or c) that move a read-out most, and by how much."""
    size = {
        name: abs(sensitivity.sensitivities(subject.graph, subject.v0, phase, name)).max(axis=1)
        for name in "wc"
    }
    name = max(size, key=lambda name: size[name].max())
    edge = int(size[name].argmax())
    return edge, name, float(size[name][edge])


def parameter_edit(
    subject: Subject, phase: int, times: float
) -> tuple[Callable[[Path], None], float]:
    """An edit whose effect is to be ``times`` the allowed error, and what the reference says."""
    if "2" in subject.arguments:
        return ordinate_edit(subject, phase, times)
    edge, name, slope = most_sensitive(subject, phase)
    batch = sensitivity.batch_of(subject.graph, phase)
    new = {key: [float(batch.column(key)[edge])] for key in "wc"}
    new[name][0] += times * subject.allowed / slope
    predicted = subject.effect(sensitivity.changed(subject.graph, phase, [edge], **new))
    return scaling(subject.graph, phase, [edge], **new), predicted


def ordinate_edit(
    subject: Subject, phase: int, times: float
) -> tuple[Callable[[Path], None], float]:
    """The same for the point of a table that moves a read-out most."""
    graph = subject.compiled.graph
    hats = sensitivity.hats(graph, phase)
    slopes = abs(sensitivity.hat_sensitivities(graph, subject.v0, phase, hats)).max(axis=1)
    hat = hats[int(slopes.argmax())]
    height = times * subject.allowed / float(slopes.max())
    predicted = subject.effect(sensitivity.with_hats(graph, phase, [hat], height))

    def edit(folder: Path) -> None:
        element = element_of(folder, phase, f"p0_{hat.ends[0]}_{hat.ends[1]}")
        deck_edits.raise_ordinate(deck_of(folder, phase), element, hat.point, height)

    return edit, predicted


def swap_edit(subject: Subject, phase: int) -> tuple[Callable[[Path], None], float]:
    """An edit that swaps the devices of two edges (or tables), and what the reference says."""
    if "2" in subject.arguments:
        return swap_tables_edit(subject, phase)
    batch = sensitivity.batch_of(subject.graph, phase)
    w, c = batch.column("w"), batch.column("c")
    slope = {
        name: sensitivity.sensitivities(subject.graph, subject.v0, phase, name) for name in "wc"
    }
    # Moving edge i's device to j changes j by p_i - p_j, and the other way round.
    moved = sum(
        (slope[name][:, None] - slope[name][None]) * (p[None] - p[:, None])[..., None]
        for name, p in (("w", w), ("c", c))
    )
    size = abs(np.asarray(moved)).max(axis=-1)
    # Families draw edges of opposite signs differently: only equal ones can be swapped in text.
    size[np.sign(w)[:, None] != np.sign(w)[None]] = 0.0
    pair = [int(k) for k in np.unravel_index(size.argmax(), size.shape)]
    new = {"w": w[pair[::-1]].tolist(), "c": c[pair[::-1]].tolist()}
    predicted = subject.effect(sensitivity.changed(subject.graph, phase, pair, **new))
    return scaling(subject.graph, phase, pair, **new), predicted


def swap_tables_edit(subject: Subject, phase: int) -> tuple[Callable[[Path], None], float]:
    graph = subject.compiled.graph
    hats = sensitivity.hats(graph, phase)
    ends = {hat.group: hat.ends for hat in hats}
    first = 0
    effects = {
        other: subject.effect(sensitivity.with_groups_swapped(graph, phase, first, other))
        for other in list(ends)[1:6]
    }
    other = max(effects, key=lambda group: effects[group])

    def edit(folder: Path) -> None:
        names = [element_of(folder, phase, f"p0_{h}_{w}") for h, w in (ends[first], ends[other])]
        deck_edits.swap_tables(deck_of(folder, phase), *names)

    return edit, effects[other]


def input_that_matters(subject: Subject) -> tuple[int, float, FloatArray]:
    """The input whose absence is felt most, how much, and the start without it."""
    effects: list[tuple[float, int]] = []
    for node in range(subject.graph.inputs):
        without = subject.v0.copy()
        without[node] = 0.0
        effects.append((subject.effect(subject.graph, without), node))
    size, node = max(effects)
    without = subject.v0.copy()
    without[node] = 0.0
    return node + 1, size, without


def shifted_start(subject: Subject, node: int, times: float) -> tuple[float, float]:
    """How far to shift a node's start for ``times`` the allowed error, and what comes of it."""
    step = 1e-3
    moved = subject.v0.copy()
    moved[node - 1] += step
    shift = times * step / subject.effect(subject.graph, moved)
    moved[node - 1] += shift - step
    return shift, subject.effect(subject.graph, moved)


def middle(subject: Subject) -> FloatArray:
    """The voltages with which the first layer ends."""
    first = subject.graph.phases[0]
    nodes = np.arange(1, first.nodes + 1)
    return sensitivity.outputs(Graph((first,), subject.graph.inputs, nodes), subject.v0)


def handed(subject: Subject, start: Sequence[float]) -> float:
    """The predicted effect of another start of the second layer."""
    second = subject.graph.phases[1]
    return subject.effect(Graph((second,), 4, subject.graph.outputs), np.append(start, 0.0))


def stretched(subject: Subject, phase: int, times: float) -> tuple[float, float]:
    """By how much to stretch a phase for ``times`` the allowed error, and what comes of it."""
    duration = subject.graph.phases[phase].duration
    step = 1e-3
    graph = sensitivity.with_duration(subject.graph, phase, duration * (1 + step))
    stretch = times * step / subject.effect(graph)
    graph = sensitivity.with_duration(subject.graph, phase, duration * (1 + stretch))
    return stretch, subject.effect(graph)
