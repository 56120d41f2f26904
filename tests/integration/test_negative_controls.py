"""Decks that somebody edited do not pass, whatever was edited, and unedited ones do.

Every edit is chosen and sized by the reference: its predicted effect is a given multiple of what
the verdict allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import deck_edits
import numpy as np
import pytest
import sensitivity
from commands import run
from controls import (
    FRIEDMAN,
    Subject,
    deck_of,
    input_that_matters,
    middle,
    nothing,
    parameter_edit,
    shifted_start,
    stretched,
    swap_edit,
)

from kcompile.ir import Graph
from kcompile.verification import choose_inputs

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


# --- Times ------------------------------------------------------------------------------------


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
