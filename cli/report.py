"""`zcsr report`: the markdown report of a run, of several, of the scores apart from runs, or of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli.failures import writing
from zcsr.cli.given import text_of
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import FootprintOption, Place
from zcsr.cost.footprint import Footprint
from zcsr.errors import InputError


@with_options
def report(
    *,
    run: Annotated[
        list[str] | None,
        typer.Argument(
            help="Name of a run, or latest; several are compared. Not with --scores.",
            show_default="latest",
        ),
    ] = None,
    scores: bool = option(False, "report on what `zcsr test --task` scored, beside published figures"),
    name: str | None = option(
        None, "with --scores, --against or several runs: name of the report", unset="scores, against or runs"
    ),
    notes: Path | None = option(
        None, "with --scores or --against: markdown file of your own, to stand after the summary", unset="none"
    ),
    search: str | None = option(None, "report on this search (`zcsr search`), or latest", unset="none"),
    against: str | None = option(
        None, "report on this program (name, text or id) against all that scored the same networks", unset="none"
    ),
    costs: Path | None = option(
        None, "with --against: CSV of what measures cost, as benchmarks/costs.py writes it", unset="none"
    ),
    html: bool = option(False, "write it as one HTML file as well, with charts and tables to explore"),
    footprint: FootprintOption = None,
    out: Path | None = option(None, "folder to write to", flag="--out -o", unset="reports in the store"),
    place: Place,
) -> None:
    """Write a report of a run, of several, of scores apart from runs, of a program, or of a search; print the path.

    Its pictures lie beside it; with --html there is one file of all as well, to open from the disk. Several runs
    are compared, those together that differ in the seed alone.
    """
    from zcsr.reports import page_against, page_of_run, page_of_runs, page_of_scores, page_of_search
    from zcsr.reports.toolkit.html import needed
    from zcsr.reports.toolkit.page import Page

    runs = run or []
    if against is not None and (scores or runs or search is not None):
        raise InputError(f"--against {against} is a report of its own; leave out runs, --scores and --search")
    if costs is not None and against is None:
        raise InputError("--costs is for a report on a program: --against PROGRAM")
    if scores and runs:
        raise InputError(
            f"--scores reports on all scores apart from runs; leave out the run '{runs[0]}' or --scores"
        )
    if search is not None and (scores or runs):
        raise InputError(f"--search {search} is a report of its own; leave out {'--scores' if scores else runs[0]}")
    apart = scores or against is not None
    if not apart and (notes is not None or (name is not None and len(runs) < 2)):
        raise InputError(
            "--name and --notes are for a report on --scores or --against, and --name for one on several runs; a "
            "run's report has the run's name"
        )
    if html:
        needed("altair", "vl_convert", "latex2mathml.converter")
    reckoned = Footprint.of(footprint or ())
    place.use_spaces()
    opened = place.open()
    folder = out or opened.root / "reports"
    with writing():
        if against is not None:
            words = text_of(notes, "the notes") if notes else ""
            page: Page = page_against(
                opened, against, name or "against", folder, costs=costs, notes=words, footprint=reckoned
            )
        elif scores:
            page = page_of_scores(
                opened, name or "scores", folder, text_of(notes, "the notes") if notes else "", reckoned
            )
        elif search is not None:
            page = page_of_search(opened, search, folder, reckoned)
        elif len(runs) > 1:
            page = page_of_runs(opened, runs, name or "runs", folder, reckoned)
        else:
            page = page_of_run(opened, runs[0] if runs else "latest", folder, reckoned)
        path = page.write_html() if html else page.write()
    typer.echo(str(path))
