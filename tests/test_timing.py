"""Timing and the gates that follow from it: areas, pauses, overlaps, draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.timing import STEEPEST, Timing

shares = st.one_of(st.just(0.0), st.floats(1e-4, 0.9))
durations = st.lists(st.floats(0.01, 10.0), min_size=1, max_size=4)


@st.composite
def timings(draw: st.DrawFn) -> Timing:
    dead, overlap = draw(st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]))
    return Timing(
        rise=draw(shares),
        dead=dead * draw(st.floats(0.0, 3.0)),
        overlap=overlap * draw(st.floats(0.0, 1.0)),
        skew=draw(st.sampled_from([0.0, 0.01, 0.5])),
        charge=draw(st.floats(-1.0, 1.0)),
        seed=draw(st.integers(0, 9)),
    )


@given(timings(), durations)
def test_the_area_under_every_gate_is_its_layers_duration(
    timing: Timing, given_durations: list[float]
) -> None:
    """By the trapezoidal rule over the corners, between which gates are linear."""
    schedule = timing.schedule(given_durations, [3] * len(given_durations))
    for k, duration in enumerate(given_durations):
        for row, corners in enumerate(schedule.corners(k)):
            assert (np.diff(corners) > 0).all()
            levels = [schedule.gates(k, t)[row] for t in corners]
            np.testing.assert_allclose(levels, [0, 1, 1, 0], atol=1e-6)
            area = np.trapezoid([0, 1, 1, 0], corners)
            assert area == pytest.approx(duration, rel=1e-9)


@given(timings(), durations)
def test_between_the_corners_gates_and_pulses_are_linear(
    timing: Timing, given_durations: list[float]
) -> None:
    schedule = timing.schedule(given_durations, [2] * len(given_durations))
    for k in range(len(given_durations)):
        corners = schedule.corners(k)[0]
        times = np.linspace(corners[0], corners[3], 29)
        gates = [schedule.gates(k, t)[0] for t in times]
        np.testing.assert_allclose(gates, np.interp(times, corners, [0, 1, 1, 0]), atol=1e-6)
        closing = np.linspace(corners[2], corners[3], 9)
        pulses = [schedule.pulses(k, t)[0] for t in closing[1:-1]]
        np.testing.assert_allclose(np.array(pulses) * (corners[3] - corners[2]), 1.0, rtol=1e-6)
        for outside in (corners[0] - 1e-3, corners[3] + 1e-3):
            assert schedule.gates(k, outside)[0] == schedule.pulses(k, outside)[0] == 0


@given(timings(), durations)
def test_time_begins_with_the_first_gate_and_windows_fill_it(
    timing: Timing, given_durations: list[float]
) -> None:
    schedule = timing.schedule(given_durations, [3] * len(given_durations))
    assert min(float(starts.min()) for starts in schedule.starts) >= -1e-12
    cuts = [begin for begin, _ in schedule.windows]
    assert cuts[0] == 0
    assert [end for _, end in schedule.windows] == [*cuts[1:], schedule.stop]
    assert np.all(np.diff(cuts) > 0)


@pytest.mark.parametrize(
    ("timing", "gap"),
    [
        (Timing(), 0.0),
        (Timing(rise=0.2), 0.0),
        (Timing(dead=0.3), 0.3),
        (Timing(overlap=0.3, rise=0.05), -0.3),
        (Timing(overlap=0.3, dead=0.1), -0.2),
        (Timing(late=0.1), -0.1),
        (Timing(late=-0.1), 0.1),
        (Timing(late=0.1, dead=0.3), 0.2),
    ],
)
def test_the_next_gate_opens_when_it_should(timing: Timing, gap: float) -> None:
    """In shortest layers; late gates alone have another area."""
    lengths = (1.0, 0.5, 2.0)
    schedule = timing.schedule(lengths, (2, 2, 2))
    corners = [schedule.corners(k)[0] for k in range(3)]
    assert schedule.rise == (timing.rise or STEEPEST) * 0.5
    for k, following in ((0, 1), (1, 2)):
        assert corners[following][0] - corners[k][3] == pytest.approx(0.5 * gap, abs=1e-12)
    areas = [np.trapezoid([0, 1, 1, 0], each) for each in corners]
    np.testing.assert_allclose(areas, np.array(lengths) + 0.5 * timing.late, rtol=1e-12)


def test_drawn_delays_have_the_spread_that_was_asked_for() -> None:
    """Mean 0 and the given standard deviation, within five standard errors of each."""
    count, skew = 20_000, 0.03
    delays = Timing(skew=skew, seed=4).delays(0, count)
    assert abs(delays.mean()) < 5 * skew / math.sqrt(count)
    assert abs(delays.std() - skew) < 5 * skew / math.sqrt(2 * count)


def test_draws_are_known_by_their_seed_and_differ_between_layers() -> None:
    one, same, other = (Timing(skew=0.1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.delays(1, 5), same.delays(1, 5))
    assert abs(np.corrcoef(one.delays(0, 4000), one.delays(1, 4000))[0, 1]) < 0.1
    assert abs(np.corrcoef(one.delays(0, 4000), other.delays(0, 4000))[0, 1]) < 0.1
    # Twice the spread is twice every delay: sweeps change one thing.
    np.testing.assert_allclose(Timing(skew=0.2, seed=1).delays(0, 5), 2 * one.delays(0, 5))
    assert Timing(seed=1).delays(0, 5).tolist() == [0.0]


def test_a_mapping_gives_the_timing_and_comes_back() -> None:
    values = {"overlap": 0.01, "skew": 0.02, "charge": -0.5, "seed": 3}
    timing = Timing.from_mapping(values)
    assert timing == Timing(overlap=0.01, skew=0.02, charge=-0.5, seed=3)
    assert timing.to_mapping() == values
    assert Timing.from_mapping({}).perfect
    assert Timing(seed=5).perfect
    assert not Timing(leak=1e-9).perfect


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"overlaps": 0.1}, "there is no 'overlaps'; there are rise, dead, overlap, late, skew"),
        ({"rise": -0.1}, "rise is -0.1; give a number from 0 to 1"),
        ({"rise": 1e-9}, "rise is 1e-09; give 0 for the steepest, or a number from 1e-06 to 1"),
        ({"rise": 1.0}, "gates close before they are open"),
        ({"rise": 0.6, "late": -0.4}, "gates close before they are open"),
        ({"overlap": 1.5}, "overlap is 1.5; give a number from 0 to 1"),
        ({"late": -0.6}, "late is -0.6; give a number from -0.5 to 1"),
        ({"dead": math.inf}, "dead is inf; give a number from 0"),
        ({"skew": math.nan}, "skew is nan"),
        ({"skew": True}, "skew is True"),
        ({"charge": "1"}, "charge is '1'; give a number"),
        ({"leak": -1.0}, "leak is -1.0"),
        ({"seed": 0.5}, "seed is 0.5; give a whole number from 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_makes_no_timing_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match="timing: " + said.replace("'", ".")):
        Timing.from_mapping(values)
