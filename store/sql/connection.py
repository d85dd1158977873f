"""A connection to the index on which nothing can be written, and its rows as polars frames."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import tempfile
import weakref
from collections import Counter
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
from zcsr.store.sql.types import TEXT, identifier, is_held, is_held_in_part, type_for_polars
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
        by a number; bytes, intervals and what else polars has no type for become text. Raises InputError for SQL
        that would write, that DuckDB refuses, or that gives more than `MOST_COLUMNS` columns, and StoreError where
        statistics cannot be read.
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
    _lock(connection, store)
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Close all that DuckDB could reach but the index, which is attached, and the store's statistics; for good."""
    statistics = str(store.statistics_dir) + os.sep
    allowed = {statistics, glob.escape(statistics)}  # patterns are checked as well as the files they find
    connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, sorted(allowed)))}]")
    # DuckDB makes it for what does not fit into memory, and removes it; its own would be where the user is.
    spilled = Path(tempfile.gettempdir(), f"zcsr-sql-{secrets.token_hex(8)}")
    connection.execute(f"SET temp_directory = {quoted(str(spilled))}")
    for setting, value in _LOCKED.items():
        connection.execute(f"SET {setting} = {value}")


_LOCKED: Mapping[str, str] = {
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_extension_repositories": "'forbidden'",
    "allow_persistent_secrets": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",  # last, as it holds for all of them
}
"""What is set once the views are there, in this order."""


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


MOST_COLUMNS = 10_000
"""Of a result; DuckDB takes a time for them that grows with their square, 6 s for so many."""


def frame_of(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The rows of a relation, which is run once, with the types of `zcsr.store.sql.types`."""
    kinds = relation.types
    if len(kinds) > MOST_COLUMNS:
        raise InputError(f"the SQL gives {len(kinds):,} columns, at most {MOST_COLUMNS:,} can be taken: name fewer")
    partly = [position for position, kind in enumerate(kinds) if is_held_in_part(kind)]
    names = _distinct([*relation.columns, *(relation.columns[position] for position in partly)])
    casts = [
        *(_cast(position, str(kind), type_for_polars(kind)) for position, kind in enumerate(kinds)),
        *(f"CAST(#{position + 1} AS {TEXT})" for position in partly),
    ]
    named = (f"{cast} AS {identifier(name)}" for cast, name in zip(casts, names, strict=True))
    columns = as_it_is(relation.project(", ".join(named))).get_columns()
    for position, text in zip(partly, columns[len(kinds) :], strict=True):
        if not is_held(kinds[position], columns[position]):
            columns[position] = text.alias(names[position])
    return pl.DataFrame(columns[: len(kinds)])


def _cast(position: int, kind: str, wanted: str) -> str:
    return f"#{position + 1}" if kind == wanted else f"CAST(#{position + 1} AS {wanted})"


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, of which those that are there already, in whatever case, get a number."""
    found: list[str] = []
    taken, numbers = set[str](), Counter[str]()
    for name in names:
        candidate = name
        while candidate.lower() in taken:
            numbers[name] += 1
            candidate = f"{name}_{numbers[name] + 1}"
        taken.add(candidate.lower())
        found.append(candidate)
    return found


def _close(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    connection.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
