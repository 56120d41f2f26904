"""``kcompile netlist``: a checkpoint as SPICE decks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kcompile.cli.options import (
    FILE,
    checkpoint_options,
    compile_options,
    data_option,
    json_option,
    make_compile_options,
    seed_option,
    vary_option,
)


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option("-o", "--output", type=FILE, help="Folder for the decks [NAME-deck].")
@click.option("--inputs", type=FILE, help="One sample as .npy or .npz [the task's first, else 0].")
@data_option
@vary_option
@checkpoint_options
@compile_options
@seed_option
@json_option
def netlist(
    *,
    checkpoint: Path,
    output: Path | None,
    inputs: Path | None,
    data: Path | None,
    config: Path | None,
    law: str | None,
    duration: float | None,
    vary: tuple[str, ...],
    seed: int,
    json_file: Path | None,
    **compiling: Any,
) -> None:
    """Writes CHECKPOINT as a folder of decks that `ngspice -b run.cir` runs.

    With --device veriloga: Verilog-A modules and netlists for Spectre.

    Without --device: the circuit of Fig. 5 (switch, -O0) for piecewise-linear laws up to 20,000
    edges, else behavioural sources (ideal, -O2); these too where -O2 or -O3 is asked for. -O3
    approximates within a bound that it states, near the trajectory of the sample.
    """
    import kcompile
    from kcompile.files import write_json
    from kcompile.variations import read_variations
    from kcompile.verification import choose_inputs, read_inputs

    variations = read_variations(vary)
    options = make_compile_options(**compiling)
    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    given = None if inputs is None else read_inputs(inputs, model)
    chosen = choose_inputs(model, given, 1, seed, data)
    if variations.active:
        from kcompile.experiments import drawn_circuit

        model, options = drawn_circuit(model, options, variations, seed, timed=True)
    compiled = kcompile.compile(model, options, inputs=chosen.inputs)
    deck = kcompile.write_netlist(compiled, output, inputs=chosen.inputs)
    for note in (*model.notes, *compiled.notes, f"{chosen.note}; {deck.inputs} holds the first"):
        click.echo(f"note: {note}", err=True)
    elements = ", ".join(f"{count} {letter}" for letter, count in deck.elements.items())
    click.echo(f"{deck.folder}: {len(deck.files)} files, {elements}")
    click.echo(f"run it: {deck.command}")
    if json_file is not None:
        write_json(
            json_file,
            {
                "folder": str(deck.folder),
                "entry": deck.entry.name,
                "files": list(deck.files),
                "elements": dict(deck.elements),
                "deck_bytes": deck.bytes,
                "deck_sha256": deck.sha256,
                "device_family": compiled.device,
                "opt_level": compiled.opt_level,
            },
        )
