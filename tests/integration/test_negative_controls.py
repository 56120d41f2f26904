"""Decks that somebody edited do not pass, whatever was edited, and unedited ones do.

Every edit is chosen and sized by the reference: its predicted effect is a given multiple of what
the verdict allows.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import deck_edits
import numpy as np
import pytest
import sensitivity
from checkpoints import layer, write_network
from commands import Done, files, run

import kcompile
from kcompile import Compiled, CompileOptions
from kcompile.ir import FloatArray, Graph
from kcompile.simulation import Ngspice
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


@pytest.fixture(scope="module")
def subjects(
    tmp_path_factory: pytest.TempPathFactory, ngspice: Ngspice
) -> Callable[[str, str], Subject]:
    """Subjects by network and family, each made once."""

    @lru_cache
    def make(name: str, family: str) -> Subject:
        folder = tmp_path_factory.mktemp(name)
        if name == "friedman":
            return Subject(FRIEDMAN, FAMILIES[family], (), folder)
        network = write_network(
            folder / "net.safetensors",
            layer(nodes=3, duration=0.8, spread=0.7),
            layer(nodes=4, duration=0.6, spread=0.7),
            outputs=(2, 4),
        )
        np.save(folder / "x.npy", INPUT)
        single = ("--single-deck",) if name == "single" else ()
        return Subject(
            network, (*FAMILIES[family], *single), ("--inputs", folder / "x.npy"), folder
        )

    return make


@pytest.fixture(params=FAMILIES)
def friedman(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The trained Friedman network: 84 edges with weights of both signs."""
    return subjects("friedman", request.param)


@pytest.fixture(params=FAMILIES)
def single(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """Two layers, of 3 and 4 nodes, in one transient."""
    return subjects("single", request.param)


@pytest.fixture(params=["switch", "tables"])
def chain(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The same, as one deck a layer."""
    return subjects("chain", request.param)


@pytest.fixture(
    params=[("chain", "switch"), ("chain", "tables")] + [("single", f) for f in FAMILIES],
    ids="-".join,
)
def layers(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The two layers in either way."""
    return subjects(*request.param)


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


# --- Unedited decks ---------------------------------------------------------------------------


def test_an_unedited_deck_passes(friedman: Subject) -> None:
    report = friedman.must_pass(nothing)
    assert report["summary"]["max_abs_error"] < 0.05 * friedman.allowed
    assert report["compile"]["device_family"] == friedman.arguments[1]
    fresh = friedman.folder / "fresh.json"
    done = run("verify", FRIEDMAN, *friedman.arguments, "--samples", "1", "--json", fresh)
    assert done.status == 0
    afresh = json.loads(fresh.read_text())
    for key in ("deck_sha256", "deck_bytes", "elements", "opt_level", "device_family"):
        assert report["compile"][key] == afresh["compile"][key]
    assert report["summary"]["max_abs_error"] == afresh["summary"]["max_abs_error"]


def test_an_unedited_deck_of_layers_passes(layers: Subject) -> None:
    report = layers.must_pass(nothing)
    assert report["summary"]["max_abs_error"] < 0.1 * layers.allowed


def test_further_samples_replace_the_inputs(friedman: Subject, tmp_path: Path) -> None:
    """The folder's own inputs serve the first sample, the others bring theirs."""
    report = friedman.must_pass(nothing, "--samples", "3")
    assert [sample["status"] for sample in report["samples"]] == ["ok"] * 3
    rows = choose_inputs(friedman.model, None, 3).inputs
    np.save(tmp_path / "x.npy", rows[::-1])
    # The first of them is not what the deck starts from.
    done, report = friedman.judge(nothing, "--inputs", tmp_path / "x.npy")
    assert done.status == 1
    errors = [sample["max_abs_error"] for sample in report["samples"]]
    predicted = float(
        abs(
            sensitivity.outputs(friedman.graph, friedman.model.initial_voltages(rows[2]))
            - friedman.expected
        ).max()
    )
    assert errors[0] == pytest.approx(predicted, rel=0.01)
    assert max(errors[1:]) < 0.05 * friedman.allowed


# --- Parameters and edges ---------------------------------------------------------------------


def test_a_parameter_that_matters(friedman: Subject) -> None:
    edit, predicted = parameter_edit(friedman, 0, 3.0)
    assert predicted == pytest.approx(3.0, rel=0.1)
    reason = friedman.must_fail(edit, predicted)
    assert "node n6 is off by" in reason
    # A tenth of that is within the tolerance: the control measures, it does not compare texts.
    edit, predicted = parameter_edit(friedman, 0, 0.3)
    report = friedman.must_pass(edit)
    assert report["summary"]["max_abs_error"] / friedman.allowed == pytest.approx(
        predicted, abs=0.02
    )


@pytest.mark.parametrize("phase", [0, 1])
def test_a_parameter_of_a_layer(layers: Subject, phase: int) -> None:
    edit, predicted = parameter_edit(layers, phase, 3.0)
    assert predicted == pytest.approx(3.0, rel=0.1)
    layers.must_fail(edit, predicted)


def test_two_edges_swapped(friedman: Subject) -> None:
    edit, predicted = swap_edit(friedman, 0)
    assert predicted > 3.0
    friedman.must_fail(edit, predicted)


@pytest.mark.parametrize("phase", [0, 1])
def test_two_edges_of_a_layer_swapped(layers: Subject, phase: int) -> None:
    edit, predicted = swap_edit(layers, phase)
    assert predicted > 3.0
    layers.must_fail(edit, predicted)


# --- Inputs and initial conditions ------------------------------------------------------------


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


def test_an_input_disconnected(friedman: Subject) -> None:
    node, predicted, _ = input_that_matters(friedman)
    assert predicted > 3.0
    friedman.must_fail(
        lambda folder: deck_edits.substitute(deck_of(folder, 0), f"ic={{x{node}}}", "ic=0"),
        predicted,
    )


def test_an_input_of_a_layer_disconnected(layers: Subject) -> None:
    node, predicted, _ = input_that_matters(layers)
    assert predicted > 3.0
    layers.must_fail(
        lambda folder: deck_edits.substitute(deck_of(folder, 0), f"ic={{x{node}}}", "ic=0"),
        predicted,
    )


def shifted_start(subject: Subject, node: int, times: float) -> tuple[float, float]:
    """How far to shift a node's start for ``times`` the allowed error, and what comes of it."""
    step = 1e-3
    moved = subject.v0.copy()
    moved[node - 1] += step
    shift = times * step / subject.effect(subject.graph, moved)
    moved[node - 1] += shift - step
    return shift, subject.effect(subject.graph, moved)


def test_an_initial_condition_shifted(friedman: Subject) -> None:
    node, _, _ = input_that_matters(friedman)
    shift, predicted = shifted_start(friedman, node, 3.0)
    assert predicted == pytest.approx(3.0, rel=0.1)
    value = float(friedman.v0[node - 1])
    old, new = (f".param x{node}={number!r}\n" for number in (value, value + shift))
    friedman.must_fail(
        lambda folder: deck_edits.substitute(folder / "inputs.inc", old, new), predicted
    )
    friedman.must_fail(
        lambda folder: deck_edits.substitute(
            deck_of(folder, 0), f"ic={{x{node}}}", f"ic={{x{node}+{shift!r}}}"
        ),
        predicted,
    )
    friedman.must_fail(
        lambda folder: deck_edits.substitute(
            deck_of(folder, 0), f"ic={{x{node}}}", f"ic={value + shift!r}"
        ),
        predicted,
    )


def test_a_node_that_should_start_at_zero(friedman: Subject) -> None:
    """Node 6 takes no input: its literal ``ic=0``."""
    shift, predicted = shifted_start(friedman, 6, 3.0)
    friedman.must_fail(
        lambda folder: deck_edits.substitute(
            deck_of(folder, 0), "C6 n6 0 1e-15 ic=0\n", f"C6 n6 0 1e-15 ic={shift!r}\n"
        ),
        predicted,
    )


def test_a_new_node_of_a_later_layer(layers: Subject) -> None:
    """Node 4 joins in the second layer, at 0 V."""
    name = "C4 n4 0 1e-15 ic="
    second = layers.graph.phases[1]
    start = np.append(middle(layers), 0.0)
    start[3] = 0.02
    predicted = layers.effect(Graph((second,), 4, layers.graph.outputs), start)
    assert predicted > 3.0
    layers.must_fail(
        lambda folder: deck_edits.substitute(deck_of(folder, 1), f"{name}0\n", f"{name}0.02\n"),
        predicted,
    )


def middle(subject: Subject) -> FloatArray:
    """The voltages with which the first layer ends."""
    first = subject.graph.phases[0]
    nodes = np.arange(1, first.nodes + 1)
    return sensitivity.outputs(Graph((first,), subject.graph.inputs, nodes), subject.v0)


# --- Times ------------------------------------------------------------------------------------


def stretched(subject: Subject, phase: int, times: float) -> tuple[float, float]:
    """By how much to stretch a phase for ``times`` the allowed error, and what comes of it."""
    duration = subject.graph.phases[phase].duration
    step = 1e-3
    graph = sensitivity.with_duration(subject.graph, phase, duration * (1 + step))
    stretch = times * step / subject.effect(graph)
    graph = sensitivity.with_duration(subject.graph, phase, duration * (1 + stretch))
    return stretch, subject.effect(graph)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_stop_time_shifted(friedman: Subject, direction: int) -> None:
    stretch, predicted = stretched(friedman, 0, 3.0 * direction)
    assert predicted == pytest.approx(3.0, rel=0.1)
    reason = friedman.must_fail(
        lambda folder: deck_edits.shift_stop(deck_of(folder, 0), 1 + stretch), predicted
    )
    assert "ends at" in reason


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("phase", [0, 1])
def test_a_stop_time_of_a_layer_shifted(chain: Subject, phase: int, direction: int) -> None:
    stretch, predicted = stretched(chain, phase, 3.0 * direction)
    assert predicted == pytest.approx(3.0, rel=0.1)
    reason = chain.must_fail(
        lambda folder: deck_edits.shift_stop(deck_of(folder, phase), 1 + stretch), predicted
    )
    assert f"layer{phase + 1}.raw" in reason


@pytest.mark.parametrize(("phase", "direction"), [(0, 1), (0, -1), (1, -1)])
def test_the_closing_edge_of_a_gate_shifted(single: Subject, phase: int, direction: int) -> None:
    stretch, predicted = stretched(single, phase, 3.0 * direction)
    assert predicted == pytest.approx(3.0, rel=0.1)
    seconds = stretch * single.graph.phases[phase].duration * 1e-15
    # Gates that overlap have both layers' currents flow for a while: a little more is off.
    overlapping = phase == 0 and direction == 1
    reason = single.must_fail(
        lambda folder: deck_edits.shift_gate_end(folder / "run.cir", phase + 1, seconds),
        None if overlapping else predicted,
    )
    assert "is off by" in reason


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_single_deck_that_stops_early_or_late(single: Subject, factor: float) -> None:
    reason = single.must_fail(lambda folder: deck_edits.shift_stop(folder / "run.cir", factor))
    assert "run.raw: ends at" in reason or "run.raw ends at" in reason


# --- The script -------------------------------------------------------------------------------

RUN = "run.cir"


def test_a_script_that_prints_something_else(layers: Subject) -> None:
    single = not (layers.deck / "layer1.cir").exists()
    plot, mark = ("tran1.n", "[tran1.last]") if single else ("tran2.h", "")
    for old, new, words in (
        (f"let n2 = {plot}2{mark}\n", f"let n2 = {plot}1{mark}\n", "the decks print n2"),
        (f"let n4 = {plot}4{mark}\n", f"let n4 = {plot}4{mark} + 1e-6\n", "the decks print n4"),
        ("print n4\n", "", "n4"),
        ("print n2\n", "echo n2 = 0\n", "the decks print n2"),
    ):
        reason = layers.must_fail(
            lambda folder, old=old, new=new: deck_edits.substitute(folder / RUN, old, new)
        )
        assert words in reason


def handed(subject: Subject, start: Sequence[float]) -> float:
    """The predicted effect of another start of the second layer."""
    second = subject.graph.phases[1]
    return subject.effect(Graph((second,), 4, subject.graph.outputs), np.append(start, 0.0))


def test_a_script_that_hands_over_wrongly(chain: Subject) -> None:
    v = middle(chain)
    first = chain.v0[:3]
    cases: list[tuple[list[tuple[str, str]], Any]] = [
        (
            [
                ("alter c1 ic = h1\n", "alter c1 ic = h3\n"),
                ("alter c3 ic = h3\n", "alter c3 ic = h1\n"),
            ],
            v[[2, 1, 0]],
        ),
        ([("alter c2 ic = h2\n", "")], [v[0], 0.0, v[2]]),
        ([("alter c1 ic = h1\n", "alter c1 ic = 1.1*h1\n")], [1.1 * v[0], v[1], v[2]]),
        ([("alter c1 ic = h1\n", "alter c1 ic = n1[0]\n")], [first[0], v[1], v[2]]),
    ]
    for edits, start in cases:

        def edit(folder: Path, edits=edits) -> None:
            for old, new in edits:
                deck_edits.substitute(folder / RUN, old, new)

        predicted = handed(chain, start)
        assert predicted > 1.5, (edits, predicted)
        chain.must_fail(edit, predicted)


def test_a_script_that_leaves_a_layer_out(chain: Subject) -> None:
    def twice(folder: Path) -> None:
        deck_edits.substitute(folder / RUN, "/layer2.cir", "/layer1.cir")

    done, report = chain.judge(twice)
    assert done.status in (1, 4)
    assert report["verdict"] == "fail"

    def unwritten(folder: Path) -> None:
        deck_edits.substitute(folder / RUN, "write $inputdir/layer2.raw\n", "")

    done, report = chain.judge(unwritten)
    assert done.status == 4
    assert "layer2.raw" in report["reason"]
    kept = re.search(r"\(see ([^()]+)\)", done.complaint)
    assert kept is not None
    shutil.rmtree(kept[1])


def test_a_residual_left_out(tmp_path: Path, ngspice: Ngspice) -> None:
    path = write_network(
        tmp_path / "net.safetensors",
        layer(spread=0.7), layer(spread=0.7), layer(spread=0.7, residual=0),
    )  # fmt: skip
    np.save(tmp_path / "x.npy", INPUT)
    subject = Subject(path, FAMILIES["ideal"], ("--inputs", tmp_path / "x.npy"), tmp_path)
    subject.must_pass(nothing)
    reason = subject.must_fail(
        lambda folder: deck_edits.substitute(
            folder / RUN, "h2 = n2[last] + tran1.h2", "h2 = n2[last]"
        )
    )
    assert "the decks print n2" in reason


# --- What cannot be certified -----------------------------------------------------------------


def test_a_tolerance_beyond_reach(subjects: Callable[..., Subject], tmp_path: Path) -> None:
    subject = subjects("friedman", "switch")
    done = run(
        "verify", FRIEDMAN, *subject.arguments, "--samples", "2", "--tolerance", "1e-12",
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.status == 1
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["verdict"] == "fail"
    assert report["reason"] == done.complaint
    assert report["summary"]["tolerance"] == 1e-12
    assert "times the 1e-12 allowed" in report["reason"]
    # Neither is the reference fit to judge by it, and says so.
    assert "beyond double precision" in report["reason"] or "certain to" in report["reason"]
    assert report["reference"]["convergence_error"] < 1e-6
