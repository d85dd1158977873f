"""`zcsr store`: what a store holds, and whether it is sound."""

from __future__ import annotations

import typer
from rich.text import Text

from zcsr.cli.console import data, say
from zcsr.cli.options import StoreOption, open_store
from zcsr.errors import StoreError

app = typer.Typer(help="Look after the store.", pretty_exceptions_enable=False)


@app.command("verify")
def verify(store: StoreOption = None) -> None:
    """Read every shard again and compare it with its summary and with the index; exit code 3 on a problem."""
    from zcsr.store.jobs.verify import verify_store

    problems = verify_store(open_store(store))
    for problem in problems:
        data().print(Text(problem), soft_wrap=True)
    if problems:
        raise StoreError(f"{len(problems)} problems found; an index problem is mended by `zcsr store rebuild`")
    say("the store is sound")


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
