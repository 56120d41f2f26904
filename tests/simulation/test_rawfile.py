"""The raw-file reader: round trips, cuts at every byte, and files that are something else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kcompile.errors import SimulationFailed
from kcompile.simulation import Waveforms, read_raw, read_raws

SAME_FOLDER = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


@dataclass(frozen=True)
class Plot:
    """A plot to write: one scale and V vectors, scalars among them padded with zeros."""

    table: NDArray[np.float64]
    names: tuple[str, ...]
    parameters: tuple[str, ...]
    title: str = "Transient Analysis"
    scale: str = "time"
    points: str | None = None
    command: bool = False

    def header(self, *, as_text: bool, flags: str = "real") -> bytes:
        rows = [f"\t0\t{self.scale}\ttime"]
        for k, (name, more) in enumerate(zip(self.names, self.parameters, strict=True), start=1):
            rows.append(f"\t{k}\t{name}\tvoltage{more}")
        command = ["Command: ngspice-47, Build Sat Aug 15"] if self.command else []
        points = str(len(self.table)) if self.points is None else self.points
        lines = [
            "Title: * a title: with a colon",
            "Date: Sat Nov 21 22:23:19  2026",
            *command,
            f"Plotname: {self.title}",
            f"Flags: {flags}",
            f"No. Variables: {len(self.names) + 1}",
            f"No. Points: {points}",
            "Variables:",
            *rows,
            "Values:" if as_text else "Binary:",
        ]
        return ("\n".join(lines) + "\n").encode()

    def written(self, *, as_text: bool = False) -> bytes:
        if not as_text:
            return self.header(as_text=False) + self.table.tobytes()
        text = ""
        for k, row in enumerate(self.table):
            text += f" {k}\t" + "\n\t".join(f"{value:.15e}" for value in row) + "\n\n"
        return self.header(as_text=True) + text.encode()


def values(shape: tuple[int, int]) -> st.SearchStrategy[NDArray[np.float64]]:
    number = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf, 5e-324, -0.0])
    size = shape[0] * shape[1]
    return st.lists(number, min_size=size, max_size=size).map(
        lambda flat: np.array(flat, dtype=np.float64).reshape(shape)
    )


@st.composite
def plots(draw: st.DrawFn, *, smallest: int = 0) -> Plot:
    points = draw(st.integers(smallest, 4))
    columns = draw(st.integers(0, 3))
    names = tuple(f"v(n{k + 1})" for k in range(columns))
    return Plot(
        table=draw(values((points, columns + 1))),
        names=names,
        parameters=tuple(" dims=1" if draw(st.booleans()) else "" for _ in names),
        command=draw(st.booleans()),
    )


def same(waves: Waveforms, plot: Plot) -> bool:
    """Whether everything that is as long as the plot was read to the last bit (NaN too)."""
    waves_only = [k for k, more in enumerate(plot.parameters) if not more or len(plot.table) == 1]
    return (
        waves.names == tuple(f"n{k + 1}" for k in waves_only)
        and np.array_equal(waves.time, plot.table[:, 0], equal_nan=True)
        and np.array_equal(waves.values, plot.table[:, 1:][:, waves_only], equal_nan=True)
        and not waves.truncated
    )


@SAME_FOLDER
@given(st.lists(plots(), min_size=1, max_size=3), st.booleans())
def test_what_is_written_is_read(tmp_path: Path, written: list[Plot], as_text: bool) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"".join(plot.written(as_text=as_text) for plot in written))
    read = read_raws(path)
    assert len(read) == len(written)
    if not as_text:
        assert all(same(waves, plot) for waves, plot in zip(read, written, strict=True))
    for waves, plot in zip(read, written, strict=True):
        np.testing.assert_allclose(waves.time, plot.table[:, 0], rtol=1e-14)


def check_cut(path: Path, plot: Plot, cut: int, *, as_text: bool) -> None:
    """What is read of the first ``cut`` bytes: our error in the header, else the whole points."""
    content = plot.written(as_text=as_text)
    header = len(plot.header(as_text=as_text))
    path.write_bytes(content[:cut])
    if cut < header:
        with pytest.raises(SimulationFailed):
            read_raw(path)
        return
    waves = read_raw(path)
    np.testing.assert_allclose(waves.time, plot.table[: len(waves), 0], rtol=1e-14)
    complete = not content[cut:].strip() if as_text else cut == len(content)
    if not complete:
        assert waves.truncated
    if not as_text:
        assert len(waves) == (cut - header) // (8 * (len(plot.names) + 1))
    else:
        whole = content[header:cut].count(b"\n\n")
        assert whole <= len(waves) <= whole + 1


@SAME_FOLDER
@given(plots(smallest=1), st.booleans(), st.data())
def test_a_cut_file_gives_whole_points_or_our_error(
    tmp_path: Path, plot: Plot, as_text: bool, data: st.DataObject
) -> None:
    size = len(plot.written(as_text=as_text))
    check_cut(tmp_path / "a.raw", plot, data.draw(st.integers(0, size - 1)), as_text=as_text)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_may_be_cut_at_any_byte(tmp_path: Path, as_text: bool) -> None:
    plot = simple(points=3)
    for cut in range(len(plot.written(as_text=as_text))):
        check_cut(tmp_path / "a.raw", plot, cut, as_text=as_text)


@SAME_FOLDER
@given(plots(smallest=1), st.booleans(), st.data())
def test_a_changed_byte_never_gives_another_error(
    tmp_path: Path, plot: Plot, as_text: bool, data: st.DataObject
) -> None:
    content = bytearray(plot.written(as_text=as_text))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    try:
        waves = read_raw(path)
    except SimulationFailed:
        return
    assert waves.values.shape == (len(waves.time), len(waves.names))


@SAME_FOLDER
@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    with pytest.raises(SimulationFailed):
        read_raw(path)


def simple(points: int = 4) -> Plot:
    table = np.arange(3.0 * points).reshape(points, 3)
    return Plot(table, ("V(N1)", "v(n2)"), ("", ""))


@pytest.mark.parametrize("points", ["0", "0       ", "2", "900"])
def test_a_wrong_number_of_points_is_not_believed(tmp_path: Path, points: str) -> None:
    path = tmp_path / "a.raw"
    last = simple(points=6)
    path.write_bytes(simple(points=5).written() + last.written())
    assert [len(waves) for waves in read_raws(path)] == [5, 6]
    path.write_bytes(Plot(last.table, last.names, last.parameters, points=points).written())
    waves = read_raw(path)
    assert len(waves) == 6
    assert waves.truncated == (points == "900")


def test_a_wrong_number_of_points_spares_the_plot_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    first = Plot(simple(5).table, ("v(n1)", "v(n2)"), ("", ""), points="900")
    path.write_bytes(first.written() + simple(3).written())
    assert [(len(w), w.truncated) for w in read_raws(path)] == [(5, True), (3, False)]


def test_names_lose_their_v_and_their_case(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(simple().written())
    waves = read_raw(path)
    assert waves.names == ("n1", "n2")
    assert waves.voltage("N1").tolist() == waves.voltage("v(n1)").tolist() == [1.0, 4.0, 7.0, 10.0]
    assert waves.voltages(("n2", "n1"))[0].tolist() == [2.0, 1.0]
    with pytest.raises(SimulationFailed, match="n7"):
        waves.voltage("n7")


def test_the_last_transient_counts_and_constants_do_not(tmp_path: Path) -> None:
    constants = Plot(np.ones((1, 2)), ("pi",), ("",), title="constants", scale="yes")
    complex_header = constants.header(as_text=False, flags="complex")
    path = tmp_path / "a.raw"
    path.write_bytes(
        complex_header + np.ones(4).tobytes() + simple(4).written() + simple(2).written()
        + complex_header + np.ones(4).tobytes()
    )  # fmt: skip
    assert [len(waves) for waves in read_raws(path)] == [4, 2]
    assert len(read_raw(path)) == 2
    path.write_bytes(complex_header + np.ones(4).tobytes())
    with pytest.raises(SimulationFailed, match="no transient analysis, only 'constants'"):
        read_raw(path)


def test_complex_waveforms_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    plot = simple()
    path.write_bytes(plot.header(as_text=False, flags="complex") + np.ones(4 * 6).tobytes())
    with pytest.raises(SimulationFailed, match="complex"):
        read_raw(path)


def test_unpadded_vectors_of_different_lengths_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    plot = Plot(np.ones((4, 2)), ("k",), (" dims=1",))
    path.write_bytes(plot.header(as_text=False, flags="real unpadded") + np.ones(8).tobytes())
    with pytest.raises(SimulationFailed, match="not padded"):
        read_raw(path)


def test_text_with_carriage_returns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(simple().written(as_text=True).replace(b"\n", b"\r\n"))
    assert read_raw(path).voltage("n2").tolist() == [2.0, 5.0, 8.0, 11.0]


def test_a_last_number_that_may_have_lost_digits_is_not_taken(tmp_path: Path) -> None:
    content = simple().written(as_text=True).rstrip()
    path = tmp_path / "a.raw"
    path.write_bytes(content[:-1])
    waves = read_raw(path)
    assert len(waves) == 3
    assert waves.truncated


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "wrote no raw file"),
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"PK\x03\x04 a zip", "no raw file"),
        (b"Title: x\nDate: y\n", "cut in its header"),
        (simple().written().replace(b"No. Points: 4", b"No. Points: x"), "no. points"),
        (simple().written().replace(b"No. Points: 4", b"No. Points: -4"), "no. points"),
        (simple().written().replace(b"No. Variables: 3", b"No. Variables: 0"), "no variables"),
        (simple().written().replace(b"\t1\tV(N1)", b"\tx\tV(N1)"), "bad variable"),
        (simple().written(as_text=True).replace(b" 2\t", b" 7\t"), "not numbered"),
        (simple().written(as_text=True).replace(b"\t4.0", b"\tfour"), "no number"),
    ],
)
def test_the_message_says_what_is_wrong(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.raw"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SimulationFailed, match=message) as caught:
        read_raw(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
