"""HTML as a tree of elements, strictly read, and reports of every kind to make it from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
from reports import make_evidence, make_report

from kcompile.verification import Report
from kcompile.verification.sections import (
    AccelerationSection,
    CalibrationSection,
    SampleSection,
    TaskMetric,
    TrialSection,
)

_VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    """An element, its attributes, and what is in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        """All elements in it, itself first."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements of a kind in it, those that have the attributes (a class: among others)."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [e for e in self if e.tag == tag and all(_has(e, k, v) for k, v in wanted.items())]

    def one(self, tag: str, **attributes: str) -> Element:
        """The only one of them."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text in it, its blanks made one."""
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return " ".join(" ".join(parts).split())


def _has(element: Element, key: str, value: str) -> bool:
    own = element.attributes.get(key, "")
    return value in own.split() if key == "class" else own == value


class _Reader(HTMLParser):
    """Refuses what a browser would silently mend: tags that do not match, attributes twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(page: str) -> Element:
    """The page's root; an AssertionError where it is not well formed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is not closed"
    return reader.open[0]


def rows(table: Element) -> list[list[str]]:
    """The texts of a table's cells."""
    return [
        [c.text for c in row.children if isinstance(c, Element)] for row in table.all("tr")
    ]  # fmt: skip


def reports() -> dict[str, Report]:
    """A report of every kind."""
    evidence = make_evidence()
    plain = make_report(evidence=evidence)
    passed = replace(plain, verdict="pass", reason=None, exit_status=0)
    lost = replace(evidence, spice=evidence.spice * np.nan, waves=(), sample=None)
    return {
        "one sample lost": plain,
        "pass": passed,
        "nothing finished": replace(
            plain, evidence=lost,
            summary=replace(plain.summary, failed=2, max_abs_error=None, rms_error=None,
                            max_wave_error=None, inference_time_s=None, task_metrics={}),
        ),
        "no waveforms": replace(plain, evidence=replace(evidence, waves=(), sample=None)),
        "given decks": replace(
            plain, compile=replace(plain.compile, opt_level=None, device_family=None, passes=()),
        ),
        "one layer, all read": replace(
            passed, evidence=make_evidence(nodes=2, read=2, phases=1, samples=2)
        ),
        "one read-out of one sample": replace(passed, evidence=_one()),
        "many nodes": replace(passed, evidence=make_evidence(nodes=1500, read=1200, phases=1)),
        "exact": replace(passed, evidence=_exact()),
        "classification of many samples": classification(),
        "energy": replace(
            passed,
            energy={
                "dissipated_j": 6.7e-12, "by_layer_j": [1e-12, 2e-12], "supplies_j": {"vcc": 2e-9},
                "mean_power_w": None, "assumes": "ideal sources", "exact": False,
            },
        ),
    }  # fmt: skip


def _one():
    evidence = make_evidence(nodes=1, read=1, phases=1, samples=2)
    return replace(evidence, spice=np.array([[0.5]]), reference=np.array([[0.5]]))


def _exact():
    evidence = make_evidence()
    waves = tuple(replace(wave, spice=wave.reference) for wave in evidence.waves)
    return replace(evidence, spice=evidence.reference, waves=waves)


def classification(samples: int = 1000) -> Report:
    """Many samples, run together and accelerated; two lost, one far off, some in finer steps."""
    random = np.random.default_rng(5)
    base = make_evidence(nodes=60, read=10, phases=1)
    reference = random.normal(size=(samples, 10))
    spice = reference + 1e-4 * random.normal(size=reference.shape)
    spice[[5, 77 % samples]] = np.nan
    spice[500 % samples, 3] += 0.07
    error = np.abs(spice - reference).max(axis=1)
    sections = tuple(
        SampleSection(
            k, "ok" if np.isfinite(e) else "crashed", float(e) if np.isfinite(e) else None,
            float(e) / 2 if np.isfinite(e) else None, 0.3, 2 if k % 100 == 5 else 1,
            "timestep too small" if k % 100 == 5 else None, 250 if k % 50 == 0 else 125,
        )
        for k, e in enumerate(error.tolist())
    )  # fmt: skip
    confusion = np.diag(random.integers(90, 101, 10))
    confusion[3, 5] = 2
    metric = TaskMetric(
        0.979, 0.978, 0.998, (0.97, 0.985), (0.969, 0.984), (0.99, 0.9995),
        tuple(map(tuple, confusion.tolist())),
    )  # fmt: skip
    report = make_report(
        reason="sample 500, node n54 is off by 0.07",
        evidence=replace(base, spice=spice, reference=reference),
        samples=sections,
    )
    simulator = replace(
        report.simulator,
        calibration=CalibrationSection(
            125, 1e-6, 7000.0, 2.0, (TrialSection(40, 0.04, 335, 0.05),)
        ),
        acceleration=AccelerationSection("native", "diagonal", "ef" * 32, 5e-6, 4e-6),
        calibration_seconds=1.5,
    )
    summary = replace(
        report.summary, samples=samples, failed=2, max_abs_error=float(np.nanmax(error)),
        task_metrics={"accuracy": metric},
    )  # fmt: skip
    return replace(report, simulator=simulator, summary=summary)
