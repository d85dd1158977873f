"""`zcsr query`: SQL over everything a store holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from zcsr import queries
from zcsr.cli.console import data, say
from zcsr.cli.failures import writing
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import OutFileOption, StoreOption, chosen_format, open_store
from zcsr.cli.tables import print_rows
from zcsr.errors import InputError
from zcsr.store import Store
from zcsr.store.kept.atomic import written_aside

if TYPE_CHECKING:
    import polars

FORMATS = ("table", "csv", "json", "markdown", "parquet")
SUFFIXES = {".csv": "csv", ".json": "json", ".md": "markdown", ".parquet": "parquet"}
SHOWN = 50


@with_options
def query(
    *,
    sql: Annotated[
        str | None, typer.Argument(help="Name of a query, or SQL.", show_default="list the named queries")
    ] = None,
    parameter: list[str] | None = option(None, "value of a parameter, as name=value", flag="--parameter -p"),
    describe: bool = option(False, "say all about a named query, its SQL included, and do not run it"),
    output_format: str | None = option(
        None, f"one of {', '.join(FORMATS)}", flag="--format -f", unset="by the ending of --out, or table"
    ),
    out: OutFileOption = None,
    limit: int = option(SHOWN, "rows shown in a table", least=1),
    store: StoreOption = None,
) -> None:
    """Run a named query or any SQL on the store, read-only; without an argument, list the named queries."""
    if describe:
        _describe(sql)
    elif sql is None:
        _list_queries()
    else:
        chosen = chosen_format(output_format, out, FORMATS, SUFFIXES, "table")
        if chosen == "parquet" and out is None:
            raise InputError("--format parquet needs a file to write to: --out FILE")
        rows = _rows(open_store(store), sql, _parse_parameters(parameter or []))
        if out is None:
            print_as(chosen, rows, limit)
        else:
            with writing():
                _write(rows, chosen, out)


def print_named(store: Store, name: str, parameters: dict[str, str]) -> None:
    """Print the rows of a named query as a table."""
    print_as("table", _rows(store, name, parameters), SHOWN)


def _rows(store: Store, query: str, parameters: dict[str, str]) -> polars.DataFrame:
    """The rows of a named query, or of SQL, which has more than one word."""
    from zcsr.store.sql.index import named
    from zcsr.store.sql.index import query as run_sql

    return run_sql(store, query, parameters) if len(query.split()) > 1 else named(store, query, parameters)


def _list_queries() -> None:
    entries = [queries.load(name) for name in queries.names()]
    console = data()
    for number, (group, title) in enumerate(queries.GROUPS.items()):
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True, width=max(len(entry.name) for entry in entries))
        table.add_column()
        for entry in (one for one in entries if one.group == group):
            parameters = "".join(f"  {one.name}={one.default}" for one in entry.parameters)
            table.add_row(entry.name, Text.assemble(entry.brief, (parameters, "dim")))
        console.print(*([""] if number else []), Text(f"{title}:", style="italic"), table, sep="\n")
    say("\nzcsr query NAME runs one, -p NAME=VALUE sets a parameter, --describe says all about it")


def _describe(name: str | None) -> None:
    if name is None:
        raise InputError("--describe takes the name of a query; `zcsr query` lists them")
    try:
        entry = queries.load(name)
    except queries.QueryError as error:
        raise InputError(str(error)) from None
    table = Table.grid(padding=(0, 2))
    for parameter in entry.parameters:
        table.add_row(f"-p {parameter.name}={parameter.default}", Text(parameter.doc))
    data().print(Text(f"A row is: {entry.doc}\n"))
    if entry.parameters:
        data().print(table, "")
    data().print(Text(entry.sql.strip()))


def _parse_parameters(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--parameter takes name=value, not '{pair}'")
        values[name] = value
    return values


def print_as(output_format: str, frame: polars.DataFrame, limit: int) -> None:
    """Print rows, in a table at most `limit` of them."""
    if output_format != "table":
        sys.stdout.write(_text(frame, output_format))
        return
    print_rows(frame.head(limit))
    if frame.is_empty():
        say("no rows")
    if frame.height > limit:
        say(f"{limit} of {frame.height:,} rows shown; --limit shows more, --format csv all")


def _write(frame: polars.DataFrame, output_format: str, out: Path) -> None:
    if output_format == "parquet":
        with written_aside(out) as temporary:
            frame.write_parquet(temporary)
    else:
        out.write_text(_text(frame, output_format), encoding="utf-8")


def _text(frame: polars.DataFrame, output_format: str) -> str:
    """The rows as csv, json or markdown; a table in a file is one of markdown."""
    if output_format == "csv":
        return _flat(frame).write_csv()
    if output_format == "json":
        return frame.write_json() + "\n"
    from zcsr.reports import markdown_table

    return markdown_table(frame)


def _flat(frame: polars.DataFrame) -> polars.DataFrame:
    """The rows with lists and structs as text, since CSV has no form for them."""
    import polars

    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    return frame.with_columns(polars.Series(name, map(str, frame[name].to_list())) for name in nested)
