"""Golden cases: a network whose deck, waveforms and verdict are known.

``golden/<case>/`` holds ``case.toml`` (what it is, how to build it, how to compile and judge it),
``model.safetensors``, ``deck/`` (the expected decks, unless it is told that they are too large to
be kept) and ``expected.npz`` (inputs, expected outputs, and the first sample's waveforms at even
times).
"""

from __future__ import annotations

import io
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import GoldenError, KcompileError, UsageError
from kcompile.files import is_folder, read_bytes, storage_error, written
from kcompile.frontend import Checkpoint, Model, load, save_checkpoint
from kcompile.ir import FloatArray, digest
from kcompile.timing import Timing
from kcompile.units import Scale
from kcompile.verification.golden.recipe import build_network
from kcompile.verification.golden.text import folder_difference
from kcompile.verification.report import Report
from kcompile.verification.run import verify_model

_RECIPE, _MODEL, _DECK, _EXPECTED = "case.toml", "model.safetensors", "deck", "expected.npz"
_TIMES = 21
"""Points in time of each phase at which waveforms are kept."""


@dataclass(frozen=True)
class Case:
    """A golden case as its recipe says.

    Args:
        folder: where it lies; its name is the case's.
        title: what it covers.
        network: how to build its network, or None: it was trained, and stays as it is.
        options: how to compile it.
        samples: how many inputs it is judged on.
        tolerance: of the verdict.
        waveform_tolerance: largest change of a waveform or output against the expected ones,
            relative to the larger of 1 and the largest of them; simulator versions differ by
            about their truncation error.
        keeps_deck: whether its decks are kept and compared; those of large networks are not.
    """

    folder: Path
    title: str
    network: Mapping[str, Any] | None
    options: CompileOptions
    samples: int
    tolerance: float
    waveform_tolerance: float
    keeps_deck: bool = True

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


@dataclass(frozen=True)
class GoldenResult:
    """What became of a case.

    Args:
        case: the case.
        report: of its verification.
        problems: one line each; none means that it passed.
        waveform_change: largest difference to the expected waveforms and outputs, relative to
            the larger of 1 and the largest of them.
    """

    case: Case
    report: Report | None
    problems: tuple[str, ...]
    waveform_change: float | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def find_cases(folder: Path, names: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """The cases in a folder, sorted, or those of them that are named.

    Raises:
        UsageError: there is no such folder or case, or no case at all.
        GoldenError: a recipe is bad.
    """
    if not is_folder(folder):
        raise UsageError("no such folder", where=folder, hint="run this in a checkout")
    found = {path.parent.name: path.parent for path in folder.glob(f"*/{_RECIPE}")}
    missing = [name for name in names if name not in found]
    if missing or not found:
        raise UsageError(
            f"no golden case {missing[0]!r}" if missing else "it holds no golden case",
            where=folder, hint=f"cases: {', '.join(sorted(found)) or 'none'}",
        )  # fmt: skip
    return tuple(read_case(found[name]) for name in names or sorted(found))


def read_case(folder: Path) -> Case:
    """The case in ``folder``.

    Raises:
        GoldenError: its recipe is bad.
    """
    path = folder / _RECIPE
    try:
        data = tomllib.loads(read_bytes(path).decode())
        compiling = dict(data.get("compile", {}))
        scale = Scale(**compiling.pop("scale", {}))
        if "timing" in compiling:
            compiling["timing"] = Timing.from_mapping(compiling["timing"])
        judging = data["judge"]
        return Case(
            folder,
            str(data["title"]),
            cast("dict[str, Any] | None", data.get("network")),
            CompileOptions(scale=scale, **compiling),
            int(judging["samples"]),
            float(judging["tolerance"]),
            float(judging["waveform_tolerance"]),
            bool(judging.get("deck", True)),
        )
    except KcompileError:
        raise
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise GoldenError(f"{type(error).__name__}: {error}", where=path) from error


def run_case(case: Case, *, ngspice: Path | str | None = None, jobs: int = 2) -> GoldenResult:
    """Builds, compiles and simulates a case and compares it with what is expected.

    Raises:
        SimulatorNotFound: there is no simulator.
        GoldenError, CheckpointError: the case's files are bad.
    """
    model = load(case.folder / _MODEL)
    problems: list[str] = []
    if case.network is not None and digest(_built(case).model().graph) != digest(model.graph):
        problems.append(f"{_MODEL} is not what the recipe builds")
    expected = _read_expected(case)
    if len(expected["inputs"]) != case.samples:
        problems.append(f"{_EXPECTED} has {len(expected['inputs'])} samples, not {case.samples}")
    difference = None
    if case.keeps_deck:
        difference = _deck_difference(case, model, expected["inputs"][0])
    if difference is not None:
        problems.append(f"deck: {difference}")
    report = verify_model(
        model, case.options, inputs=expected["inputs"], tolerance=case.tolerance,
        ngspice=ngspice, jobs=jobs,
    )  # fmt: skip
    if report.reason is not None:
        problems.append(report.reason)
    change = _change(expected, _kept(report))
    if change is None or not change <= case.waveform_tolerance:
        problems.append(
            "waveforms: none to compare"
            if change is None
            else f"waveforms: {change:.2e} off, {case.waveform_tolerance:.0e} is allowed"
        )
    return GoldenResult(case, report, tuple(problems), change)


def update_case(case: Case, *, ngspice: Path | str | None = None, jobs: int = 2) -> GoldenResult:
    """Writes a case's checkpoint, decks and waveforms anew from its recipe.

    A network that was trained stays as it is, and so do the inputs of a case that has some.

    Raises:
        GoldenError: the recipe is bad, or the circuit does not pass.
        StorageError: a file cannot be written.
    """
    model = load(case.folder / _MODEL) if case.network is None else _built(case).model()
    inputs = _inputs(case, model)
    report = verify_model(
        model, case.options, inputs=inputs, tolerance=case.tolerance, ngspice=ngspice, jobs=jobs
    )
    if not report.passed:
        raise GoldenError(f"the circuit fails: {report.reason}", where=case.folder)
    if case.network is not None:
        save_checkpoint(case.folder / _MODEL, _built(case))
        model = load(case.folder / _MODEL)
    if case.keeps_deck:
        _write_deck(case, model, inputs[0])
    with written(case.folder / _EXPECTED) as stream:
        arrays: dict[str, Any] = {"inputs": inputs, **_kept(report)}
        np.savez_compressed(stream, **arrays)
    return run_case(case, ngspice=ngspice, jobs=jobs)


def _write_deck(case: Case, model: Model, inputs: FloatArray) -> None:
    """Writes the expected decks; what else lies in their folder goes."""
    deck = case.folder / _DECK
    kept = compile_model(model, case.options).write(deck, model.initial_voltages(inputs)).files
    try:
        for path in deck.iterdir():
            if path.name not in kept:
                path.unlink()
    except OSError as error:
        raise storage_error(error, deck) from error


def _built(case: Case) -> Checkpoint:
    assert case.network is not None
    return build_network(case.network, case.folder / _RECIPE)


def _inputs(case: Case, model: Model) -> FloatArray:
    """The inputs of a case: the checkpoint's own samples, else normal or uniform draws."""
    if model.samples is not None:
        return model.samples.inputs[: case.samples]
    seed = 0 if case.network is None else int(case.network["seed"])
    shape = (case.samples, model.input_width)
    if model.generative:
        return np.random.default_rng([seed, 1]).standard_normal(shape)
    return np.random.default_rng([seed, 1]).uniform(-1.0, 1.0, shape)


def _deck_difference(case: Case, model: Model, inputs: FloatArray) -> str | None:
    with tempfile.TemporaryDirectory(prefix="kcompile-golden-") as folder:
        compiled = compile_model(model, case.options)
        compiled.write(Path(folder), model.initial_voltages(inputs))
        return folder_difference(case.folder / _DECK, Path(folder))


def _kept(report: Report) -> dict[str, NDArray[np.float64]]:
    """What is stored of a verification: outputs, and waveforms at even times."""
    evidence = report.evidence
    if evidence is None:
        return {}
    kept = {"outputs": evidence.spice}
    for wave in evidence.waves:
        times: FloatArray = np.linspace(0.0, float(wave.times[-1]), _TIMES)
        columns: list[FloatArray] = [
            np.interp(times, wave.times, column) for column in wave.spice.T
        ]
        kept[f"phase{wave.phase}"] = np.stack(columns, axis=1)
    return kept


def _read_expected(case: Case) -> dict[str, NDArray[np.float64]]:
    path = case.folder / _EXPECTED
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            expected = {name: np.asarray(stored[name], dtype=np.float64) for name in stored.files}
        if "inputs" not in expected:
            raise KeyError("inputs")
    except FileNotFoundError:
        raise GoldenError("no such file", where=path, hint="make golden-update") from None
    except OSError as error:
        raise storage_error(error, path) from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GoldenError(f"cannot be read: {error}", where=path, hint="restore it") from error
    return expected


def _change(
    expected: Mapping[str, NDArray[np.float64]], found: Mapping[str, NDArray[np.float64]]
) -> float | None:
    """The largest difference, relative to the larger of 1 and the largest expected voltage.

    NaN where there are no numbers; None where shapes differ.
    """
    names = set(expected) - {"inputs"}
    if names != set(found) or any(expected[n].shape != found[n].shape for n in names):
        return None
    # Not Python's max, which may pass over a NaN.
    change = np.max([np.abs(expected[name] - found[name]).max() for name in names])
    return float(change / max(1.0, *(np.abs(expected[name]).max() for name in names)))
