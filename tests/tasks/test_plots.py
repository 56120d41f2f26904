"""The pictures of the tasks: what they show, that nothing is hidden, that files are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from kcompile.errors import StorageError
from kcompile.tasks.plots import (
    MOST_IMAGES,
    density_plot,
    image_states_plot,
    images_plot,
    loss_plot,
    plot_loss,
    points_plot,
    states_plot,
)

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.standard_normal((500, 2))


def axes_of(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def points_of(axes: Any) -> np.ndarray:
    return np.asarray(axes.collections[0].get_offsets())


@pytest.mark.parametrize(
    ("curve", "scale"),
    [([3.0, 1.0, 0.5], "log"), ([3.0, -1.0], "linear"), ([1.0, 0.0], "linear"), ([2.0], "log")],
)
def test_a_loss_has_a_logarithmic_axis_only_where_it_can(curve: list[float], scale: str):
    (axes,) = axes_of(loss_plot(curve, "net"))
    assert axes.get_yscale() == scale
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), curve)
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), np.arange(1, len(curve) + 1))
    assert axes.get_xlabel() == "epoch"


@pytest.mark.parametrize("curve", [[], [float("nan")], [1.0, float("inf"), 2.0]])
def test_a_loss_with_gaps_or_none_at_all(tmp_path: Path, curve: list[float]):
    plot_loss(tmp_path / "loss.png", curve, "$odd_{$\x00")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        plot_loss(tmp_path / "file" / "loss.png", [1.0], "net")
    plot_loss(tmp_path / "new" / "a.png", [2.0, 1.0], "net")
    plot_loss(tmp_path / "new" / "b.png", [2.0, 1.0], "net")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]
    assert (tmp_path / "new/a.png").read_bytes() == (tmp_path / "new/b.png").read_bytes()


def test_both_clouds_have_one_frame_and_as_many_points():
    """Catches frames that flatter: a wider data set must not look like the samples."""
    data = 3.0 * RANDOM.standard_normal((800, 2))
    left, right = axes_of(points_plot(CLOUD, data, "net"))
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    assert left.get_aspect() == right.get_aspect() == 1.0
    np.testing.assert_array_equal(points_of(left), data[:500])
    np.testing.assert_array_equal(points_of(right), CLOUD)
    assert left.get_title(loc="left").startswith("data: 500 points")
    (alone,) = axes_of(points_plot(CLOUD, None, "net"))
    assert alone.get_title(loc="left").startswith("generated")


def test_points_beyond_the_frame_are_counted():
    cloud = np.concatenate((RANDOM.uniform(size=(5000, 2)), [[1e6, 0.0]]))
    (axes,) = axes_of(points_plot(cloud, None, "net"))
    assert axes.get_xlim()[1] < 2.0
    assert axes.get_title(loc="left") == "generated: 5001 points (1 outside)"


@pytest.mark.parametrize("cloud", [np.zeros((1, 2)), np.zeros((9, 2)), np.full((2, 2), 1e9)])
def test_a_cloud_without_extent(cloud: np.ndarray):
    """Catches limits that are equal, of which matplotlib warns."""
    points_plot(cloud, cloud, "net").canvas.draw()
    states_plot(np.stack((cloud, cloud)), [0.0, 1.0], "net").canvas.draw()


def test_states_keep_their_points_and_say_when():
    line = CLOUD * [1.0, 1e-3]
    one, two = axes_of(states_plot(np.stack((CLOUD, line)), [0.0, 0.5], "net", CLOUD[:, 0]))
    assert [axes.get_title(loc="left") for axes in (one, two)] == ["t = 0", "t = 0.5"]
    np.testing.assert_array_equal(points_of(two), line)
    np.testing.assert_array_equal(one.collections[0].get_array(), two.collections[0].get_array())
    assert one.get_aspect() == 1.0
    assert two.get_aspect() == "auto"  # else it would be a line


def test_images_lie_upright_in_rows_of_eight():
    """Catches transposed images, and values beyond 0..1 that dim all others."""
    images = RANDOM.uniform(-5.0, 5.0, (10, 12))
    (axes,) = axes_of(images_plot(images, None, (3, 4), "net"))
    drawn = np.asarray(axes.images[0].get_array())
    assert drawn.shape == (7, 39)
    np.testing.assert_array_equal(drawn[:3, 5:9], images[1].reshape(3, 4).clip(0, 1))
    np.testing.assert_array_equal(drawn[4:7, :4], images[8].reshape(3, 4).clip(0, 1))
    assert axes.images[0].get_clim() == (0.0, 1.0)
    many = axes_of(images_plot(np.zeros((99, 9)), np.zeros((2, 9)), (3, 3), "net"))
    titles = [axes.get_title(loc="left") for axes in many]
    assert titles == ["data: 2 images", f"generated: {MOST_IMAGES} images"]


def test_images_on_their_way_are_a_row_each():
    way = RANDOM.standard_normal((3, 5, 16))
    found = axes_of(image_states_plot(way, [0.0, 1.0, 2.0], (4, 4), "net"))
    assert [axes.get_title() for axes in found] == ["t = 0", "t = 1", "t = 2"]
    assert found[0].images[0].get_array().shape == (24, 4)
    image_states_plot(np.zeros((1, 1, 16)), [0.0], (4, 4), "net").canvas.draw()


def test_densities_share_a_scale_and_stand_upright():
    """Catches a flipped grid, and two panels that only look alike."""
    axis = np.linspace(-2, 2, 5)
    low = np.outer(axis, np.ones(5)) + 2.0
    figure = density_plot([("one", low), ("other", 3 * low)], 2.0, "net", CLOUD, radius=1.5)
    one, other, samples = axes_of(figure)
    assert one.images[0].get_clim() == other.images[0].get_clim() == (0.0, 12.0)
    assert one.images[0].origin == "lower"
    np.testing.assert_array_equal(points_of(samples), CLOUD)
    assert "generated" in samples.get_title(loc="left")
    assert len(axes_of(density_plot([("one", low)], 2.0, "net"))) == 1


def test_nobody_elses_settings_change():
    before = dict(mpl.rcParams)
    loss_plot([1.0], "net")
    density_plot([("one", np.ones((3, 3)))], 1.0, "net", CLOUD, radius=0.5)
    assert dict(mpl.rcParams) == before
