"""`zcsr report`: the markdown report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli.options import RunArgument, StoreOption, open_store


def report(
    run: RunArgument = "latest",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to.", show_default="reports in the store")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a run's report with its pictures and print the path."""
    from zcsr.cli.failures import cannot_write
    from zcsr.reports import render_run

    opened = open_store(store)
    try:
        path = render_run(opened, run, out or opened.root / "reports")
    except OSError as error:
        raise cannot_write(error) from error
    typer.echo(str(path))
