"""Charts as geometry: what is drawn where, and what is left out of too much."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import make_evidence

from kcompile.verification.html.answers import MOST_DOTS, error_of_samples, residuals
from kcompile.verification.html.axis import linear_axis, log_axis
from kcompile.verification.html.chart import Chart, Path, Plane
from kcompile.verification.html.figures import charts
from kcompile.verification.html.nodes import MOST_CELLS, node_chart
from kcompile.verification.html.waves import error_over_time, waveforms
from kcompile.verification.thinning import some_nodes, some_points

EXPONENT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
VALUES = st.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-12)


def points(path: Path) -> np.ndarray:
    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.d)
    return np.array(pairs, dtype=float).reshape(-1, 2)


def of_kind(chart: Chart, kind: str) -> list[Path]:
    return [path for path in chart.paths if kind in path.kind.split()]


@given(VALUES, VALUES, st.sampled_from([0.0, 0.05]))
def test_linear_ticks_are_few_even_and_say_where_they_are(one: float, other: float, padding: float):
    low, high = min(one, other), max(one, other)
    axis = linear_axis(low, high, padding=padding)
    assert axis.low <= low <= high <= axis.high
    values = np.array([value for value, _ in axis.ticks])
    assert 2 <= len(values) <= 10
    room = 1e-6 * (axis.high - axis.low)
    assert (values >= axis.low - room).all()
    assert (values <= axis.high + room).all()
    np.testing.assert_allclose(np.diff(values), values[1] - values[0], rtol=1e-6)
    texts = [text for _, text in axis.ticks]
    assert len(set(texts)) == len(texts)
    size = 1.0
    if axis.unit:
        exponent = axis.unit.removeprefix("10").translate(
            str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        )
        size = 10.0 ** int(exponent)
    told = np.array([float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]) * size
    np.testing.assert_allclose(told, values, rtol=1e-6, atol=room)


@given(st.floats(1e-12, 1e6), st.floats(1.0, 1e12))
def test_log_ticks_are_powers_of_ten(low: float, ratio: float):
    axis = log_axis(low, low * ratio)
    assert axis.low <= low
    assert axis.high >= low * ratio * (1 - 1e-12)
    assert 1 <= len(axis.ticks) <= 8
    for value, _ in axis.ticks:
        assert np.log10(value) == pytest.approx(round(np.log10(value)), abs=1e-9)
        assert -1e-6 <= axis.places(value) <= 1 + 1e-6


def test_places_along_axes():
    assert linear_axis(-1.0, 3.0).places(np.array([-1.0, 0.0, 3.0])).tolist() == [0.0, 0.25, 1.0]
    places = log_axis(1e-4, 1.0).places(np.array([1e-4, 1e-2, 0.0]))
    np.testing.assert_allclose(places, [0.0, 0.5, np.nan])


def test_curves_are_where_their_values_are_with_gaps_where_there_are_none():
    plane = Plane(linear_axis(0.0, 2.0), linear_axis(0.0, 10.0))
    frame = plane.frame
    path = plane.curve(np.array([0.0, 0.5, 1.0, 2.0]), np.array([0.0, 5.0, np.nan, 10.0]), "x")
    assert path.d.count("M") == 2
    np.testing.assert_allclose(
        points(path),
        [
            [frame.x, frame.y + frame.height],
            [frame.x + frame.width / 4, frame.y + frame.height / 2],
            [frame.x + frame.width, frame.y],
        ],
        atol=0.05,
    )


@given(st.integers(0, 19_999))
def test_thinned_curves_keep_every_spike(place: int):
    """Catches a curve that is thinned by leaving out every n-th point."""
    x = np.linspace(0.0, 1.0, 20_000)
    y = np.sin(20 * x)
    y[place] = 50.0
    plane = Plane(linear_axis(0.0, 1.0), linear_axis(-1.0, 50.0))
    drawn = points(plane.curve(x, y, "x"))
    assert len(drawn) <= 1200
    assert drawn[:, 1].min() == pytest.approx(plane.frame.y, abs=0.05)
    ends = plane.across(np.array([0.0, 1.0]))
    np.testing.assert_allclose(drawn[[0, -1], 0], ends, atol=0.05)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=8))
def test_names_of_curves_never_overlap_and_stay_inside(values: list[float]):
    plane = Plane(linear_axis(0.0, 1.0), linear_axis(0.0, 10.0), 270.0, tagged=True)
    tags = plane.tags([(value, str(k), f"c{k}") for k, value in enumerate(values)])
    assert sorted(tag.text for tag in tags) == sorted(str(k) for k in range(len(values)))
    places = [tag.y for tag in tags]
    assert (np.diff(places) >= 12.99).all()
    assert all(plane.frame.y - 0.01 <= y <= 270.0 for y in places)
    for tag in tags:
        assert tag.origin == pytest.approx(float(plane.down(values[int(tag.text)])))


def test_waveforms_are_those_of_the_read_out_nodes():
    evidence = make_evidence()
    chart = waveforms(evidence)
    assert chart.plane is not None
    assert len(of_kind(chart, "spice")) == len(of_kind(chart, "ode")) == 4
    expected = [
        chart.plane.down(wave.spice[:, node - 1])
        for node in evidence.nodes
        for wave in evidence.waves
    ]
    for path, down in zip(of_kind(chart, "spice"), expected, strict=True):
        np.testing.assert_allclose(points(path)[:, 1], down, atol=0.051)
    assert {path.title for path in of_kind(chart, "ode")} == {"n2, ODE", "n3, ODE"}
    assert [line.text for line in chart.borders] == ["layer 1", "layer 2"]
    assert sorted(tag.text for tag in chart.tags) == ["n2", "n3"]
    # The circuit's curves come last, on top.
    assert [path.kind.split()[0] for path in chart.paths] == ["ode"] * 4 + ["spice"] * 4


def test_a_node_that_lives_in_some_layers_only():
    evidence = make_evidence(nodes=4, read=1)
    first = evidence.waves[0]
    small = replace(first, spice=first.spice[:, :2], reference=first.reference[:, :2])
    chart = waveforms(replace(evidence, waves=(small, evidence.waves[1])))
    assert len(of_kind(chart, "spice")) == 1
    judged = of_kind(error_over_time(replace(evidence, waves=(small, evidence.waves[1]))), "judged")
    assert [bool(path.d) for path in judged] == [False, True]


def test_of_many_nodes_some_are_drawn_and_the_caption_says_so():
    chart = waveforms(make_evidence(nodes=200, read=150, phases=1))
    assert len(of_kind(chart, "spice")) == 8
    assert "8 of 150 nodes are drawn" in chart.caption
    assert some_nodes(tuple(range(1, 151)), 8)[::7] == (1, 150)


def test_error_over_time_is_the_largest_and_the_rms():
    evidence = make_evidence()
    chart = error_over_time(evidence)
    assert chart.plane is not None
    wave = evidence.waves[1]
    error = np.abs(wave.spice - wave.reference)[1:]
    for kind, expected in (
        ("most", error.max(axis=1)),
        ("rms", np.sqrt((error**2).mean(axis=1))),
        ("judged", error[:, 1:].max(axis=1)),
    ):
        path = of_kind(chart, kind)[1]
        np.testing.assert_allclose(points(path)[:, 1], chart.plane.down(expected), atol=0.051)
    (rule,) = chart.rules
    assert rule.place == pytest.approx(float(chart.plane.down(1e-3)))
    assert rule.text == "allowed: 0.001"


def test_a_tolerance_far_above_the_errors_is_said_not_drawn():
    evidence = make_evidence()
    assert len([r for r in residuals(evidence).rules if r.kind == "allowed"]) == 2
    far = residuals(replace(evidence, allowed=10.0))
    assert not [r for r in far.rules if r.kind == "allowed"]
    assert "±10 is allowed, far beyond this scale" in far.caption


def test_thinned_points_keep_the_worst():
    random = np.random.default_rng(0)
    reference = random.normal(size=(300, 100))
    spice = reference.copy()
    spice[123, 45] += 5.0
    evidence = replace(make_evidence(), spice=spice, reference=reference)
    chart = residuals(evidence)
    assert chart.plane is not None
    assert "of 30000 points drawn" in chart.caption
    drawn = points(of_kind(chart, "dots")[0])
    assert len(drawn) <= MOST_DOTS + 1
    assert drawn[:, 1].min() == pytest.approx(float(chart.plane.down(5.0)), abs=0.051)


@given(st.integers(1, 50_000), st.integers(2, 3000), st.randoms(use_true_random=False))
def test_some_points_are_few_and_hold_the_largest(count: int, most: int, random):
    size = np.zeros(count)
    size[random.randrange(count)] = 1.0
    chosen = some_points(size, most)
    assert len(chosen) <= most + 1
    assert (np.diff(chosen) > 0).all()
    assert size[chosen].max() == 1.0


def test_lost_samples_are_marked_where_no_error_is():
    chart = error_of_samples(make_evidence(samples=6))
    dots, lost = chart.paths
    assert (len(points(dots)), len(points(lost))) == (5, 1)
    assert chart.legend[1] == ("lost", "without a result (1)")
    assert "0 are beyond the 0.001 allowed, 1 have no result" in chart.label


def test_bars_are_sorted_and_as_long_as_their_values():
    values = np.array([2e-3, 8e-3, 4e-3])
    chart = node_chart("x", "Errors", (4, 7, 9), values, "Why.", 1e-2)
    widths = [box.width for box in chart.boxes]
    np.testing.assert_allclose(np.array(widths) / widths[0], [1.0, 0.5, 0.25])
    assert [tag.text for tag in chart.tags if tag.kind == "name"] == ["n7", "n9", "n4"]
    (line,) = chart.borders
    assert (line.place - chart.boxes[0].x) / widths[0] == pytest.approx(1e-2 / 8e-3)
    assert "the largest, 0.008, is that of n7" in chart.label
    far = node_chart("x", "Errors", (4, 7, 9), values, "Why.", 1e3)
    assert not far.borders
    assert "far beyond" in far.caption


@pytest.mark.parametrize(("count", "each"), [(100, 1), (1024, 1), (5000, 5)])
def test_many_nodes_are_a_heat_strip(count: int, each: int):
    values = np.geomspace(1e-6, 1e-3, count)
    values[count // 2] = 1.0
    chart = node_chart("x", "Errors", tuple(range(1, count + 1)), values, "Why.")
    assert len(chart.boxes) == -(-count // each) <= MOST_CELLS
    worst = [box for box in chart.boxes if box.kind == "h5"]
    assert len(worst) == 1
    assert worst[0].title.endswith(": 1")
    assert ("the largest of 5 nodes" in chart.caption) == (each == 5)
    assert all(0 <= b.x <= 400 and 0 <= b.y < chart.height for b in chart.boxes)


@pytest.mark.parametrize("value", [0.0, 3e-5])
def test_equal_nodes_have_one_shade(value: float):
    chart = node_chart("x", "Errors", tuple(range(1, 101)), np.full(100, value), "Why.")
    assert {box.kind for box in chart.boxes} == {"h0"}
    assert len(chart.legend) == 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(1, 5))
def test_any_evidence_can_be_drawn(nodes: int, read: int, phases: int, samples: int):
    evidence = make_evidence(nodes=max(nodes, read), read=read, phases=phases, samples=samples)
    for chart in charts(evidence):
        for path in chart.paths:
            assert np.isfinite(points(path)).all()
            assert "nan" not in path.d
        assert all(np.isfinite([b.x, b.y, b.width, b.height]).all() for b in chart.boxes)
        assert chart.height > 0


def test_an_axis_of_one_value_has_room_around_it():
    assert linear_axis(0.0, 0.0).low < 0 < linear_axis(0.0, 0.0).high
    axis = linear_axis(5.0, 5.0)
    assert axis.low < 5 < axis.high
