"""The real ngspice: required in CI, elsewhere skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kcompile.errors import MissingExtra, SimulatorNotFound
from kcompile.simulation import Job, LayerDeck, Ngspice, PySpice, Status, find_pyspice, run_job

WAVES = {"layer1.raw": 1e-15, "layer2.raw": 1e-15}
LAYERS = (
    LayerDeck("layer1.cir", "layer1.raw"),
    LayerDeck("layer2.cir", "layer2.raw", (((0, 1),), ((0, 2),), ())),
)


@pytest.fixture
def chain(deck: Path) -> Job:
    return Job("chain", deck, {}, WAVES, layers=LAYERS)


@pytest.fixture(scope="session")
def pyspice() -> PySpice:
    try:
        return find_pyspice()
    except (MissingExtra, SimulatorNotFound) as error:
        pytest.skip(str(error))


def test_layers_are_chained_and_inputs_replaced(ngspice: Ngspice, chain: Job, work: Path) -> None:
    result = run_job(ngspice, chain, timeout=60, work=work)
    assert result.ok, result.log_tail
    first, second = (result.waveforms[name] for name in WAVES)
    assert {"n1", "n2", "n3"} == set(first.names) == set(second.names)
    assert result.printed["n3_end"] == pytest.approx(second.voltage("n3")[-1], rel=1e-12)
    # One time step after the start, what is handed over stands to within that step.
    np.testing.assert_allclose(
        second.voltages(["n1", "n2"])[0], first.voltages(["n1", "n2"])[-1], atol=1e-3
    )
    assert result.iterations > 100
    assert result.time_points == len(first) + len(second)
    # Charge moves between the nodes, it does not vanish.
    assert first.values.sum(axis=1) == pytest.approx(1.25, abs=1e-6)
    other = run_job(
        ngspice, replace(chain, files={"inputs.inc": ".param x1=0.5 x2=1\n"}), timeout=60, work=work
    )
    assert other.waveforms["layer1.raw"].values[0].sum() == pytest.approx(1.5, abs=1e-6)
    assert list(work.iterdir()) == []
    assert sorted(p.name for p in chain.deck.iterdir()) == [
        "inputs.inc", "layer1.cir", "layer2.cir", "run.cir",
    ]  # fmt: skip


def test_nobodys_init_file_changes_an_answer(
    ngspice: Ngspice, chain: Job, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SPICE_USERINIT_DIR", str(home))
    monkeypatch.chdir(home)
    for folder in (home, chain.deck):
        (folder / ".spiceinit").write_text("echo init-was-read\nset filetype=ascii\n")
    failing = replace(chain, waveforms={**WAVES, "none.raw": 1.0})
    result = run_job(ngspice, failing, timeout=60, work=work)
    assert result.folder is not None
    assert "init-was-read" not in (result.folder / "simulator.out").read_text()


@pytest.mark.parametrize(
    ("old", "new", "status", "words"),
    [
        ("uramp(", "nofunc(", Status.BAD_DECK, "nofunc"),
        (".include inputs.inc", ".include none.inc", Status.BAD_DECK, "none.inc"),
        ("B0 n1 n2", "X0 n1 n2 nosuch\nB0 n1 n2", Status.BAD_DECK, "nosuch"),
        (".tran", "*", Status.NO_OUTPUT, "layer1.raw"),
        ("C3 n3 0 1e-15", "V1 n3 0 1\nV2 n3 0 2\nC3 n3 0 1e-15", Status.NOT_CONVERGED, "singular"),
        (
            "n1 n2 I=1.5*uramp(v(n1,n2)-0.1)",
            "0 n1 I=1e15*exp(v(n1))",
            Status.NOT_CONVERGED,
            "imestep",
        ),
    ],
)
def test_a_deck_that_cannot_run(
    ngspice: Ngspice, chain: Job, work: Path, old: str, new: str, status: Status, words: str
) -> None:
    text = (chain.deck / "layer1.cir").read_text()
    assert old in text
    broken = replace(chain, files={"layer1.cir": text.replace(old, new)})
    result = run_job(ngspice, broken, timeout=60, work=work)
    assert result.status is status, result.reason
    assert words in result.reason
    assert result.folder is not None
    assert (result.folder / "layer1.cir").read_text() == text.replace(old, new)
    assert not (result.folder / "layer2.cir").is_symlink()


def test_a_run_cut_short_is_noticed(ngspice: Ngspice, chain: Job, work: Path) -> None:
    text = (chain.deck / "layer2.cir").read_text()
    shorter = replace(chain, files={"layer2.cir": text.replace("5e-18 1e-15", "5e-18 9e-16")})
    result = run_job(ngspice, shorter, timeout=60, work=work)
    assert result.status is Status.STOPPED_EARLY
    assert "layer2.raw: ends at 9e-16" in result.reason


def test_pyspice_gives_what_ngspice_gives(
    ngspice: Ngspice, pyspice: PySpice, chain: Job, work: Path
) -> None:
    inputs = {"inputs.inc": ".param x1=1.5 x2=-0.25\n"}
    first = run_job(pyspice, replace(chain, files=inputs), timeout=120, work=work)
    assert first.ok, first.log_tail
    second = run_job(ngspice, replace(chain, files=inputs), timeout=60, work=work)
    for name in WAVES:
        ours, theirs = first.waveforms[name], second.waveforms[name]
        nodes = ["n1", "n2", "n3"]
        np.testing.assert_allclose(ours.voltages(nodes)[-1], theirs.voltages(nodes)[-1], atol=1e-6)
    assert first.iterations > 100
    assert list(work.iterdir()) == []


def test_pyspice_sums_what_layers_hand_over(pyspice: PySpice, chain: Job, work: Path) -> None:
    """Node 1 starts with two voltages added, node 2 with nothing, node 3 with node 1's."""
    summed = (((0, 1), (0, 2)), (), ((0, 1),))
    layers = (LAYERS[0], replace(LAYERS[1], sources=summed))
    result = run_job(pyspice, replace(chain, layers=layers), timeout=120, work=work)
    assert result.ok, result.log_tail
    end = result.waveforms["layer1.raw"].voltages(["n1", "n2"])[-1]
    start = result.waveforms["layer2.raw"].voltages(["n1", "n2", "n3"])[0]
    np.testing.assert_allclose(start, [end.sum(), 0.0, end[0]], atol=2e-3 * abs(end).sum() + 5e-3)


def test_pyspice_runs_a_single_deck_without_its_script(
    pyspice: PySpice, chain: Job, work: Path
) -> None:
    text = (chain.deck / "layer1.cir").read_text()
    script = ".control\nrun\nwrite run.raw\nquit\n.endc\n.end\n"
    whole = text.replace(".end\n", script)
    single = Job("single", chain.deck, {"run.cir": whole}, {"run.raw": 1e-15})
    result = run_job(pyspice, single, timeout=120, work=work)
    assert result.ok, result.log_tail
    assert len(result.waveforms["run.raw"]) > 100


def test_pyspice_judges_by_waveforms_and_not_by_noise(
    pyspice: PySpice, chain: Job, work: Path
) -> None:
    """A harmless warning on standard error is no failure; an error without a result is one."""
    text = (chain.deck / "layer1.cir").read_text()
    noisy = text.replace(
        ".tran", ".options nosuchoption=1\n.meas tran bad find v(none) at=1\n.tran"
    )
    result = run_job(pyspice, replace(chain, files={"layer1.cir": noisy}), timeout=120, work=work)
    assert result.ok, result.log_tail
    for old, new, words in (
        ("uramp(", "nofunc(", "nofunc"),
        ("ic={x1}", "ic={nopar}", "nopar"),
        (".tran", "*", "layer1"),
    ):
        files = {"layer1.cir": text.replace(old, new)}
        result = run_job(pyspice, replace(chain, files=files), timeout=120, work=work)
        assert not result.ok
        assert words in f"{result.reason}\n{result.log_tail}"
