"""The page of a report: what it says, that it says it of every report, and that nothing gets in."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import Element, classification, parse, reports, rows
from reports import evidence, make_evidence, make_report

from kcompile.verification.html.nested import nested_rows

REPORTS = reports()
KINDS = pytest.mark.parametrize("kind", REPORTS)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {kind: report.html() for kind, report in REPORTS.items()}


def figures(page: Element) -> dict[str, tuple[str, str]]:
    """The key figures: name to value and note."""
    return {
        each.one("dt").text: (
            each.one("span", class_="value").text,
            each.one("span", class_="note").text,
        )
        for each in page.one("dl", class_="figures").all("div")
    }


def table(page: Element, caption: str) -> list[list[str]]:
    found = [t for t in page.all("table") if caption in t.one("caption").text]
    assert len(found) == 1, caption
    return rows(found[0])


def pairs(page: Element) -> dict[str, str]:
    lists = page.all("dl", class_="pairs")
    return {d.one("dt").text: d.one("dd").text for each in lists for d in each.all("div")}


@KINDS
def test_every_report_has_a_page_that_is_well_formed(pages: dict[str, str], kind: str):
    page = parse(pages[kind])
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("head").one("title").text == f"{REPORTS[kind].name}: {REPORTS[kind].verdict}"
    assert "width=device-width" in page.one("meta", name="viewport").attributes["content"]
    assert page.one("header").one("strong").text.endswith(REPORTS[kind].verdict)
    headings = [e.text for e in page if e.tag in ("h1", "h2")]
    assert headings[0].startswith(REPORTS[kind].name)
    assert headings[1:5] == [
        "Circuit against software", "Samples", "Circuit", "How it was simulated",
    ]  # fmt: skip
    ids = [e.attributes["id"] for e in page if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert "nan" not in re.findall(r"[a-z]+", pages[kind].split("</style>")[1].split("<script>")[0])


@KINDS
def test_everything_is_named_for_who_cannot_see_it(pages: dict[str, str], kind: str):
    page = parse(pages[kind])
    for picture in page.all("svg"):
        hidden = picture.attributes.get("aria-hidden") == "true"
        inner = "role" not in picture.attributes and not hidden
        assert hidden or inner or picture.attributes["aria-label"]
    for chart in page.all("svg", class_="chart"):
        assert chart.attributes["role"] == "img"
        assert len(chart.attributes["aria-label"]) > 20
    assert all(t.one("caption").text for t in page.all("table"))
    assert all(f.one("h3").text for f in page.all("figure"))


@KINDS
def test_nothing_is_loaded_and_no_other_script_may_run(pages: dict[str, str], kind: str):
    page = parse(pages[kind])
    for element in page:
        for name, value in element.attributes.items():
            assert name not in ("src", "srcset", "style", "action", "data"), (element.tag, name)
            assert not name.startswith("on"), (element.tag, name)
            assert name != "href" or value == "data:,"
    assert not re.search(r"url\(|@import|fetch\(|https?:", pages[kind])
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = pages[kind].split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@KINDS
def test_the_same_report_gives_the_same_page(pages: dict[str, str], kind: str):
    again = reports()[kind]
    assert again.html() == pages[kind]


@KINDS
def test_pages_stay_small(pages: dict[str, str], kind: str):
    assert len(pages[kind]) < 400_000


def test_long_and_dense_waveforms_do_not_make_a_large_page():
    """Catches a page that grows with every time point: 30 layers of 20000 points would be 50 MB."""
    many = make_evidence(nodes=40, read=20, phases=30)
    random = np.random.default_rng(1)
    waves = []
    for k, wave in enumerate(many.waves):
        times = np.linspace(0.0, 0.5, 20_000)
        noise = random.normal(size=(20_000, 40))
        waves.append(
            replace(
                wave, seconds=(times + 0.5 * k) * 1e-15, times=times, spice=noise, reference=noise
            )
        )
    assert len(make_report(evidence=replace(many, waves=tuple(waves))).html()) < 1_500_000


def test_the_verdict_comes_first(pages: dict[str, str]):
    page = parse(pages["one sample lost"])
    header = page.one("header")
    assert "✗ fail" in header.one("h1").text
    assert header.one("p", class_="reason").text == "sample 1: it crashed"
    assert "Largest error 1e-05: 0.67 % of the 0.0015 allowed" in header.text
    assert header.one("p", class_="model").text == (
        "tanh_affine, 2 nodes, 600 edges, 2 layers; circuit: ideal at -O2, 13 elements"
    )
    assert "✓ pass" in parse(pages["pass"]).one("h1").text
    assert not parse(pages["pass"]).all("p", class_="reason")


@pytest.mark.parametrize(
    ("error", "level", "limit"), [(7.5e-4, 198.0, 396.0), (0.015, 396.0, 39.6), (0.0, 1.5, 396.0)]
)
def test_the_gauge_shows_error_and_allowed_on_one_scale(error, level, limit):
    report = make_report(evidence=make_evidence())
    report = replace(report, summary=replace(report.summary, max_abs_error=error))
    picture = parse(report.html()).one("div", class_="gauge").one("svg")
    assert float(picture.one("rect", class_="level").attributes["width"]) == level
    assert float(picture.one("rect", class_="limit").attributes["x"]) == limit


def test_without_a_result_there_is_no_gauge(pages: dict[str, str]):
    page = parse(pages["nothing finished"])
    assert not page.all("div", class_="gauge")
    assert "No sample has a result" in page.one("header").text
    assert not page.all("svg", class_="chart")
    assert figures(page)["Largest error"][0] == "-"


def test_key_figures(pages: dict[str, str]):
    found = figures(parse(pages["one sample lost"]))
    assert found["Samples"] == ("2", "1 failed")
    assert found["Largest error"] == ("1e-05", "0.0015 allowed")
    assert found["Rms error"] == ("5e-06", "largest output 1.5")
    assert found["Difference in mse"] == ("0.1", "0.1 in software, 0.2 in SPICE")
    assert found["Inference time"][0] == "1 fs"
    assert found["Scale"] == ("1 fs", "a software time unit; 1 V, 1 A, 1 fF")
    assert found["Wall time"][0] == "4.1 s"
    many = figures(parse(pages["classification of many samples"]))
    equal = sum(np.diag(classification().summary.task_metrics["accuracy"].confusion or ()))
    assert many["Answers that agree"] == (f"{equal} of {equal + 2}", "95 % interval 99 to 99.95 %")
    assert figures(parse(pages["energy"]))["Energy"] == ("6.7 pJ", "dissipated")


def test_charts_come_in_the_order_of_questions(pages: dict[str, str]):
    def charts(kind: str) -> list[str]:
        return [f.attributes["id"] for f in parse(pages[kind]).all("figure")]

    assert charts("one sample lost") == [
        "waveforms", "error", "inner", "nodes", "read-outs", "samples", "outputs", "residuals",
    ]  # fmt: skip
    assert charts("one layer, all read") == [
        "waveforms", "error", "read-outs", "samples", "outputs", "residuals",
    ]  # fmt: skip
    assert charts("one read-out of one sample") == ["waveforms", "error", "outputs", "residuals"]
    assert charts("no waveforms") == ["read-outs", "samples", "outputs", "residuals"]
    assert charts("classification of many samples")[-1] == "confusion-1"


def test_confusion_is_that_of_the_report(pages: dict[str, str]):
    found = table(parse(pages["classification of many samples"]), "↓ software")
    confusion = classification().summary.task_metrics["accuracy"].confusion or ()
    assert found[0][1:] == [str(k) for k in range(10)]
    assert [row[1:] for row in found[1:]] == [[str(n) if n else "·" for n in r] for r in confusion]
    (other,) = parse(pages["classification of many samples"]).all("td", class_="other")
    assert other.text == "2"


def test_samples_are_a_table_that_sorts(pages: dict[str, str]):
    page = parse(pages["one sample lost"])
    assert "Every sample (2)" in page.one("summary").text
    found = table(page, "Errors at the read-out nodes")
    assert found == [
        ["sample", "status", "largest error", "rms error", "time"],
        ["0", "ok", "1e-05", "5e-06", "500 ms"],
        ["1", "crashed", "-", "-", "100 ms"],
    ]
    cells = page.one("table", class_="sortable").one("tbody").all("td")
    assert [c.attributes["data-sort"] for c in cells[2::5]] == ["1e-05", "-1.0"]


def test_energy_of_supplies_is_a_column_where_it_was_measured():
    report = make_report(evidence=make_evidence())
    first, second = report.samples
    report = replace(report, samples=(replace(first, supply_energy_j=1.4e-10), second))
    found = table(parse(report.html()), "Errors at the read-out nodes")
    assert [row[-1] for row in found] == ["energy of the supplies", "140 pJ", "-"]


def test_of_many_samples_the_worst_are_shown(pages: dict[str, str]):
    page = parse(pages["classification of many samples"])
    found = table(page, "Errors at the read-out nodes")
    assert found[0][5:] == ["steps a layer", "attempts", "at first"]
    assert len(found) == 301
    indices = [int(row[0]) for row in found[1:]]
    assert indices == sorted(indices)
    assert {5, 77, 500} <= set(indices)
    error = {s.index: s.max_abs_error for s in classification().samples if s.max_abs_error}
    shown = min(error[k] for k in indices if k in error)
    assert all(e <= shown for k, e in error.items() if k not in indices)
    assert "300 of 1,000" in page.one("summary").text
    (first,) = [row for row in found if row[0] == "5"]
    assert first[6:] == ["2", "timestep too small"]


def test_circuit_and_passes(pages: dict[str, str]):
    page = parse(pages["pass"])
    assert table(page, "Elements")[1:] == [
        ["B", "behavioural sources", "9"], ["C", "capacitors", "4"], ["", "all", "13"],
    ]  # fmt: skip
    assert table(page, "Passes")[1:] == [["drop-dead", "10", "9", "0"]]
    given = parse(pages["given decks"])
    assert "The decks were given as they are" in given.text
    assert "family unknown" in given.one("header").text


def test_how_it_was_simulated(pages: dict[str, str]):
    found = pairs(parse(pages["pass"]))
    assert found["Simulator"] == "ngspice 47"
    assert found["Options"] == "klu, reltol = 1e-06"
    assert found["Ran"] == "3.5 s, 2 simulations at a time"
    assert found["Second attempts"] == "none"
    assert "Circuit that ran" not in found
    page = parse(pages["classification of many samples"])
    found = pairs(page)
    assert found["Circuit that ran"] == "native, diagonal Jacobian"
    assert found["Step"].startswith("a layer's duration / 125, reltol 1e-06, trtol 7000")
    assert found["Second attempts"] == "10 of 1000 samples"
    assert found["Finer steps"] == "20 samples, up to 250 steps a layer"
    assert table(page, "Trials")[1:] == [["40", "0.04", "335", "50 ms"]]


def test_provenance_and_notes(pages: dict[str, str]):
    page = parse(pages["pass"])
    assert page.one("pre").text == "kcompile verify x"
    found = pairs(page)
    assert found["Its SHA-256"] == "ab" * 32
    assert found["Seed"] == "0"
    assert "torch" not in found
    assert "as it lies" in [item.text for item in page.all("li")]


def test_energy_is_a_table_where_there_is_some(pages: dict[str, str]):
    assert "Energy" not in [h.text for h in parse(pages["pass"]).all("h2")]
    assert table(parse(pages["energy"]), "Energy") == [
        ["dissipated", "6.7 pJ"],
        ["by layer", "1 pJ, 2 pJ"],
        ["supplies"],
        ["vcc", "2 nJ"],
        ["mean power", "-"],
        ["assumes", "ideal sources"],
        ["exact", "no"],
    ]


def test_nested_figures_have_their_units():
    values = {
        "effects": {
            "offset": {"sigma_v": 1e-3, "seed": 3, "kind": "a_v"},
            "stuck": [{"edge": 7, "at_s": 2e-9}, {"edge": 8, "at_s": 3e-9}],
        },
        "named_v": "no number",
        "shape": [2, 3],
        "_s": 1.5,
    }
    assert [(row.depth, row.name, row.value) for row in nested_rows(values)] == [
        (0, "effects", None),
        (1, "offset", None),
        (2, "sigma", "1 mV"),
        (2, "seed", "3"),
        (2, "kind", "a_v"),
        (1, "stuck", None),
        (2, "1", None),
        (3, "edge", "7"),
        (3, "at", "2 ns"),
        (2, "2", None),
        (3, "edge", "8"),
        (3, "at", "3 ns"),
        (0, "named v", "no number"),
        (0, "shape", "2, 3"),
        (0, " s", "1.5"),
    ]


LETTERS = st.one_of(
    st.sampled_from("<>&\"'{}%-!"), st.characters(codec=None, exclude_characters="/")
)
HOSTILE = '<script>alert(1)</script>" onload="x" \'&amp;{{ 7*7 }}{% raw %}'


def hostile_page(text: str) -> str:
    """A report that says ``text`` wherever a text of somebody else's can come in."""
    report = classification(20)
    metrics = {text: report.summary.task_metrics["accuracy"]}
    samples = tuple(
        replace(s, status=text, earlier=text, attempts=2, index=k)
        for k, s in enumerate(report.samples)
    )
    report = replace(
        report, reason=text, notes=(text,), samples=samples, energy={text: text, "in": {text: 1.0}},
        model=replace(report.model, path=f"nets/{text}", law=text, task=text),
        compile=replace(report.compile, device_family=text, elements={text: 1}),
        simulator=replace(report.simulator, name=text, version=text, options={text: 1.0}),
        reference=replace(report.reference, method=text),
        summary=replace(report.summary, task_metrics=metrics),
        provenance=replace(report.provenance, command=text, ngspice=text, torch=text),
    )  # fmt: skip
    return replace(report, evidence=evidence(report)).html()


@pytest.fixture(scope="module")
def tags() -> list[str]:
    return [e.tag for e in parse(hostile_page("harmless"))]


def test_no_text_becomes_markup(tags: list[str]):
    page = parse(hostile_page(HOSTILE))
    assert [e.tag for e in page] == tags
    assert page.one("pre").text == HOSTILE


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(LETTERS, min_size=1, max_size=12))
def test_any_text_leaves_the_page_whole(tags: list[str], text: str):
    page = hostile_page(text)
    assert [e.tag for e in parse(page)] == tags
    page.encode()


def test_odd_bytes_and_letters_that_do_not_show_are_escaped():
    report = make_report(evidence=make_evidence())
    path = "nets/a\udcff\x00\x1b[31m\u202egnp.kc"
    page = replace(report, model=replace(report.model, path=path)).html()
    assert "a\\udcff\\x00\\x1b[31m\\u202egnp" in page
    assert not {"\udcff", "\x00", "\x1b", "\u202e"} & set(page)
