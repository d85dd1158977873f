"""Records as the polars frames that become Parquet files of tables, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import polars as pl

from zcsr.language.text import parse
from zcsr.proxies import language
from zcsr.store.tables.declarations import BY_NAME, FEEDS
from zcsr.store.tables.table import Type

POLARS: Mapping[Type, pl.DataType | type[pl.DataType]] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "INTEGER": pl.Int32,
    "DOUBLE": pl.Float64,
    "TIMESTAMP": pl.Datetime("us"),
    "BOOLEAN": pl.Boolean,
    "VARCHAR[]": pl.List(pl.String),
    "DOUBLE[]": pl.List(pl.Float64),
}

_OF_PROGRAM: Mapping[str, Callable[[Any], object]] = {
    "program": attrgetter("program.id"),
    "text": lambda record: str(record.program),
    "size": attrgetter("program.root.size"),
    "height": attrgetter("program.root.height"),
}


def schema_of(pattern: str) -> pl.Schema:
    """The columns of the files whose paths have that pattern, which are those of all the tables that they feed."""
    feeds = FEEDS[pattern].items()
    return pl.Schema(
        {one.name: POLARS[one.type] for table, source in feeds for one in BY_NAME[table].in_file(source)}
    )


def frame_of(schema: pl.Schema, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """Rows as a frame with those columns."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def rows_of(schema: pl.Schema, records: Iterable[object]) -> Iterator[tuple[object, ...]]:
    """A row a record: a column is its attribute of that name, or says of its program what `_OF_PROGRAM` has."""
    values = [_OF_PROGRAM.get(column) or attrgetter(column) for column in schema]
    return (tuple(value(record) for value in values) for record in records)


def fields_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor of a record takes, from a row of `rows_of`."""
    kept = {column: value for column, value in row.items() if column not in _OF_PROGRAM}
    return {"program": parse(row["text"], language()), **kept}


def first_line(error: BaseException) -> str:
    """What an error says, where the first line says enough."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
