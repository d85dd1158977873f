"""Tables that come with zcsr and are there in every connection: published figures, and the programs with a name.

They are views on functions that read the package's own data when a query asks for it. Nothing of them is in a
store, so an older one has them as well.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb

from zcsr.store.tables.declarations import BY_NAME

Rows = list[dict[str, Any]]


@cache
def published_figures() -> Rows:
    """The rows of `published`."""
    text = files("zcsr.data").joinpath("published.csv").read_text(encoding="utf-8")
    return [
        {**row, "place": row["place"] or None, "value": float(row["value"])}
        for row in csv.DictReader(text.splitlines())
    ]


@cache
def named_program_rows() -> Rows:
    """The rows of `named_programs`."""
    from zcsr.language.named_programs import named_programs

    return [
        {
            "name": one.name,
            "program": one.program.id,
            "text": str(one.program),
            "reading": one.reading,
            "source": one.source,
        }
        for one in named_programs()
    ]


_ROWS: Mapping[str, Callable[[], Rows]] = {"published": published_figures, "named_programs": named_program_rows}


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables known to a connection."""
    for table, rows in _ROWS.items():
        connection.create_function(f"{table}_rows", _source(rows), ["BIGINT"], f"STRUCT({BY_NAME[table].ddl})[]")
        connection.execute(f"CREATE VIEW {table} AS SELECT unnest({table}_rows(0), recursive := true)")


def _source(rows: Callable[[], Rows]) -> Callable[[int], Rows]:
    # DuckDB wants an argument; what it is makes no difference.
    return lambda _: rows()
