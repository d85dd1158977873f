"""SQL over a store: a DuckDB index of its Parquet and JSON files, which are the truth.

The index holds a copy of every table but `summaries`, which stays in its shards, and the size and time of each
file that it was made from. It is never changed in place: a refreshed copy replaces it, so readers are never locked
out and never see half an index. Delete it and it is made anew.

Queries get a connection that only reads: the index is attached read-only, the file system is closed but for the
shards of statistics, the settings are locked, and `guard` admits only statements that read.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from zcsr import queries
from zcsr.errors import InputError, StoreError
from zcsr.store.kept.atomic import read_json_object, sweep_temporary, temporary_path
from zcsr.store.kept.scan import File, Found, scan
from zcsr.store.kept.store import Store
from zcsr.store.sql.connection import DamagedIndex, Parameters, ReadConnection, prepared, quoted
from zcsr.store.sql.guard import one_line
from zcsr.store.tables.declarations import COLUMNS, GENERATION_KINDS, LOADS, OPTIONAL_KINDS

INDEX_SCHEMA = 4


def connect(store: Store) -> ReadConnection:
    """A read-only connection to the index of a store, which is first brought up to date with the files.

    The tables are those of `COLUMNS`, `DERIVED` and `shipped`, and `summaries`; `kendall` and its like work on
    lists, see `functions`.
    Where the index cannot be written (a read-only disk), a temporary one serves. Raises StoreError when a file of
    the store cannot be read.
    """
    found = scan(store)
    connection = _attached(store.index_path)
    if connection is not None and _known_files(connection) == found.files:
        return ReadConnection(prepared(connection, store, found), store)
    if connection is not None:
        connection.close()
    with suppress(OSError):
        _replace_index(store, found, reuse=connection is not None)
        refreshed = _attached(store.index_path)
        if refreshed is not None:
            return ReadConnection(prepared(refreshed, store, found), store)
    return _connect_temporarily(store, found)


def query(store: Store, sql: str, parameters: Parameters = None) -> pl.DataFrame:
    """The rows of one statement that reads, over the tables of the store; errors as `ReadConnection.frame`."""
    try:
        with connect(store) as connection:
            return connection.frame(sql, parameters)
    except DamagedIndex:
        with suppress(OSError):
            _remove_index(store.index_path)
    try:
        with connect(store) as connection:
            return connection.frame(sql, parameters)
    except DamagedIndex as error:
        raise StoreError(f"DuckDB cannot answer from a fresh index: {error}") from error


def named(store: Store, name: str, given: Mapping[str, object] | None = None) -> pl.DataFrame:
    """The rows of a named query of `zcsr.queries`; parameters that are not given have their defaults.

    Raises InputError for a query or parameter that there is not, and for a value of another type.
    """
    try:
        entry = queries.load(name)
        values = entry.values(given)
    except queries.QueryError as error:
        raise InputError(str(error)) from None
    return query(store, entry.sql, values)


def rebuild(store: Store) -> None:
    """Make the index anew from the files, and replace the old one by it.

    Raises StoreError when a file cannot be read or the index cannot be written.
    """
    try:
        _replace_index(store, scan(store), reuse=False)
    except OSError as error:
        raise StoreError(f"cannot write {store.index_path}: {error.strerror or error}") from error


def verify(store: Store) -> list[str]:
    """What is wrong with the runs, accuracies and index: one line a problem, none when all is sound.

    Reads every file that the index copies, looks for gaps in the generations of each run, and compares the index
    row by row with what the files say. Shards of statistics are checked by `CollectionStore.verify`.
    """
    found = scan(store)
    problems = [*_unreadable(store, found), *_gaps(found)]
    if problems or not store.index_path.exists():
        return problems
    index = _attached(store.index_path)
    if index is None:
        return [f"{store.index_path} cannot be read; `zcsr store rebuild` makes it anew"]
    with index, tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "index.duckdb"
        _make(store, found, fresh, reuse=None)
        return _differences(index, found, fresh)


# Making the index ----------------------------------------------------------------------------------------------


def _connect_temporarily(store: Store, found: Found) -> ReadConnection:
    """A connection to an index in a temporary folder, which goes with the connection."""
    folder = Path(tempfile.mkdtemp(prefix="zcsr-index-"))
    path = folder / "index.duckdb"
    try:
        _make(store, found, path, reuse=None)
        connection = _attached(path)
        if connection is None:
            raise StoreError(f"cannot read the index {path} that was just made; is the disk full?")
        return ReadConnection(prepared(connection, store, found), store, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _replace_index(store: Store, found: Found, reuse: bool) -> None:
    sweep_temporary(store.root)
    temporary = temporary_path(store.index_path)
    try:
        _probe_writable(temporary)
        _make(store, found, temporary, reuse=store.index_path if reuse else None)
        with suppress(FileNotFoundError):
            _log_of(store.index_path).unlink()  # another program's, which does not fit the new index
        os.replace(temporary, store.index_path)
    finally:
        _remove_index(temporary)


def _probe_writable(path: Path) -> None:
    """Raise OSError where DuckDB could not make the file, in an error of its own."""
    path.touch()
    path.unlink()


def _make(store: Store, found: Found, path: Path, reuse: Path | None) -> None:
    """Make an index at `path`: from a copy of `reuse` and what has changed since, or of all that was found."""
    if reuse is not None:
        try:
            shutil.copyfile(reuse, path)
            _update(store, found, path)
            return
        except (duckdb.Error, FileNotFoundError):  # damaged, or removed by another process
            _remove_index(path)
    try:
        _update(store, found, path)
    except duckdb.Error as error:
        raise StoreError(f"cannot make the index {path}: {one_line(error)}") from error


def _update(store: Store, found: Found, path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        _create_tables(connection)
        connection.execute("BEGIN")
        known = {row[0]: (row[1], File(*row[:1], *row[2:])) for row in _known_rows(connection, "main")}
        stale = [number for path_, (number, file) in known.items() if found.files.get(path_) != file]
        _forget(connection, stale)
        kept = {path_ for path_, (number, _) in known.items() if number not in set(stale)}
        first = max((number for number, _ in known.values()), default=0) + 1
        new = [file for path_, file in found.files.items() if path_ not in kept]
        _take(connection, store, dict(enumerate(new, start=first)))
        connection.execute("COMMIT")


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS files (path VARCHAR, file BIGINT, kind VARCHAR, run VARCHAR, "
        "generation BIGINT, size BIGINT, modified BIGINT)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS index_schema (version BIGINT)")
    connection.execute(
        "INSERT INTO index_schema SELECT $version WHERE NOT EXISTS (FROM index_schema)", {"version": INDEX_SCHEMA}
    )
    for table, columns in COLUMNS.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (file BIGINT, {columns})")


def _forget(connection: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> None:
    if not numbers:
        return
    for table in ("files", *COLUMNS):
        connection.execute(
            f"DELETE FROM {table} WHERE file IN (SELECT unnest($numbers::BIGINT[]))", {"numbers": numbers}
        )


def _take(connection: duckdb.DuckDBPyConnection, store: Store, files: Mapping[int, File]) -> None:
    if not files:
        return
    rows = [(str(store.root / file.path), number, *file) for number, file in files.items()]
    columns = [list(column) for column in zip(*rows, strict=True)]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE loading AS SELECT unnest($1::VARCHAR[]) AS place, "
        "unnest($2::BIGINT[]) AS file, unnest($3::VARCHAR[]) AS path, unnest($4::VARCHAR[]) AS kind, "
        "unnest($5::VARCHAR[]) AS run, unnest($6::BIGINT[]) AS generation, unnest($7::BIGINT[]) AS size, "
        "unnest($8::BIGINT[]) AS modified",
        columns,
    )
    connection.execute(
        "INSERT INTO files SELECT path, file, kind, run, generation, size, modified FROM loading ORDER BY file"
    )
    for kind, loads in LOADS.items():
        places = [place for place, _, _, file_kind, *_ in rows if file_kind == kind]
        if places:
            _load_parquet(connection, places, loads)
    for number, file in files.items():
        if file.kind in _RECORDS:
            _load_record(connection, store.root / file.path, number, file)


def _load_parquet(connection: duckdb.DuckDBPyConnection, places: Sequence[str], loads: Mapping[str, str]) -> None:
    for table, columns in loads.items():
        try:
            connection.execute(
                f"INSERT INTO {table} SELECT l.file, {columns} FROM read_parquet($places, filename = 'place') AS r "
                "JOIN (SELECT place, file, run, generation FROM loading) AS l USING (place)",
                {"places": [glob.escape(place) for place in places]},
            )
        except duckdb.Error as error:
            raise _blamed(places, loads) or error from None


def _blamed(places: Iterable[str], loads: Mapping[str, str]) -> StoreError | None:
    """The error for the first of the files that cannot be read by itself."""
    with duckdb.connect() as connection:
        problems = (_problem(connection, place, loads) for place in places)
        return next((StoreError(problem) for problem in problems if problem is not None), None)


def _problem(connection: duckdb.DuckDBPyConnection, place: str, loads: Mapping[str, str]) -> str | None:
    """Why the tables that a Parquet file feeds cannot be read from it, or None when they can."""
    for columns in loads.values():
        try:
            connection.execute(
                f"SELECT bit_xor(hash(t)) FROM (SELECT {columns} FROM read_parquet($place) AS r, "
                "(SELECT NULL::VARCHAR AS run, NULL::BIGINT AS generation) AS l) AS t",
                {"place": glob.escape(place)},
            ).fetchall()
        except duckdb.Error as error:
            return f"cannot read {place}: {one_line(error)}; restore the file or remove it"
    return None


def _load_record(connection: duckdb.DuckDBPyConnection, path: Path, number: int, file: File) -> None:
    try:
        for table, rows in _RECORDS[file.kind](read_json_object(path), _name_of(path, file)).items():
            for row in rows:
                places = ", ".join("?" for _ in row)
                connection.execute(f"INSERT INTO {table} VALUES (?, {places})", [number, *row])
    except (KeyError, TypeError, ValueError, AttributeError, duckdb.Error) as error:
        what = "it" if file.kind == "cost" else "its folder"
        raise StoreError(f"cannot read {path}: {error!r}; restore the file or remove {what}") from error


def _name_of(path: Path, file: File) -> str:
    """What a record is of: a session's has a file of its own, the others are in folders of that name."""
    return path.stem if file.kind == "cost" else path.parent.name


def _run_rows(record: Mapping[str, Any], run: str) -> dict[str, list[list[Any]]]:
    known = {
        "run": run,
        "status": record["status"],
        "started": _in_utc(record["started"]),
        "seconds": record["seconds"],
        "command": shlex.join(record["command"]),
        "representation": "tree",  # of runs older than the choice
    } | {**record["versions"], **record["config"]}
    tasks = [_task_row(run, position, task) for position, task in enumerate(record["tasks"])]
    return {"runs": [[known.get(name) for name in _names("runs")]], "tasks": tasks}


def _task_row(run: str, position: int, task: Mapping[str, Any]) -> list[Any]:
    space, _, dataset = task["task"].partition(":")
    counts = [task["evolve_networks"], task["test_networks"]]
    return [
        run,
        position,
        task["task"],
        space,
        dataset,
        task["metric"],
        task["images"],
        task["collection"]["id"],
        *counts,
    ]


def _collection_rows(record: Mapping[str, Any], collection: str) -> dict[str, list[list[Any]]]:
    known = {**record, **record["config"], "collection": collection, "images": record["images"]["name"]}
    return {"collections": [[known.get(name) for name in _names("collections")]]}


def _search_rows(record: Mapping[str, Any], search: str) -> dict[str, list[list[Any]]]:
    space, _, dataset = record["task"].partition(":")
    known = {
        **record,
        **record["config"],
        "search": search,
        "started": _in_utc(record["started"]),
        "space": space,
        "dataset": dataset,
        "command": shlex.join(record["command"]),
    }
    scores = [
        [search, position, *(used[name] for name in ("proxy", "kind", "source", "non_finite", "kendall"))]
        for position, used in enumerate(record["scores"])
    ]
    return {"searches": [[known.get(name) for name in _names("searches")]], "search_scores": scores}


def _cost_rows(record: Mapping[str, Any], session: str) -> dict[str, list[list[Any]]]:
    known = {
        **record,
        "session": session,
        "command": shlex.join(record["command"]),
        "started": _in_utc(record["started"]),
        **{name: float(record[name]) for name in ("seconds", "cpu_seconds")},
    }
    return {"costs": [[known[name] for name in _names("costs")]]}


def _in_utc(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(UTC).replace(tzinfo=None)


_RECORDS = {"run": _run_rows, "collection": _collection_rows, "search": _search_rows, "cost": _cost_rows}


def _names(table: str) -> list[str]:
    return [column.split()[0] for column in COLUMNS[table].split(", ")]


def _remove_index(path: Path) -> None:
    path.unlink(missing_ok=True)
    _log_of(path).unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


# Reading the index ---------------------------------------------------------------------------------------------


def _attached(path: Path) -> duckdb.DuckDBPyConnection | None:
    """A connection that has the index attached as `stored`, read-only; None where it cannot be read or is old."""
    if not path.is_file():
        return None
    # A database in memory is never shared within the process, so another connection cannot make this one stale.
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {quoted(str(path))} AS stored (READ_ONLY)")
        if connection.execute("FROM stored.index_schema").fetchall() == [(INDEX_SCHEMA,)]:
            return connection
    except duckdb.Error:
        pass
    connection.close()
    return None


def _known_files(connection: duckdb.DuckDBPyConnection) -> Mapping[str, File] | None:
    try:
        return {row[0]: File(*row[:1], *row[2:]) for row in _known_rows(connection, "stored")}
    except duckdb.Error:
        return None


def _known_rows(connection: duckdb.DuckDBPyConnection, database: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        f"SELECT path, file, kind, run, generation, size, modified FROM {database}.files"
    ).fetchall()


# Verification --------------------------------------------------------------------------------------------------


def _unreadable(store: Store, found: Found) -> Iterator[str]:
    with duckdb.connect() as connection:
        _create_tables(connection)
        for file in found.files.values():
            path = store.root / file.path
            loads = LOADS.get(file.kind)
            problem = _problem(connection, str(path), loads) if loads else _record_problem(connection, path, file)
            if problem is not None:
                yield problem


def _record_problem(connection: duckdb.DuckDBPyConnection, path: Path, file: File) -> str | None:
    try:
        _load_record(connection, path, 0, file)
    except StoreError as error:
        return str(error)
    return None


def _gaps(found: Found) -> Iterator[str]:
    kinds: dict[str, dict[int, set[str]]] = {}
    for file in found.files.values():
        if file.kind == "run":
            kinds.setdefault(str(file.run), {})
        if file.generation is not None:
            kinds.setdefault(str(file.run), {}).setdefault(file.generation, set()).add(file.kind)
    splits = {file.run for file in found.files.values() if file.kind == "split"}
    for run, generations in sorted(kinds.items()):
        if run not in splits:
            yield f"runs/{run}/split.parquet is missing"
        for number in sorted(set(range(max(generations, default=-1) + 1)) - set(generations)):
            yield f"runs/{run}/generations/{number:04d} is missing, though later generations are there"
        everywhere = [kind for kind in OPTIONAL_KINDS if any(kind in present for present in generations.values())]
        for number, present in sorted(generations.items()):
            for kind in (*GENERATION_KINDS, *everywhere):
                if kind not in present:
                    yield f"runs/{run}/generations/{number:04d}/{kind}.parquet is missing"


def _differences(index: duckdb.DuckDBPyConnection, found: Found, fresh: Path) -> list[str]:
    if _known_files(index) != found.files:
        return []  # files came or went since the index was made; the next query brings it up to date
    index.execute(f"ATTACH {quoted(str(fresh))} AS fresh (READ_ONLY)")
    problems = []
    for table in COLUMNS:
        try:
            differing = index.execute(_DIFFERING_FILES.format(table=table)).fetchall()
        except duckdb.Error as error:
            problems.append(f"the index's table {table} cannot be read: {one_line(error)}; {_MEND}")
            continue
        problems += [f"the index's table {table} differs from {path}; {_MEND}" for (path,) in differing]
    return problems


_MEND = "`zcsr store rebuild` makes the index anew"
_DIFFERING_FILES = """
WITH indexed AS (
    SELECT path, count(*) AS rows, sum(hash(t)) AS content
    FROM (SELECT f.path, t.* EXCLUDE (file) FROM stored.{table} AS t JOIN stored.files AS f USING (file)) AS t
    GROUP BY path
), made AS (
    SELECT path, count(*) AS rows, sum(hash(t)) AS content
    FROM (SELECT f.path, t.* EXCLUDE (file) FROM fresh.{table} AS t JOIN fresh.files AS f USING (file)) AS t
    GROUP BY path
)
SELECT coalesce(indexed.path, made.path) AS path
FROM indexed FULL JOIN made USING (path)
WHERE (indexed.rows, indexed.content) IS DISTINCT FROM (made.rows, made.content)
ORDER BY path
"""
