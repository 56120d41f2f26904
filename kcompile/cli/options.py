"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from kcompile.errors import UsageError

if TYPE_CHECKING:
    from kcompile.compiler import CompileOptions
    from kcompile.timing import Timing
    from kcompile.units import Scale

Command = TypeVar("Command", bound=Callable[..., Any])
# Whoever reads or writes it says what is wrong, with the right status.
FILE = click.Path(path_type=Path, readable=False)


def _add(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


checkpoint_options = _add(
    click.option("--config", type=FILE, help="config.yaml of a published model [beside it]."),
    click.option("--law", help="Device law of a checkpoint that does not say it."),
    click.option("--duration", type=float, help="Duration T of a checkpoint that does not say it."),
)

scale_options = _add(
    click.option("--scale", type=float, help="Time unit [s]: 1 V, 1 A, SCALE farads [1e-15]."),
    click.option("--v0", type=float, help="Volts per software voltage unit."),
    click.option("--i0", type=float, help="Amperes per software current unit."),
    click.option("--c0", type=float, help="Farads per software capacitance unit."),
)

compile_options = _add(
    scale_options,
    click.option("--device", help="Device family, or FAMILY:PRESET; `kcompile doctor` lists them."),
    click.option(
        "-O", "opt_level", type=int,
        help="Optimisation: 0 literal, 1 clean, 2 fast, 3 approximate, within a stated bound.",
    ),
    click.option("--single-deck", is_flag=True, help="All layers in one transient, gated."),
    click.option(
        "--timing", multiple=True, metavar="KEY=VALUE",
        help="Imperfect timing of a single deck's layers: rise, dead, overlap, late, skew, in "
        "shortest layers, charge, leak, seed (repeatable).",
    ),
    click.option(
        "--param", "parameters", multiple=True, metavar="NAME=VALUE",
        help="Device parameter, in the unit its family states (repeatable).",
    ),
    click.option("--pdk", type=FILE, help="Folder with device families of your own."),
    click.option("--temperature", type=float, help="Of the circuit, degrees Celsius [27]."),
)  # fmt: skip

simulator_options = _add(
    click.option("--simulator", type=click.Choice(["ngspice", "pyspice"]), default="ngspice"),
    click.option("--ngspice", type=FILE, help="Which ngspice to run."),
    click.option("--jobs", type=click.IntRange(1), default=2, show_default=True,
                 help="Simulations at a time."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=3600.0,
                 show_default=True, help="Seconds that one simulation may take."),
)  # fmt: skip

vary_option = click.option(
    "--vary", multiple=True, metavar="FILE|EFFECT.NUMBER=VALUE",
    help="Imperfections of the circuit: a TOML file, or a single number (repeatable).",
)  # fmt: skip
seed_option = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of drawn inputs, and of the circuit that --vary draws.",
)
experiment_options = _add(
    vary_option,
    click.option("--engine", default="ode", show_default=True,
                 help="Who answers for a circuit: its equations (ode) or spice."),
    click.option("--samples", type=int, help="Samples each circuit is asked [256, or those that "
                 "the checkpoint carries]."),
    click.option("--inputs", type=FILE, help="Samples as .npy or .npz, [Nin] or [S, Nin]."),
    click.option("--tolerance", type=float, default=1e-3, show_default=True,
                 help="How exact answers are, relative to max(1, largest output)."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                 help="Seed of the circuits, and of drawn inputs."),
)  # fmt: skip
data_option = click.option(
    "--data", type=FILE, help="Folder with the task's data [what 'kcompile data fetch' fetched]."
)
json_option = click.option("--json", "json_file", type=FILE, help="Write the result here as JSON.")


SPICE_OPTIONS = (
    "scale", "v0", "i0", "c0", "device", "opt_level", "single_deck", "parameters", "pdk",
    "temperature", "timing", "simulator", "ngspice", "jobs", "timeout",
)  # fmt: skip
"""What counts only where something is simulated in SPICE."""


def refuse_unused(names: Sequence[str], wanted: str) -> None:
    """Refuses options of the current command that would change nothing.

    Args:
        names: of its parameters.
        wanted: what would make them count.

    Raises:
        UsageError: one of them is given.
    """
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is not ParameterSource.DEFAULT:
            raise UsageError(
                "nothing is simulated in SPICE here", where=option.opts[-1],
                hint=f"leave it out, or give {wanted}",
            )  # fmt: skip


def make_scale(scale: float | None, v0: float | None, i0: float | None, c0: float | None) -> Scale:
    """The unit system that ``--scale`` or ``--v0 --i0 --c0`` ask for.

    Raises:
        UsageError: both ways at once, or a unit that is not positive.
    """
    from kcompile.units import Scale

    if scale is None:
        given = {"v0": v0, "i0": i0, "c0": c0}
        return Scale(**{name: value for name, value in given.items() if value is not None})
    if (v0, i0, c0) != (None, None, None):
        raise UsageError("--scale and --v0/--i0/--c0 exclude each other", hint="give one of them")
    return Scale.from_time_unit(scale)


def make_compile_options(
    scale: float | None,
    v0: float | None,
    i0: float | None,
    c0: float | None,
    device: str | None,
    opt_level: int | None,
    single_deck: bool,
    timing: tuple[str, ...],
    parameters: tuple[str, ...],
    pdk: Path | None,
    temperature: float | None,
) -> CompileOptions:
    """The compile options that the shared options ask for.

    Raises:
        UsageError: one of them is out of range.
    """
    from kcompile.compiler import CompileOptions
    from kcompile.files import is_folder

    if pdk is not None and not is_folder(pdk):
        raise UsageError(
            "no such folder", where=f"--pdk {pdk}", hint="name one that holds families"
        )
    return CompileOptions(
        make_scale(scale, v0, i0, c0),
        device,
        opt_level,
        single_deck,
        dict(_named("--param", text, "roff=1e6") for text in parameters),
        pdk,
        temperature=temperature,
        timing=_timing(timing),
    )


def _timing(words: tuple[str, ...]) -> Timing | None:
    from kcompile.timing import Timing

    if not words:
        return None
    given = dict(_named("--timing", text, "overlap=0.01") for text in words)
    seed = given.get("seed")
    if seed is not None and seed.is_integer():
        given["seed"] = int(seed)
    return Timing.from_mapping(given)


def _named(option: str, text: str, example: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UsageError(
            f"{text!r} is not NAME=VALUE", where=option, hint=f"for example {option} {example}"
        ) from None
