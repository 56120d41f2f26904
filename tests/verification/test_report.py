"""report.json is a contract: its keys, its numbers, and its way back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import make_evidence, make_report

from kcompile.errors import ContentError, StorageError, UsageError
from kcompile.verification import load_report
from kcompile.verification.sections import (
    CompileSection,
    PassSection,
    SampleSection,
    SummarySection,
    TaskMetric,
    decode,
    encode,
)

# What other programs rely on; a change here is a new schema.
CONTRACT = {
    "schema": None,
    "verdict": None,
    "reason": None,
    "model": {"path", "sha256", "law", "nodes", "edges", "phases", "task"},
    "scale": {"time_unit_s", "voltage_unit_v", "current_unit_a", "capacitance_unit_f"},
    "compile": {
        "opt_level", "passes", "device_family", "elements", "deck_bytes", "deck_sha256", "seconds",
    },
    "simulator": {
        "name", "version", "options", "jobs", "seconds", "calibration_seconds", "time_points",
        "iterations", "calibration", "acceleration",
    },
    "reference": {
        "method", "rtol", "atol", "convergence_error", "training_solver_error", "seconds",
    },
    "samples": None,
    "summary": {
        "samples", "failed", "max_abs_error", "rms_error", "peak", "tolerance", "max_wave_error",
        "inference_time_s", "task_metrics",
    },
    "energy": set(),
    "provenance": {"kcompile", "ngspice", "torch", "seed", "command"},
    "notes": None,
    "variations": None,
}  # fmt: skip


def test_the_keys_are_those_of_the_contract():
    values = make_report().to_dict()
    assert list(values) == list(CONTRACT)
    for section, keys in CONTRACT.items():
        if keys is not None:
            assert set(values[section]) == keys, section
    assert values["schema"] == "kcompile.report/1"
    assert set(values["compile"]["passes"][0]) == {
        "name", "edges_before", "edges_after", "error_bound",
    }  # fmt: skip
    assert set(values["samples"][1]) == {
        "index", "status", "max_abs_error", "rms_error", "seconds",
        "attempts", "earlier", "steps",
    }  # fmt: skip
    assert values["summary"]["task_metrics"] == {
        "mse": {"software": 0.1, "spice": 0.2, "agreement": 0.1}
    }


def test_numbers_that_are_not_finite_become_null(tmp_path):
    summary = replace(make_report().summary, max_abs_error=math.nan, peak=1.0, rms_error=math.inf)
    make_report(summary=summary).write(tmp_path)

    def refuse(name):
        pytest.fail(f"{name} is not JSON")

    text = (tmp_path / "report.json").read_text()
    values = json.loads(text, parse_constant=refuse)
    assert values["summary"]["max_abs_error"] is None
    assert values["summary"]["rms_error"] is None


@pytest.mark.parametrize(("verdict", "status"), [("pass", 0), ("fail", 1)])
def test_a_report_from_a_file_has_the_status_of_its_verdict(tmp_path, verdict, status):
    make_report(verdict=verdict, exit_status=status).write(tmp_path)
    assert load_report(tmp_path).exit_status == status


def test_a_report_comes_back_as_it_was(tmp_path):
    report = make_report()
    assert report.write(tmp_path / "new" / "folder") == (
        tmp_path / "new" / "folder" / "report.json",
    )
    assert load_report(tmp_path / "new" / "folder") == report
    assert load_report(tmp_path / "new" / "folder" / "report.json") == report


NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
SECTIONS = st.one_of(
    st.builds(
        SummarySection,
        st.integers(0), st.integers(0), NUMBERS, NUMBERS, st.floats(0, 1e9), st.floats(0, 1),
        NUMBERS, NUMBERS,
        st.dictionaries(
            st.text(max_size=5), st.builds(TaskMetric, *[st.floats(-1, 1)] * 3), max_size=2
        ),
    ),
    st.builds(SampleSection, st.integers(0), st.text(), NUMBERS, NUMBERS, NUMBERS),
    st.builds(
        CompileSection,
        st.one_of(st.none(), st.integers(0, 3)),
        st.lists(
            st.builds(PassSection, st.text(), st.integers(0), st.integers(0), st.floats(0, 1)),
            max_size=3,
        ).map(tuple),
        st.one_of(st.none(), st.text()),
        st.dictionaries(st.sampled_from("BCGRS"), st.integers(0)),
        st.integers(0), st.text(), st.floats(0, 1e9),
    ),
)  # fmt: skip


@given(SECTIONS)
def test_every_section_survives_json(section):
    text = json.dumps(encode(section), allow_nan=False)
    assert decode(type(section), json.loads(text)) == section


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a whole JSON file"),
        ('{"schema": "kcompile.report/1"', "not a whole JSON file"),
        ("[" * 100_000, "not a whole JSON file"),
        ("[]", "schema None"),
        ('{"schema": "kcompile.report/2"}', "schema 'kcompile.report/2', this version reads"),
        ('{"schema": "kcompile.report/1"}', "verdict is missing"),
    ],
)
def test_what_is_no_report(tmp_path, content, message):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ContentError, match=message):
        load_report(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("summary", "peak"), "high"),
        (("summary", "samples"), True),
        (("samples",), {}),
        (("samples", 0), []),
        (("model", "nodes"), 2.5),
        (("compile", "elements", "C"), None),
        (("notes", 0), 3),
    ],
)
def test_values_of_another_kind_are_named(tmp_path, place, value):
    values = make_report().to_dict()
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(ContentError, match=r"report\.json.*does not belong there") as caught:
        load_report(tmp_path)
    assert all(str(key) in str(caught.value) for key in place)


def test_keys_of_a_later_version_do_no_harm(tmp_path):
    report = make_report()
    values = report.to_dict()
    values["weather"] = "fine"
    values["summary"]["p99"] = 1.0
    (tmp_path / "report.json").write_text(json.dumps(values))
    assert load_report(tmp_path) == report


def test_pictures_and_arrays_are_written_beside_it(tmp_path):
    evidence = make_evidence()
    report = make_report(evidence=evidence)
    names = [path.name for path in report.write(tmp_path)]
    assert names == [
        "report.json", "report.html", "waveforms.png", "error.png", "outputs.png",
    ]  # fmt: skip
    assert (tmp_path / "report.html").read_text() == report.html()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    report.write_outputs(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == {"inputs", "spice", "reference"}
        np.testing.assert_array_equal(arrays["spice"], evidence.spice)
        np.testing.assert_array_equal(arrays["inputs"], evidence.inputs)
        np.testing.assert_array_equal(arrays["reference"], evidence.reference)


def test_a_report_from_a_file_has_nothing_to_draw(tmp_path):
    make_report(evidence=make_evidence()).write(tmp_path)
    report = load_report(tmp_path)
    with pytest.raises(UsageError, match="no waveforms"):
        report.plot()
    with pytest.raises(UsageError, match="no waveforms"):
        report.write_outputs(tmp_path / "x.npz")
    with pytest.raises(UsageError, match="no waveforms"):
        report.html()
    assert report.write(tmp_path / "again") == (tmp_path / "again" / "report.json",)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        make_report().write(tmp_path / "file" / "folder")
    with pytest.raises(StorageError):
        make_report(evidence=make_evidence()).write_outputs(tmp_path / "file" / "x.npz")


def test_the_table_says_what_matters():
    table = dict(make_report().table())
    assert table["network"] == "moons: tanh_affine"
    assert table["largest error"] == "1e-05, 0.0015 allowed"
    assert table["inference time"] == "1 fs"
    assert table["samples"] == "2, 1 failed"
    assert table["mse"] == "0.1 in software, 0.2 in SPICE, agreement 0.1"
    assert table["verdict"] == "fail: sample 1: it crashed"
    assert table["training solver's error"] == "-"
