"""`zcsr store`: what a store holds, and whether it is sound."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.text import Text

from zcsr.cli.console import data, say
from zcsr.cli.options import StoreOption, open_store
from zcsr.errors import StoreError
from zcsr.store import Store, default_root
from zcsr.store.kept.checksums import DamagedFile

app = typer.Typer(help="Look after the store.", pretty_exceptions_enable=False)


@app.command("verify")
def verify(store: StoreOption = None) -> None:
    """Compare every file with its checksum, summary and the index, changing nothing; exit code 3 on a problem."""
    from zcsr.store.jobs.verify import verify_store

    verdict = verify_store(open_store(store))
    for problem in verdict.problems:
        data().print(Text(problem), soft_wrap=True)
    if verdict.without_sum:
        say(
            f"{verdict.without_sum:,} files have no checksum, as an earlier zcsr wrote them; `zcsr store repair` "
            "gives them one"
        )
    if verdict.problems:
        count = len(verdict.problems)
        raise StoreError(f"{count} problem{'s' if count > 1 else ''} found; each line says what to do")
    say("the store is sound")


@app.command("repair")
def repair(store: StoreOption = None) -> None:
    """Move damaged files to a folder `damaged` of the store, and say what brings back what they held.

    Nothing is deleted. A damaged index is made anew, and files of an earlier zcsr get checksums, if they are sound.
    """
    from zcsr.store.jobs.repair import repair as repair_store
    from zcsr.store.jobs.repair import settle

    opened = _opened_for_repair(store)
    moved = repair_store(opened)
    for line in moved:
        data().print(Text(line), soft_wrap=True)
    done, problems = settle(opened)
    for line in done + problems:
        data().print(Text(line), soft_wrap=True)
    if problems:
        raise StoreError(
            f"problems are left that only you can decide on: {len(problems)}; each line says what to do"
        )
    say("the rest of the store is sound" if moved else "the store is sound")


def _opened_for_repair(store: Path | None) -> Store:
    """The store, also where what says that it is one is damaged or gone."""
    try:
        return open_store(store)
    except DamagedFile:
        return Store(store or default_root())


@app.command("rebuild")
def rebuild(store: StoreOption = None) -> None:
    """Delete the DuckDB index and make it anew from the Parquet files."""
    from zcsr.store import rebuild as rebuild_index

    opened = open_store(store)
    rebuild_index(opened)
    say(f"rebuilt {opened.index_path}")


@app.command("path")
def path(store: StoreOption = None) -> None:
    """Print the folder of the store."""
    typer.echo(str(open_store(store).root))
