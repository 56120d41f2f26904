"""What a TOML file or --vary may say, and that without strength nothing changes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import ContentError, UsageError
from kcompile.ir import digest
from kcompile.reference import FixedSteps
from kcompile.variations import EFFECTS, Variations, describe, draw, read_variations


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_without_strength_nothing_changes_by_a_bit(effect) -> None:
    model = make_model(nodes=(3, 3))
    mapping = {effect.name: {each.name: each.default for each in fields(effect)}}
    drawn = draw(model, Variations.from_mapping(mapping), 3, 4)
    assert drawn.model is model
    inputs = np.array([[0.3, -0.4], [1.0, 2.0]])
    assert (drawn.initial_voltages(inputs) == model.initial_voltages(inputs)).all()
    outputs = FixedSteps().outputs(model.graph, drawn.initial_voltages(inputs), 20)
    assert drawn.read_out(outputs) is outputs


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_a_weak_effect_changes_little_and_a_strong_one_more(effect) -> None:
    """Every number of every effect does something, and vanishes with its strength."""
    model = make_model(nodes=(3, 3), phi="tanh")
    inputs = np.array([[0.3, -0.4], [1.0, 2.0]])
    ideal = FixedSteps().outputs(model.graph, model.initial_voltages(inputs), 100)
    company = {
        ("quantisation", "clip"): {"bits": 8.0},
        ("leakage", "spread"): {"conductance": 1e-2},
        ("leakage", "hold"): {"conductance": 1e-2},
        ("input", "bits"): {"span": 4.0},
        ("readout", "bits"): {"span": 4.0},
        ("input", "span"): {"bits": 8.0},
        ("readout", "span"): {"bits": 8.0},
        ("noise", "step"): {"density": 1e-4},
        ("timing", "seed"): {"skew": 0.1},
    }
    strengths = {
        "bits": (12.0, 3.0), "clip": (0.9, 0.2), "celsius": (27.5, 90.0), "nominal": (27.5, 90.0),
        "span": (1.0, 0.2), "step": (0.01, 0.05),
    }  # fmt: skip
    if effect.name in ("stuck",):
        strengths |= {"open": (0.0, 0.9), "on": (0.0, 0.9)}
    for each in fields(effect):
        beside = company.get((effect.name, each.name), {})
        moved = []
        for strength in strengths.get(each.name, (1e-6, 1e-1)):
            variations = Variations.from_mapping({effect.name: {**beside, each.name: strength}})
            drawn = draw(model, variations, 1, 0)
            outputs = drawn.read_out(
                FixedSteps().outputs(
                    drawn.model.graph, drawn.initial_voltages(inputs), 100,
                    currents=drawn.injected if drawn.noisy else None,
                )
            )  # fmt: skip
            moved.append(float(np.abs(outputs - ideal).max()))
        assert moved[1] > 0, each.name
        if not beside or each.name == "bits":
            assert moved[0] < 0.2 * moved[1], each.name


def test_a_file_and_words_on_top(tmp_path: Path) -> None:
    path = tmp_path / "vary.toml"
    path.write_text("[mismatch]\ngain = 0.02\noffset = 0.01\n[device]\nroff = 1e6\n")
    found = read_variations([str(path), "mismatch.gain=0.05", "stuck.open=1e-3"])
    assert found.to_mapping() == {
        "mismatch": {"gain": 0.05, "offset": 0.01},
        "stuck": {"open": 1e-3},
        "device": {"roff": 1e6},
    }
    assert found.active == ("mismatch", "stuck", "device")
    assert found.only(["stuck"]).to_mapping() == {"stuck": {"open": 1e-3}}
    assert str(found).startswith("mismatch.gain=0.05, mismatch.offset=0.01")


def test_a_later_file_takes_back_what_an_earlier_one_said(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[mismatch]\ngain = 0.02\noffset = 0.01\n[temperature]\ncelsius = 80\n")
    other.write_text("[mismatch]\ngain = 0\n[temperature]\ncelsius = 27\n")
    assert read_variations([one, other]).to_mapping() == {"mismatch": {"offset": 0.01}}
    assert read_variations([other, one]).to_mapping() == read_variations([one]).to_mapping()
    assert read_variations([one, "mismatch.gain=0"]).to_mapping()["mismatch"] == {"offset": 0.01}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("mismach.gain=1", "no effect 'mismach'"),
        ("mismatch.gian=1", "no 'gian'"),
        ("mismatch.gain=-1", "give a number from 0"),
        ("mismatch.gain=nan", "give a number from 0"),
        ("mismatch.gain=x", "is no number"),
        ("mismatch=1", "names no number"),
        ("quantisation.bits=2.5", "whole number"),
        ("quantisation.bits=1", "one bit holds a sign only"),
        ("quantisation.clip=0", "nothing would be left"),
        ("stuck.open=1.5", "from 0 to 1"),
        ("leakage.spread=1e200", "from 0 to 1000"),
        ("timing.overlap=9", "overlap is 9"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_variations([word])
    assert "\n" not in str(caught.value)


def test_shares_of_stuck_devices_are_shares_of_all() -> None:
    with pytest.raises(UsageError, match="more than 1"):
        read_variations(["stuck.open=0.6", "stuck.on=0.6"])


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "vary.toml"
    with pytest.raises(UsageError):
        read_variations([str(path)])
    path.write_text("[mismatch\n")
    with pytest.raises(ContentError, match="not TOML"):
        read_variations([str(path)])
    path.write_text("mismatch = 3\n")
    with pytest.raises(UsageError, match=r"vary\.toml.*write a table"):
        read_variations([str(path)])
    path.write_text(f"[mismatch]\ngain = 1{'0' * 400}\n")
    with pytest.raises(UsageError, match=r"vary\.toml"):
        read_variations([str(path)])
    path.write_text("[mismatch]\ngain = 'much'\n")
    with pytest.raises(UsageError, match=r"vary\.toml"):
        read_variations([str(path)])


@given(
    st.dictionaries(
        st.sampled_from([(e, n) for e, n, _, d, _ in describe() if d == 0 and n != "bits"]),
        st.floats(1e-6, 0.1),
    )
)
def test_mappings_go_round(numbers: dict[tuple[str, str], float]) -> None:
    mapping: dict[str, dict[str, float]] = {}
    for (effect, name), value in numbers.items():
        mapping.setdefault(effect, {})[name] = value
    found = Variations.from_mapping(mapping)
    assert found.to_mapping() == mapping
    assert Variations.from_mapping(found.to_mapping()).to_mapping() == mapping


def test_circuits_say_what_they_have() -> None:
    model = make_model()
    drawn = draw(model, read_variations(["mismatch.gain=0.02"]), 7, 3)
    assert drawn.model.imperfections == "mismatch.gain=0.02; seed 7, circuit 3"
    assert digest(drawn.model.graph) != digest(model.graph)
