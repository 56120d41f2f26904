"""``kcompile inspect``: what a checkpoint holds."""

from __future__ import annotations

from pathlib import Path

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import FILE, checkpoint_options, json_option
from kcompile.errors import UsageError


@click.command()
@click.argument("checkpoint", type=FILE)
@checkpoint_options
@click.option("--graphml", type=FILE, help="Write a layer's graph here as GraphML.")
@click.option(
    "--layer", type=click.IntRange(1), default=1, show_default=True, help="Which, for --graphml."
)
@json_option
def inspect(
    checkpoint: Path,
    *,
    config: Path | None,
    law: str | None,
    duration: float | None,
    graphml: Path | None,
    layer: int,
    json_file: Path | None,
) -> None:
    """Says what CHECKPOINT holds: nodes, edges, laws, ranges, and what simulating would cost."""
    import kcompile
    from kcompile.estimate import FAMILIES
    from kcompile.files import write_json
    from kcompile.ir import write_graphml

    model = kcompile.load(checkpoint, config=config, law=law, duration=duration)
    if layer > len(model.graph.phases):
        raise UsageError(
            f"there is no layer {layer}",
            where="--layer",
            hint=f"{model.name} has {len(model.graph.phases)}",
        )
    found = kcompile.inspect(model)
    out = console()
    facts = table()
    for key, value in found.summary.items():
        if value is not None and key != "notes":
            facts.add_row(key, str(value))
    out.print(facts)
    for note in model.notes:
        out.print(f"note: {note}", markup=False, soft_wrap=True)
    phases = table("layer", "nodes", "edges", "T", "fill", "residual", "w", "a", "b", "c")
    for number, phase in enumerate(found.phases, 1):
        residual = "" if phase["residual"] is None else f"layer {phase['residual'] + 1}"
        ranges = ["" if r is None else _interval(r) for r in phase["ranges"].values()]
        phases.add_row(
            str(number), str(phase["nodes"]), str(phase["edges"]), f"{phase['duration']:g}",
            phase["fill"], residual, *ranges,
        )  # fmt: skip
    out.print()
    out.print(phases)
    costs = table(
        "device", "level", "devices", "ngspice memory", "time a sample",
        title=f"\nrough figures; compiling takes {found.compiling.memory_bytes / 1e6:,.0f} MB "
        f"and {found.compiling.seconds:.2g} s",
    )  # fmt: skip
    rows: dict[tuple[str, ...], list[str]] = {}
    for cost in sorted(found.costs, key=lambda cost: FAMILIES.index(cost.device)):
        figures = (
            cost.device, f"{cost.devices:,}", f"{cost.memory_bytes / 1e6:,.0f} MB",
            f"{cost.seconds:.2g} s",
        )  # fmt: skip
        rows.setdefault(figures, []).append(f"-O{cost.opt_level}")
    for (device, *figures), levels in rows.items():
        costs.add_row(device, ", ".join(levels), *figures)
    out.print(costs)
    if graphml is not None:
        write_graphml(model.graph, graphml, layer - 1)
        out.print(f"layer {layer} as GraphML: {graphml}")
    if json_file is not None:
        write_json(json_file, found.to_dict())


def _interval(bounds: list[float]) -> str:
    low, high = bounds
    return f"{low:.3g}" if low == high else f"{low:.3g} .. {high:.3g}"
