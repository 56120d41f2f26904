"""``kcompile plan``: at which voltages, currents and capacitances a network could run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import (
    FILE,
    checkpoint_options,
    data_option,
    json_option,
    make_scale,
    scale_options,
    seed_option,
)
from kcompile.cli.progress import stages
from kcompile.cli.results import require_place
from kcompile.errors import UsageError

if TYPE_CHECKING:
    from kcompile.physics import CircuitPlan
    from kcompile.units import Scale


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option(
    "--swing", type=float, default=0.5, show_default=True, help="Largest |v| of a node, volts."
)
@click.option(
    "--i-max",
    type=float,
    default=1e-5,
    show_default=True,
    help="Largest current of an edge, amperes.",
)
@click.option(
    "--c-min", type=float, default=1e-14, show_default=True, help="Smallest capacitor, farads."
)
@click.option(
    "--t-sample",
    type=float,
    default=1e-9,
    show_default=True,
    help="Shortest time from input to output, seconds.",
)
@click.option(
    "--t-switch",
    type=float,
    default=1e-9,
    show_default=True,
    help="Shortest time of a layer, seconds.",
)
@click.option(
    "--snr",
    type=float,
    default=40.0,
    show_default=True,
    help="Least signal to noise at the read-outs, dB.",
)
@click.option("--temperature", type=float, default=27.0, show_default=True, help="Celsius.")
@click.option(
    "--noise-density", type=float, help="Noise of every edge's current, A/sqrt(Hz) [shot noise]."
)
@click.option(
    "--draws",
    type=click.IntRange(2),
    default=32,
    show_default=True,
    help="Draws of noise for each sample.",
)
@click.option("--samples", type=int, help="How many samples it rests on [64, or 4].")
@click.option("--inputs", type=FILE, help="Samples as .npy or .npz, [Nin] or [S, Nin].")
@data_option
@checkpoint_options
@scale_options
@seed_option
@json_option
def plan(
    *,
    checkpoint: Path,
    swing: float,
    i_max: float,
    c_min: float,
    t_sample: float,
    t_switch: float,
    snr: float,
    temperature: float,
    noise_density: float | None,
    draws: int,
    samples: int | None,
    inputs: Path | None,
    data: Path | None,
    config: Path | None,
    law: str | None,
    duration: float | None,
    scale: float | None,
    v0: float | None,
    i0: float | None,
    c0: float | None,
    seed: int,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Says at which voltages, currents and capacitances CHECKPOINT could run.

    And how fast, at what energy, and what noise does to it.

    With --scale, or --v0 --i0 --c0, that scale is judged; else the fastest within the limits is
    recommended. Exit status 1: that scale breaks a limit.
    """
    import kcompile
    from kcompile.files import write_json
    from kcompile.physics import Limits, NoiseModel
    from kcompile.verification import read_inputs

    limits = Limits(swing, i_max, c_min, t_sample, t_switch, snr)
    noise = NoiseModel(temperature, noise_density)
    given = _given_scale(scale, v0, i0, c0)
    if json_file is not None:
        require_place(json_file)
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    rows = None if inputs is None else read_inputs(inputs, model)
    with stages(model.name) as show:
        found = kcompile.plan(
            model, inputs=rows, samples=samples, data=data, seed=seed, limits=limits, noise=noise,
            scale=given, draws=draws, on_progress=show,
        )  # fmt: skip
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    _show(found)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    raise click.exceptions.Exit(0 if found.within_limits else 1)


def _given_scale(
    scale: float | None, v0: float | None, i0: float | None, c0: float | None
) -> Scale | None:
    """The scale that is to be judged; None: one is to be recommended."""
    units = (v0, i0, c0)
    if scale is None and units == (None, None, None):
        return None
    if scale is None and None in units:
        raise UsageError(
            "a scale has three units", where="--v0 --i0 --c0", hint="give all of them, or none"
        )
    return make_scale(scale, *units)


def _show(found: CircuitPlan) -> None:
    from kcompile.physics.summary import plan_rows

    out = console()
    rows = table("", "recommended" if found.recommended else "this scale", "1 fF, 1 V, 1 A")
    for row in plan_rows(found):
        rows.add_row(*row)
    out.print(rows)
    limits = table("limit", "circuit", "allowed", "set by", "")
    for check in found.checks:
        kept = "kept" if check.kept else "BROKEN"
        limits.add_row(check.what, check.found, check.allowed, check.option, kept)
    out.print()
    out.print(limits)
    out.print()
    out.print(f"{found.name}: {found.verdict}", soft_wrap=True)
    out.print(f"scale: {found.options}", soft_wrap=True)
