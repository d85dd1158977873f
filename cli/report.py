"""`zcsr report`: the markdown report of a run, of the scores apart from runs, or of a search with a proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli.options import StoreOption, open_store


def report(
    run: Annotated[
        str | None, typer.Argument(help="Name of a run, or latest; not with --scores.", show_default="latest")
    ] = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Report on what `zcsr test --task` scored, beside published figures."),
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="With --scores: name of the report.", show_default="scores")
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(
            "--notes",
            help="With --scores: markdown file of your own, to stand after the summary.",
            show_default="none",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", help="Report on this search (`zcsr search`), or latest.", show_default="none"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to.", show_default="reports in the store")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a report of a run, of scores apart from runs, or of a search, with its pictures, and print the path."""
    from zcsr.cli.failures import cannot_write
    from zcsr.errors import InputError
    from zcsr.reports import render_run, render_scores, render_search

    if scores and run is not None:
        raise InputError(f"--scores reports on all scores apart from runs; leave out the run '{run}' or --scores")
    if search is not None and (scores or run is not None):
        raise InputError(f"--search {search} is a report of its own; leave out {'--scores' if scores else run}")
    if (name is not None or notes is not None) and not scores:
        raise InputError("--name and --notes are for a report on --scores; a run's report has the run's name")
    opened = open_store(store)
    folder = out or opened.root / "reports"
    try:
        if scores:
            path = render_scores(opened, name or "scores", folder, _read(notes) if notes else "")
        elif search is not None:
            path = render_search(opened, search, folder)
        else:
            path = render_run(opened, run or "latest", folder)
    except OSError as error:
        raise cannot_write(error) from error
    typer.echo(str(path))


def _read(notes: Path) -> str:
    from zcsr.errors import InputError

    try:
        return notes.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the notes {notes}: {error}") from error
