"""The application: one command a module, gathered here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli import imports, store
from zcsr.cli.collect import collect
from zcsr.cli.compare import compare
from zcsr.cli.evolve import evolve
from zcsr.cli.explain import explain
from zcsr.cli.export import export
from zcsr.cli.options import STORE, keep_store
from zcsr.cli.query import query
from zcsr.cli.report import report
from zcsr.cli.score import score
from zcsr.cli.search import search
from zcsr.cli.show import operations, proxies, spaces
from zcsr.cli.test import test
from zcsr.cli.train import train
from zcsr.cli.ui import ui

app = typer.Typer(
    name="zcsr",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for computing in (evolve, collect, test, score, search, explain, export, train):
    app.command()(computing)
for showing in (query, report, ui, compare, spaces, operations, proxies):
    app.command()(showing)
app.add_typer(imports.app, name="import")
app.add_typer(store.app, name="store")


@app.callback()
def _options(
    context: typer.Context,
    store: Annotated[Path | None, typer.Option("--store", **STORE)] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Discover zero-cost proxies: formulas that rank untrained networks by how accurate they will be."""
    keep_store(context, store)
    if version:
        import zcsr

        typer.echo(zcsr.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
