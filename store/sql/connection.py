"""A connection to the index on which nothing can be written, and its rows as polars frames."""

from __future__ import annotations

import glob
import os
import re
import shutil
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import polars as pl

from zcsr.errors import InputError, StoreError
from zcsr.store.kept.checksums import check
from zcsr.store.kept.scan import Found
from zcsr.store.kept.store import Store
from zcsr.store.sql import functions, shipped
from zcsr.store.sql.guard import check_reads_only, one_line
from zcsr.store.tables.declarations import BY_NAME, SEEN

Parameters: TypeAlias = Mapping[str, object] | Sequence[object] | None


class DamagedIndex(StoreError):
    """DuckDB cannot read what is in the index."""


class ReadConnection:
    """A connection to a store's index on which nothing can be written; close it, or use it in a `with`.

    What is open when the interpreter ends is closed then.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        shards: Sequence[Path] = (),
        folder: Path | None = None,
    ) -> None:
        self._connection = connection
        self._store = store
        self._shards = shards
        self._finalizer = weakref.finalize(self, _close, connection, folder)

    def __enter__(self) -> ReadConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; closing it again does nothing."""
        self._finalizer()

    def frame(self, sql: str, parameters: Parameters = None) -> pl.DataFrame:
        """Run one statement that reads and return its rows with DuckDB's types.

        `$name` in the SQL takes its value from a mapping, `?` from a sequence. Columns of one name are told apart
        by a number; intervals and bit strings become text. Raises InputError for SQL that would write or that
        DuckDB refuses, and StoreError where statistics cannot be read.
        """
        if not self._finalizer.alive:
            raise InputError("the connection to the index is closed; connect again")
        with self._connection.cursor() as cursor:
            check_reads_only(cursor, sql)
            self._check_shards(sql)
            try:
                return frame_of(cursor.sql(sql, params=parameters or None))
            except (duckdb.Error, pl.exceptions.PolarsError) as error:
                raise self._explained(error) from error

    def _check_shards(self, sql: str) -> None:
        """Raise StoreError where a shard of summaries is damaged that the SQL may read."""
        try:
            for shard in self._shards if _MAY_READ_SHARDS.search(sql) else ():
                check(shard)
        except OSError as error:
            raise StoreError(f"cannot read the statistics: {error}") from error

    def _explained(self, error: Exception) -> Exception:
        text = one_line(error)
        if str(self._store.statistics_dir) in text and not isinstance(error, duckdb.PermissionException):
            return StoreError(f"cannot read the statistics: {text}; `zcsr store verify` names what is damaged")
        if isinstance(error, _DAMAGE):
            return DamagedIndex(f"cannot read the index: {text}; `zcsr store rebuild` makes it anew")
        return InputError(f"the SQL fails: {text}")


_MAY_READ_SHARDS = re.compile("summaries", re.IGNORECASE)
"""What SQL has in it that reads the shards, as no function that reads files or other tables is open to it."""

_DAMAGE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


def prepared(connection: duckdb.DuckDBPyConnection, store: Store, found: Found) -> duckdb.DuckDBPyConnection:
    """The connection with the views and functions of a user, and locked."""
    functions.register(connection)
    shipped.register(connection)
    _create_undecided_finalists(connection, store)
    _create_summaries(connection, found.summaries)
    for table in SEEN:
        content = table.view or (f"FROM stored.{table.name}" if table.stored else "")
        if content:
            names = ", ".join(column.name for column in table.columns)
            connection.execute(f"CREATE VIEW {table.name} AS SELECT {names} FROM ({content})")
    connection.execute("SET python_enable_replacements = false")
    statistics = str(store.statistics_dir) + os.sep
    allowed = {statistics, glob.escape(statistics)}  # patterns are checked as well as the files they find
    connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, sorted(allowed)))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _create_undecided_finalists(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Make the function from a run to the finalists of the generations that it has by now."""

    def undecided(run: str) -> list[dict[str, Any]]:
        from zcsr.evolve.finalists import finalists
        from zcsr.store.kept.runs import finalists_frame, open_run

        return finalists_frame(finalists(open_run(store, run).generations())).to_dicts()

    columns = ", ".join(f"{one.name} {one.type}" for one in BY_NAME["finalists"].columns if one.name != "run")
    connection.create_function("undecided_finalists", undecided, ["VARCHAR"], f"STRUCT({columns})[]")


def _create_summaries(connection: duckdb.DuckDBPyConnection, shards: Sequence[Path]) -> None:
    """Make the view over the shards; where their columns cannot be read, one that says so when it is used."""
    columns = BY_NAME["summaries"].columns
    typed = ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)
    if not shards:
        connection.execute(f"CREATE VIEW summaries AS SELECT {typed} WHERE false")
        return
    paths = ", ".join(quoted(glob.escape(str(shard))) for shard in shards)
    try:
        names = ", ".join(column.name for column in columns)
        connection.execute(f"CREATE VIEW summaries AS SELECT {names} FROM read_parquet([{paths}])")
    except duckdb.Error as error:
        message = quoted(f"{shards[0].parent}: {one_line(error)}")
        connection.execute(f"CREATE VIEW summaries AS SELECT {typed} WHERE error({message})")


class _Stream:
    """Hands a relation to polars, which remembers the types it is given: DuckDB's own would outlive the module."""

    def __init__(self, relation: duckdb.DuckDBPyRelation) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


def as_it_is(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The rows of a relation, which is run once; PolarsError for a type that polars does not have."""
    return pl.DataFrame(_Stream(relation))


def frame_of(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The rows of a relation, which is run once."""
    names, kinds = _distinct(relation.columns), [str(kind) for kind in relation.types]
    if names != relation.columns or not set(kinds).isdisjoint(_TEXT_TYPES):
        columns = enumerate(zip(names, kinds, strict=True), start=1)
        relation = relation.project(
            ", ".join(f"{_expression(position, kind)} AS {_identifier(name)}" for position, (name, kind) in columns)
        )
    return pl.DataFrame(_Stream(relation))


def _expression(position: int, kind: str) -> str:
    return f"CAST(#{position} AS VARCHAR)" if kind in _TEXT_TYPES else f"#{position}"


_TEXT_TYPES = ("INTERVAL", "BIT")
"""DuckDB's types that polars has none for."""


def _distinct(names: Sequence[str]) -> list[str]:
    taken: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in (other.lower() for other in taken):
            number += 1
            candidate = f"{name}_{number}"
        taken.append(candidate)
    return taken


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _close(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    connection.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
