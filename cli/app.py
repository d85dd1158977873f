"""The application: one command a module, gathered here."""

from __future__ import annotations

from typing import Annotated

import typer

from zcsr.cli import (
    collect,
    evolve,
    explain,
    export,
    imports,
    proxies,
    query,
    report,
    score,
    search,
    show,
    store,
    test,
    train,
)

app = typer.Typer(
    name="zcsr",
    help="Discover zero-cost proxies: formulas that rank untrained networks by how accurate they will be.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("evolve")(evolve.evolve)
app.command("collect")(collect.collect)
app.command("test")(test.test)
app.command("score")(score.score)
app.command("search")(search.search)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("train")(train.train)
app.command("query")(query.query)
app.command("report")(report.report)
app.command("spaces")(show.spaces)
app.command("operations")(show.operations)
app.command("proxies")(proxies.proxies)
app.add_typer(imports.app, name="import")
app.add_typer(store.app, name="store")


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Discover zero-cost proxies: formulas that rank untrained networks by how accurate they will be."""
    if version:
        import zcsr

        typer.echo(zcsr.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
