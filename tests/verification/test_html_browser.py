"""The page of a report in a headless Chromium: without a network, on a phone, a desktop, paper."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest
from browser import Page, browser_program, chromium
from pages import reports

from kcompile.resources import data_folder

PHONE, DESKTOP = (390, 844), (1280, 900)
REPORTS = reports()
KINDS = pytest.mark.parametrize("kind", REPORTS)

# One worker has the browser.
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Generator[Page]:
    with chromium(browser_program(), tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found: dict[str, Path] = {}
    for number, (kind, report) in enumerate(REPORTS.items()):
        found[kind] = folder / f"{number}.html"
        found[kind].write_text(report.html())
    return found


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@KINDS
def test_a_page_opens_without_complaint_network_or_overflow(
    page: Page, files: dict[str, Path], kind: str, size: tuple[int, int]
):
    page.complaints.clear()
    page.requests.clear()
    page.open(files[kind], *size)
    # Folded parts must fit, too.
    wide = page.evaluate(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
        "[...document.querySelectorAll('body *')].filter((each) => !each.closest('.scroll *, svg')"
        f" && each.getBoundingClientRect().right > {size[0]} + 0.5).map((each) => each.outerHTML)"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.complaints == []
    assert page.requests == [files[kind].as_uri()]


def test_texts_of_charts_stay_inside_their_pictures_and_can_be_read(
    page: Page, files: dict[str, Path]
):
    for kind in ("one sample lost", "classification of many samples", "many nodes"):
        page.open(files[kind], 360, 740)
        texts = page.evaluate(
            "[...document.querySelectorAll('.chart text')].map((each) => {"
            " const box = each.getBoundingClientRect();"
            " return [each.textContent, box.left, box.right, box.height]; })"
        )
        assert len(texts) > 30
        for text, left, right, height in texts:
            assert 0 <= left < right <= 360, text
            assert height >= 9, text


def test_columns_sort_both_ways_by_value(page: Page, files: dict[str, Path]):
    page.open(files["classification of many samples"], *DESKTOP)
    column = (
        "[...document.querySelectorAll('.sortable tbody tr')].map((r) => r.cells[2].textContent)"
    )
    press = "document.querySelectorAll('.sortable th button')[2].click();"

    def numbers(expression: str) -> list[float]:
        return [-1.0 if text == "-" else float(text) for text in page.evaluate(expression)]

    before = numbers(column)
    up = numbers(press + column)
    assert up == sorted(before) != before
    assert page.evaluate("document.querySelector('th[aria-sort]').textContent").startswith(
        "largest"
    )
    assert numbers(press + column) == sorted(before, reverse=True)


def test_paper_shows_what_is_folded_and_cuts_no_chart(page: Page, files: dict[str, Path]):
    def sheets() -> int:
        return len(re.findall(rb"/Type\s*/Page\b", page.pdf()))

    details = "document.querySelector('details')"
    page.open(files["classification of many samples"], *DESKTOP)
    folded = sheets()
    assert page.evaluate(f"{details}.open") is False
    page.evaluate(f"{details}.open = true")
    assert sheets() == folded
    page.evaluate(f"{details}.remove()")
    assert sheets() <= folded - 4
    figures = "[...document.querySelectorAll('figure')]"
    kept = page.evaluate(f"{figures}.map((each) => getComputedStyle(each).breakInside)")
    assert kept == ["avoid"] * 9


def test_dark_and_light_are_two_schemes(page: Page, files: dict[str, Path]):
    ground = "getComputedStyle(document.body).backgroundColor"
    page.open(files["pass"], *PHONE)
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.open(files["pass"], *PHONE, dark=True)
    assert sum(map(int, re.findall(r"\d+", page.evaluate(ground)))) < 120


def test_a_fault_would_be_seen(page: Page, tmp_path: Path):
    """The checks above can fail: a script error, a forbidden script, a picture from elsewhere."""
    bad = tmp_path / "bad.html"
    text = REPORTS["pass"].html()
    bad.write_text(
        text.replace("</main>", "<script>alert(1)</script><img src='https://a.invalid/x'></main>")
    )
    page.complaints.clear()
    page.open(bad, *PHONE)
    assert sum("Content Security Policy" in each for each in page.complaints) == 2
    bad.write_text(
        "<script>missing()</script><img src='https://a.invalid/x'><p style='width: 900px'>x"
    )
    page.complaints.clear()
    page.requests.clear()
    page.open(bad, *PHONE)
    assert any("missing is not defined" in each for each in page.complaints)
    assert "https://a.invalid/x" in page.requests
    assert page.evaluate("document.documentElement.scrollWidth") > 390


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1, 1.4.3."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_contrast_as_much_as_wcag_wants(scheme: int):
    style = (data_folder("templates") / "report" / "page.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.split(":root")[1 + scheme]))
    assert len(colours) == 27
    for text, grounds in {
        "text": ("ground", "panel", "pass-ground", "fail-ground", "h0"),
        "quiet": ("ground", "pass-ground", "fail-ground"),
        "pass": ("pass-ground",),
        "fail": ("fail-ground",),
        "limit": ("ground",),
        "ink": ("ground",),
    }.items():
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("warm", *(f"c{k}" for k in range(8))):
        assert contrast(colours[line], colours["ground"]) >= 3.0, line
    shades = [luminance(colours[f"h{k}"]) for k in range(6)]
    assert shades == sorted(shades, reverse=scheme == 0)
