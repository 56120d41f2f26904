"""A report as one HTML page: no other file, no network, the same bytes for the same report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from kcompile.quantities import format_number, format_si
from kcompile.resources import data_folder
from kcompile.verification.html.chart import WIDTH
from kcompile.verification.html.facts import (
    ELEMENTS,
    gauge,
    key_figures,
    model_line,
    reference,
    simulation,
    spaced,
)
from kcompile.verification.html.figures import charts
from kcompile.verification.html.nested import nested_rows
from kcompile.verification.html.samples import sample_table

if TYPE_CHECKING:
    from kcompile.verification.evidence import Evidence
    from kcompile.verification.report import Report

NESTED = {"energy": "Energy", "variations": "Variations", "timing": "Timing of the layers"}
"""Sections that are shown as they come, where a report has them."""


def render(report: Report, evidence: Evidence) -> str:
    """The page.

    Args:
        report: what it says.
        evidence: the numbers behind it, for the charts.
    """
    pages = _environment()
    values = report.to_dict()
    nested = {
        title: tuple(nested_rows(values[key])) for key, title in NESTED.items() if values.get(key)
    }
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    return pages.get_template("page.html.j2").render(
        report=report,
        model_line=model_line(report),
        gauge=gauge(report),
        key_figures=key_figures(report),
        charts=charts(evidence),
        confusions={
            name: metric.confusion
            for name, metric in report.summary.task_metrics.items()
            if metric.confusion is not None
        },
        samples=sample_table(report.samples),
        simulation=tuple(simulation(report)),
        reference=tuple(reference(report)),
        nested=nested,
        element_names=ELEMENTS,
        chart_width=WIDTH,
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def _asset(name: str) -> str:
    """The style sheet or the script, to be written into the page as it is."""
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _digest(text: str) -> str:
    """What a content security policy calls a style sheet or a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("templates") / "report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
        finalize=_visible,
    )
    filters: dict[str, Any] = {
        "number": format_number,
        "si": format_si,
        "length": len,
        "place": _place,
        "spaced": spaced,
        "total": _total,
    }
    found.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]
    return found


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _place(value: float) -> str:
    """A length in a picture, as short as can be."""
    return f"{value:.1f}".removesuffix(".0")


def _visible(value: Any) -> Any:
    """A text without letters that do not show: odd bytes and control codes become escapes.

    A name could otherwise reverse or hide what stands beside it.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    if value.isprintable():
        return value
    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t\N{NO-BREAK SPACE}"
        else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in value
    )
