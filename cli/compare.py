"""`zcsr compare`: several runs against each other, kinds of search over their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.console import show_report
from zcsr.cli.failures import writing
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import FootprintOption, StoreOption, open_store
from zcsr.cli.tables import print_rows
from zcsr.cost.footprint import Footprint
from zcsr.errors import InputError

if TYPE_CHECKING:
    from zcsr.store import Store


@with_options
def compare(
    *,
    run: Annotated[list[str], typer.Argument(help="Name of a run, or latest; two or more.")],
    name: str | None = option(None, "name of the report", unset="runs"),
    footprint: FootprintOption = None,
    out: Path | None = option(None, "folder to write to", flag="--out -o", unset="reports in the store"),
    store: StoreOption = None,
) -> None:
    """Compare runs on their test networks: means and deviations over seeds, and tests of the differences.

    Runs that differ in the seed alone are of one kind. Kinds are compared in pairs of one seed where these had the
    same networks, by Student's t test, and else by Welch's; p-values are corrected together by Holm's method. A
    report with pictures is written.
    """
    if len(run) < 2:
        raise InputError(f"a comparison takes two runs or more, not {run[0]} alone; `zcsr query runs` lists them")
    compare_runs(open_store(store), run, name, out, Footprint.of(footprint or ()))


def compare_runs(
    store: Store, runs: Sequence[str], name: str | None, out: Path | None, footprint: Footprint
) -> None:
    """Print how runs compare, write the report, and print its path."""
    import polars as pl

    from zcsr.insight.outcomes import differences, spreads
    from zcsr.reports.runs_page import MEASURES, NAME, page_of_runs

    page = page_of_runs(store, runs, name or NAME, out or store.root / "reports", footprint)
    outcomes = page.outcomes
    print_rows(pl.DataFrame(spreads(outcomes, (*MEASURES, "seconds"))))
    if found := differences(outcomes, MEASURES):
        print_rows(pl.DataFrame(found))
    with writing():
        path = page.write()
    show_report(path)
