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

Rows = list[dict[str, Any]]

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "published": {
        "source": "VARCHAR",
        "place": "VARCHAR",
        "proxy": "VARCHAR",
        "space": "VARCHAR",
        "dataset": "VARCHAR",
        "statistic": "VARCHAR",
        "value": "DOUBLE",
    },
    "named_programs": {
        "name": "VARCHAR",
        "program": "VARCHAR",
        "text": "VARCHAR",
        "reading": "VARCHAR",
        "source": "VARCHAR",
    },
}
"""The columns of the tables with their SQL types.

published: a rank correlation that others report. `source` is the paper or work, `place` where in it (NULL where
that is not known), `proxy` the program or proxy by the name it has here, `statistic` kendall or spearman, `value`
the correlation with the accuracy, -1..1.
named_programs: a program with a name of its own. `program` is its id and `text` its text, as in every other table;
`reading` says by whom its tensors are taken so, `source` where it is from.
"""


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
    for table, columns in COLUMNS.items():
        fields = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.create_function(f"{table}_rows", _source(table), ["BIGINT"], f"STRUCT({fields})[]")
        connection.execute(f"CREATE VIEW {table} AS SELECT unnest({table}_rows(0), recursive := true)")


def _source(table: str) -> Callable[[int], Rows]:
    # DuckDB wants an argument; what it is makes no difference.
    return lambda _: _ROWS[table]()
