"""Scripts that somebody edited: they print, hand over or leave out what they should not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deck_edits
import numpy as np
from checkpoints import layer, write_network
from controls import FAMILIES, INPUT, Subject, handed, middle, nothing

from kcompile.simulation import Ngspice

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
    chain.must_fail(
        lambda folder: deck_edits.substitute(folder / RUN, "/layer2.cir", "/layer1.cir")
    )
    reason = chain.must_fail(
        lambda folder: deck_edits.substitute(folder / RUN, "write $inputdir/layer2.raw\n", "")
    )
    assert "layer2.raw: the simulator wrote no raw file" in reason


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
