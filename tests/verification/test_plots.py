"""The pictures: what they show, that they show it honestly, and that they touch nothing else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from reports import make_evidence

from kcompile.errors import StorageError
from kcompile.verification.plots import Plots, draw


def axes_of(plots: Plots, name: str) -> Any:
    return plots.figures[name].axes


def dashed_lines(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if line.get_linestyle() == "--"]


def test_waveforms_are_those_of_the_read_out_nodes():
    evidence = make_evidence()
    (axes,) = axes_of(draw(evidence, "net"), "waveforms")
    curves = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    # Two nodes, two layers, reference and circuit.
    assert len(curves) == 8
    drawn = {tuple(np.round(line.get_ydata(), 12)) for line in curves}
    for wave in evidence.waves:
        for node in evidence.nodes:
            assert tuple(np.round(wave.spice[:, node - 1], 12)) in drawn
            assert tuple(np.round(wave.reference[:, node - 1], 12)) in drawn
    assert axes.get_xlabel() == "time in the circuit (fs)"
    assert axes.get_xlim() == pytest.approx((0.0, 1.0))
    assert axes.child_axes[0].get_xlabel() == "time in software units"
    assert {text.get_text() for text in axes.texts} == {"layer 1", "layer 2"}


def test_at_most_ten_nodes_and_the_title_says_so():
    (axes,) = axes_of(draw(make_evidence(nodes=200, read=150, phases=1), "net"), "waveforms")
    assert len(axes.get_lines()) == 20
    assert "10 of 150" in axes.get_title(loc="left")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:2] == ["ODE", "SPICE"]
    assert labels[2] == "n51"
    assert labels[-1] == "n200"


def test_a_node_that_lives_in_some_layers_only():
    evidence = make_evidence(nodes=4, read=1)
    first = evidence.waves[0]
    small = replace(first, spice=first.spice[:, :2], reference=first.reference[:, :2])
    plots = draw(replace(evidence, waves=(small, evidence.waves[1])), "net")
    curves = [
        line for line in axes_of(plots, "waveforms")[0].get_lines() if len(line.get_xdata()) > 2
    ]
    assert len(curves) == 2


def test_the_error_is_the_largest_at_each_instant_with_the_tolerance_beside_it():
    evidence = make_evidence()
    (axes,) = axes_of(draw(evidence, "net"), "error")
    assert axes.get_yscale() == "log"
    labels = {line.get_label(): line for line in axes.get_lines()}
    allowed = next(line for label, line in labels.items() if label.startswith("allowed"))
    assert allowed.get_ydata()[0] == 1e-3
    wave = evidence.waves[0]
    expected = np.abs(wave.spice - wave.reference)
    read = [node - 1 for node in evidence.nodes]
    for label, columns in (("of all nodes", [0, 1, 2]), ("of the read-out nodes", read)):
        drawn = labels[f"largest {label}"].get_ydata()
        np.testing.assert_allclose(drawn[1:], expected[1:, columns].max(axis=1))
    assert any(label.startswith("judged") for label in labels)
    low, high = axes.get_ylim()
    assert low < 1e-4
    assert high > 1e-3


def test_outputs_leave_out_lost_samples_and_show_what_is_allowed():
    evidence = make_evidence()
    left, right = axes_of(draw(evidence, "net"), "outputs")
    points = next(line for line in left.get_lines() if line.get_label() == "read-outs")
    assert len(points.get_xdata()) == 6
    assert "3 samples, 2 read-outs" in left.get_title(loc="left")
    dashed = dashed_lines(right)
    assert len(dashed) == 2
    low, high = right.get_ylim()
    assert all(low < line.get_ydata()[0] < high for line in dashed)


def test_a_tolerance_far_above_the_errors_is_said_not_drawn():
    _, right = axes_of(draw(replace(make_evidence(), allowed=10.0), "net"), "outputs")
    assert not dashed_lines(right)
    assert any("±10" in text.get_text() for text in right.texts)


def test_thinned_points_keep_the_worst():
    random = np.random.default_rng(0)
    reference = random.normal(size=(300, 100))
    spice = reference.copy()
    spice[123, 45] += 5.0
    evidence = replace(make_evidence(), spice=spice, reference=reference)
    left, right = axes_of(draw(evidence, "net"), "outputs")
    assert "of 30000 points" in left.get_title(loc="left")
    assert right.get_title(loc="left") == "largest difference 5"


def test_no_result_no_picture_of_it():
    evidence = make_evidence()
    lost = replace(evidence, spice=evidence.spice * np.nan, waves=(), sample=None)
    assert draw(lost, "net").figures == {}


def test_exact_agreement_can_be_drawn():
    evidence = make_evidence()
    waves = tuple(replace(wave, spice=wave.reference) for wave in evidence.waves)
    plots = draw(replace(evidence, spice=evidence.reference, waves=waves), "net")
    assert all(plots.png(name).startswith(b"\x89PNG") for name in plots.figures)


def test_one_read_out_of_one_sample_can_be_drawn():
    evidence = make_evidence(nodes=1, read=1, phases=1)
    one = replace(evidence, spice=np.array([[0.0]]), reference=np.array([[0.0]]))
    assert draw(one, "net").png("outputs").startswith(b"\x89PNG")


def test_saving_and_showing(tmp_path):
    plots = draw(make_evidence(), "net")
    paths = plots.save(tmp_path)
    assert [path.name for path in paths] == ["waveforms.png", "error.png", "outputs.png"]
    assert paths[0].read_bytes() == plots.png("waveforms")
    assert plots._repr_html_().count("data:image/png;base64,") == 3
    with pytest.raises(StorageError):
        plots.save(paths[0] / "folder")


def test_the_same_numbers_give_the_same_bytes():
    assert draw(make_evidence(), "net").png("error") == draw(make_evidence(), "net").png("error")


def test_global_settings_are_left_alone():
    before = dict(mpl.rcParams)
    draw(make_evidence(), "net")
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported_and_matplotlib_only_to_draw():
    code = (
        "import sys; import kcompile.verification; assert 'matplotlib' not in sys.modules; "
        "assert 'torch' not in sys.modules; assert 'scipy' not in sys.modules; "
        "from reports import make_evidence; from kcompile.verification.plots import Plots, draw; "
        "draw(make_evidence(), 'net').png('error'); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
