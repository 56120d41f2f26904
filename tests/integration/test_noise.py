"""Noise in ngspice itself: kT/C on a resistor's capacitor, and devices' noise in a network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from circuits import make_model
from simulators import every_ngspice

import kcompile
from kcompile.experiments.engines import OdeEngine
from kcompile.physics.noise import in_software_units, kt_over_c, thermal_density
from kcompile.reference import FixedSteps
from kcompile.simulation import Ngspice, read_raw
from kcompile.units import Scale
from kcompile.variations import draw, read_variations

KELVIN = 300.0
OHMS, FARADS = 1e6, 1e-15
TAU = OHMS * FARADS


def simulated(ngspice: Ngspice, folder: Path, deck: str) -> Path:
    """The raw file of a deck that writes ``out.raw``."""
    (folder / "noise.cir").write_text(deck)
    done = subprocess.run(
        [str(ngspice.path), "-b", "noise.cir"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (folder / "out.raw").is_file(), done.stderr
    return folder / "out.raw"


def test_a_resistor_fills_its_capacitor_with_kt(tmp_path: Path) -> None:
    """sqrt(kT/C) within 3 %, from 16,384 voltages that are five time constants apart.

    ngspice's noise source holds currents of a given rms, drawn anew every step of tau/50: a
    resistor's density 4kT/R has the variance ``density / (2*step)``. Its random numbers are others
    in every run, and all of a run are too large or too small by some 2 % alike, so there are many
    runs: 3 % is more than four standard errors of all together.
    """
    runs, copies, apart, each = 32, 64, 5, 8
    step = TAU / 50
    rms = np.sqrt(thermal_density(1 / OHMS, KELVIN) / (2 * step))
    circuit = "".join(
        f"R{k} n{k} 0 {OHMS!r}\nC{k} n{k} 0 {FARADS!r} ic=0\n"
        f"I{k} 0 n{k} dc 0 trnoise({float(rms)!r} {step!r} 0 0)\n"
        for k in range(copies)
    )
    stop = TAU * apart * (each + 2)
    volts = float(kt_over_c(FARADS, KELVIN))
    deck = (
        f"* thermal noise\n{circuit}.options reltol=1e-4 abstol={rms * 1e-4!r} "
        f"vntol={volts * 1e-4!r} chgtol={volts * FARADS * 1e-2!r} trtol=7\n"
        f".tran {step!r} {stop!r} 0 {step!r} uic\n.control\nset filetype=binary\n"
        "run\nwrite out.raw\nquit\n.endc\n.end\n"
    )
    times = TAU * apart * np.arange(2, each + 2)
    for ngspice in every_ngspice():
        found: list[np.ndarray] = []
        for _ in range(runs):
            waves = read_raw(simulated(ngspice, tmp_path, deck))
            found.append(
                np.stack(
                    [np.interp(times, waves.time, waves.voltage(f"n{k}")) for k in range(copies)]
                )
            )
        samples = np.stack(found)
        assert len(np.unique(samples[:, 0, 0])) == runs  # no run is another one's twin
        assert samples.std() == pytest.approx(volts, rel=0.03)
        assert abs(samples.mean()) < 5 * volts / np.sqrt(samples.size)


def test_the_equations_have_the_same_kt(tmp_path: Path) -> None:
    """The variations' density in software units gives sqrt(kT/C) in volts."""
    scale = Scale(v0=0.1, i0=1e-7, c0=FARADS)
    conductance = scale.resistance_unit / OHMS
    density = 2 * in_software_units(thermal_density(1 / OHMS, KELVIN), scale)
    variance = density / (4 * conductance)
    assert scale.v0 * np.sqrt(variance) == pytest.approx(kt_over_c(FARADS, KELVIN), rel=1e-12)


def test_devices_noise_in_ngspice_is_that_of_the_equations(tmp_path: Path) -> None:
    """Read-outs of a small network, a noise source of ngspice beside every device.

    Nothing is shared: ngspice draws for each device, the equations for each node by the devices'
    covariance, with other seeds. The spreads agree within their confidence interval.
    """
    model = make_model(phi="tanh")
    inputs = np.array([[0.3, -0.4]])
    runs, density, steps = 200, 2e-3, 50
    variations = read_variations([f"noise.density={density}", "noise.step=0.012"])
    drawn = draw(model, variations, 1)
    every = np.repeat(model.initial_voltages(inputs), 4 * runs, axis=0)
    by_equations = FixedSteps().outputs(model.graph, every, 100, currents=drawn.injected)
    compiled = kcompile.compile(model, device="ideal", opt_level=0, scale=1.0)
    for ngspice in every_ngspice()[:1]:
        compiled.write(tmp_path, model.initial_voltages(inputs[0]))
        for number, phase in enumerate(model.graph.phases, 1):
            (batch,) = phase.batches
            step = phase.duration / steps
            rms = float(np.sqrt(density / (2 * step)))
            sources = "".join(
                f"Inoise{e} n{s} n{d} dc 0 trnoise({rms!r} {step!r} 0 0)\n".replace("n0 ", "0 ")
                for e, (s, d) in enumerate(zip(batch.src.tolist(), batch.dst.tolist(), strict=True))
            )
            path = tmp_path / f"layer{number}.cir"
            path.write_text(path.read_text().replace("* Edges.\n", f"* Edges.\n{sources}"))
        found = [
            noisy_outputs(ngspice, tmp_path, model.graph.outputs.tolist(), seed)
            for seed in range(1, runs + 1)
        ]
        by_ngspice = np.array(found)
        ideal = OdeEngine(model, inputs, 1e-4).ideal[0]
        for column in range(by_ngspice.shape[1]):
            one, other = by_ngspice[:, column], by_equations[:, column]
            assert len(np.unique(one)) > 0.9 * runs
            # Relative standard error of a standard deviation: 1 / sqrt(2 n).
            error = np.sqrt(1 / (2 * runs) + 1 / (2 * len(other)))
            assert abs(np.log(one.std() / other.std())) < 4.5 * error
            assert abs(one.mean() - other.mean()) < 5 * one.std() / np.sqrt(runs)
            assert other.std() > 1e-3 * max(1.0, abs(ideal[column]))


def noisy_outputs(ngspice: Ngspice, folder: Path, nodes: list[int], seed: int) -> list[float]:
    """The read-outs that ``run.cir`` prints, with its random numbers begun at ``seed``."""
    script = (folder / "run.cir").read_text()
    text = script.replace("set numdgt=15\n", f"set numdgt=15\nsetseed {seed}\n")
    assert text != script
    (folder / "seeded.cir").write_text(text)
    done = subprocess.run(
        [str(ngspice.path), "-b", "seeded.cir"],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    said = dict(
        line.split(" = ")
        for line in done.stdout.splitlines()
        if line.startswith("n") and " = " in line
    )
    return [float(said[f"n{node}"]) for node in nodes]
