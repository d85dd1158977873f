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
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from zlib import crc32

import duckdb
import polars as pl

from zcsr import queries
from zcsr.errors import InputError, StoreError, nearest
from zcsr.store.kept.atomic import read_json_object, sweep_temporary
from zcsr.store.kept.checksums import check, gone, sum_path, temporary_path
from zcsr.store.kept.scan import File, Found, scan
from zcsr.store.kept.store import Store
from zcsr.store.sql.connection import DamagedIndex, Parameters, ReadConnection, prepared, quoted
from zcsr.store.sql.guard import one_line
from zcsr.store.tables.declarations import BY_NAME, FEEDS, OF_GENERATIONS, SPLIT, STORED
from zcsr.store.tables.table import Source, said

INDEX_SCHEMA = crc32(
    repr((6, [(one.name, one.ddl, [one.selected(source) for source in one.sources]) for one in STORED])).encode()
)
"""Changes with what is stored of a table, and by its first number where the same files give other rows."""


def connect(store: Store) -> ReadConnection:
    """A read-only connection to the index of a store, which is first brought up to date with the files.

    The tables are those of `zcsr.store.tables.declarations`; `kendall` and its like are those of `functions`.
    Where the index cannot be written (a read-only or full disk), a temporary one serves. Raises StoreError when a
    file of the store cannot be read, and DamagedFile where one is not what was written, or gone.
    """
    found = _whole(store)
    connection = _attached(store.index_path)
    if connection is not None and _known_files(connection) == found.files:
        return ReadConnection(prepared(connection, store, found), store, found.summaries)
    if connection is not None:
        connection.close()
    with suppress(OSError, _NotMade):
        _replace_index(store, found, reuse=connection is not None)
        refreshed = _attached(store.index_path)
        if refreshed is not None:
            return ReadConnection(prepared(refreshed, store, found), store, found.summaries)
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

    Raises InputError for a query or parameter that there is not, for a value of another type, and for the name of a
    run, search, collection or task that the store has nothing of.
    """
    try:
        entry = queries.load(name)
        values = entry.values(given)
    except queries.QueryError as error:
        raise InputError(str(error)) from None
    rows = query(store, entry.sql, values)
    if rows.is_empty() or "runs" in values:
        _check_known(store, {key: str(values[key]) for key in given or () if key in _NAMES_OF})
    return rows


_NAMES_OF: Mapping[str, str] = {
    "run": "FROM runs SELECT run",
    "runs": "FROM runs SELECT run",
    "search": "FROM searches SELECT search",
    "collection": "FROM collections SELECT collection UNION FROM network_scores SELECT collection",
    "task": (
        "FROM accuracies SELECT task UNION FROM network_scores SELECT task UNION FROM proxy_scores SELECT task "
        "UNION FROM tasks SELECT task"
    ),
}
"""By parameter of a query, what there is that it can name."""

_NO_NAMES = ("", "all", "latest")
_TOLD = 20
"""So many names a message tells."""


def _check_known(store: Store, given: Mapping[str, str]) -> None:
    """Raise InputError where a parameter names what the store does not have."""
    for parameter, value in given.items():
        names = value.split(",") if parameter == "runs" else [value]
        known = [name for (name,) in query(store, f"FROM ({_NAMES_OF[parameter]}) AS t(name) ORDER BY name").rows()]
        for name in (one.strip() for one in names):
            if name not in (*_NO_NAMES, *known):
                what = parameter.removesuffix("s")
                more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
                there = f"there are {', '.join(known[:_TOLD])}{more}" if known else f"the store has no {what} yet"
                raise InputError(f"there is no {what} {name!r}: {there}{nearest(name, known)}")


def rebuild(store: Store) -> None:
    """Make the index anew from the files, and replace the old one by it.

    Raises StoreError when a file cannot be read or the index cannot be written.
    """
    try:
        _replace_index(store, _whole(store), reuse=False)
    except OSError as error:
        raise StoreError(f"cannot write {store.index_path}: {error.strerror or error}") from error


def verify(store: Store) -> list[str]:
    """What is wrong with the runs, accuracies and index: one line a problem, none when all is sound.

    Reads every file that the index copies, looks for gaps in the generations of each run, and compares the index
    row by row with what the files say. Shards of statistics are checked by `CollectionStore.verify`. A problem
    with a file that somebody has written meanwhile is none.
    """
    found = scan(store)
    problems = [*_unreadable(store, found), *_gaps(found)] or _index_problems(store, found)
    after = scan(store) if problems else found
    still = {line for _, line in _gaps(after)}
    return [
        line
        for path, line in problems
        if line in still or path is None or found.files.get(path, after) == after.files.get(path)
    ]


def _index_problems(store: Store, found: Found) -> list[Problem]:
    if not store.index_path.exists():
        return []
    index = _attached(store.index_path)
    if index is None:
        return [(None, f"{store.index_path} cannot be read; {MEND}")]
    with index, tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "index.duckdb"
        _make(store, found, fresh, reuse=None)
        return [*_differences(store, index, found, fresh), *_unranked(fresh)]


class _NotMade(StoreError):
    """DuckDB cannot make an index at a place."""


def _whole(store: Store) -> Found:
    """What is in a store; DamagedFile where a file is gone, without which answers would be others."""
    found = scan(store)
    if found.gone:
        raise gone(found.gone[0])
    return found


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
        return ReadConnection(prepared(connection, store, found), store, found.summaries, folder)
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
        raise _NotMade(f"cannot make the index {path}: {one_line(error)}") from error


def _update(store: Store, found: Found, path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        _create_tables(connection)
        connection.execute("BEGIN")
        known = _known_rows(connection, "main")
        stale = {number for number, file in known if found.files.get(file.path) != file}
        _forget(connection, sorted(stale))
        kept = {file.path for number, file in known if number not in stale}
        first = max((number for number, _ in known), default=0) + 1
        new = [file for path_, file in found.files.items() if path_ not in kept]
        _take(connection, store, dict(enumerate(new, start=first)))
        connection.execute("COMMIT")


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS files "
        "(path VARCHAR, file BIGINT, pattern VARCHAR, size BIGINT, modified BIGINT)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS index_schema (version BIGINT)")
    connection.execute(
        "INSERT INTO index_schema SELECT $version WHERE NOT EXISTS (FROM index_schema)", {"version": INDEX_SCHEMA}
    )
    for table in STORED:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table.name} (file BIGINT, {table.ddl})")
    for name in FOR_OTHERS:
        connection.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {BY_NAME[name].view}")
    connection.execute(f"CREATE MACRO IF NOT EXISTS kendall(x, y) AS {_KENDALL}")


FOR_OTHERS = ("mean_accuracies", "run_scores")
"""Views that the index itself has, for programs that open it without zcsr; they are SQL alone."""

_KENDALL = """(
    SELECT sum(sign(a.x - b.x) * sign(a.y - b.y))
        / nullif(sqrt(sum(abs(sign(a.x - b.x))) * sum(abs(sign(a.y - b.y)))), 0)
    FROM (SELECT unnest(x) AS x, unnest(y) AS y) AS a, (SELECT unnest(x) AS x, unnest(y) AS y) AS b
    WHERE NOT isnan(a.x + a.y + b.x + b.y)
)"""


def _forget(connection: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> None:
    if not numbers:
        return
    for table in ("files", *(one.name for one in STORED)):
        connection.execute(
            f"DELETE FROM {table} WHERE file IN (SELECT unnest($numbers::BIGINT[]))", {"numbers": numbers}
        )


def _take(connection: duckdb.DuckDBPyConnection, store: Store, files: Mapping[int, File]) -> None:
    if not files:
        return
    rows = [(str(store.root / file.path), number, *_run_of(file), *file) for number, file in files.items()]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE loading AS SELECT unnest($1::VARCHAR[]) AS place, "
        "unnest($2::BIGINT[]) AS file, unnest($3::VARCHAR[]) AS run, unnest($4::BIGINT[]) AS generation, "
        "unnest($5::VARCHAR[]) AS path, unnest($6::VARCHAR[]) AS pattern, unnest($7::BIGINT[]) AS size, "
        "unnest($8::BIGINT[]) AS modified",
        [list(column) for column in zip(*rows, strict=True)],
    )
    connection.execute("INSERT INTO files SELECT path, file, pattern, size, modified FROM loading ORDER BY file")
    for file in files.values():
        with suppress(FileNotFoundError):  # as a run may take away its finalists meanwhile
            check(store.root / file.path)
    for pattern, feeds in FEEDS.items():
        places = [str(store.root / file.path) for file in files.values() if file.pattern == pattern]
        if places and not _is_record(pattern):
            _load_parquet(connection, places, feeds)
    for number, file in files.items():
        if _is_record(file.pattern):
            _load_record(connection, store.root / file.path, number, file)


def _is_record(pattern: str) -> bool:
    return pattern.endswith(".json")


def _run_of(file: File) -> tuple[str | None, str | None]:
    """The run and the generation that a file is of, where its path says these."""
    told = said(file.pattern, file.path)
    return told.get("run"), told.get("generation")


def _load_parquet(
    connection: duckdb.DuckDBPyConnection, places: Sequence[str], feeds: Mapping[str, Source]
) -> None:
    for table, source in feeds.items():
        try:
            connection.execute(
                f"INSERT INTO {table} SELECT l.file, {BY_NAME[table].selected(source)} "
                "FROM read_parquet($places, filename = 'place') AS r "
                "JOIN (SELECT place, file, run, generation FROM loading) AS l USING (place)",
                {"places": [glob.escape(place) for place in places]},
            )
        except duckdb.Error:
            with duckdb.connect() as scratch:
                for place in places:
                    _check_parquet(scratch, place, feeds)
            raise


def _check_parquet(connection: duckdb.DuckDBPyConnection, place: str, feeds: Mapping[str, Source]) -> None:
    """Raise StoreError where a table that a Parquet file feeds cannot be read from it."""
    for table, source in feeds.items():
        try:
            connection.execute(
                f"SELECT bit_xor(hash(t)) FROM (SELECT {BY_NAME[table].selected(source)} "
                "FROM read_parquet($place) AS r, "
                "(SELECT NULL::VARCHAR AS run, NULL::BIGINT AS generation) AS l) AS t",
                {"place": glob.escape(place)},
            ).fetchall()
        except duckdb.Error as error:
            raise StoreError(f"cannot read {place}: {one_line(error)}; restore the file or remove it") from error


def _load_record(connection: duckdb.DuckDBPyConnection, path: Path, number: int, file: File) -> None:
    told = said(file.pattern, file.path)
    try:
        record = {**read_json_object(path), **told}
        for table, source in FEEDS[file.pattern].items():
            names = [column.name for column in BY_NAME[table].columns]
            for row in source.rows(record) if source.rows else ():
                places = ", ".join("?" for _ in names)
                values = [row[name] for name in names]
                connection.execute(f"INSERT INTO {table} VALUES (?, {places})", [number, *values])
    except (KeyError, TypeError, ValueError, AttributeError, duckdb.Error) as error:
        what = "it" if path.stem in told.values() else "its folder"
        raise StoreError(f"cannot read {path}: {error!r}; restore the file or remove {what}") from error


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
        return {file.path: file for _, file in _known_rows(connection, "stored")}
    except duckdb.Error:
        return None


def _known_rows(connection: duckdb.DuckDBPyConnection, database: str) -> list[tuple[int, File]]:
    """The files that an index was made from, each with its number there."""
    rows = connection.execute(f"SELECT file, path, pattern, size, modified FROM {database}.files").fetchall()
    return [(number, File(*file)) for number, *file in rows]


# Verification --------------------------------------------------------------------------------------------------


Problem: TypeAlias = tuple[str | None, str]
"""A problem in a line, after the path in the store of the file that has it, if it is of one."""


def _unreadable(store: Store, found: Found) -> Iterator[Problem]:
    with duckdb.connect() as connection:
        _create_tables(connection)
        for file in found.files.values():
            path = store.root / file.path
            try:
                if _is_record(file.pattern):
                    _load_record(connection, path, 0, file)
                else:
                    _check_parquet(connection, str(path), FEEDS[file.pattern])
            except StoreError as error:
                yield file.path, str(error)


def _gaps(found: Found) -> Iterator[Problem]:
    """What a store lacks, each with the path that it is missed at."""
    for path in found.gone:
        yield None, str(gone(path))
    told = {"/".join(path.parts[-5:]) for path in found.gone}
    runs: dict[str, dict[int, set[str]]] = {}
    for file in found.files.values():
        run, generation = _run_of(file)
        if run is not None:
            generations = runs.setdefault(run, {})
            if generation is not None:
                generations.setdefault(int(generation), set()).add(file.pattern)
    for run, generations in sorted(runs.items()):
        if (split := SPLIT.format(run=run)) not in found.files:
            yield split, f"{split} is missing"
        for number in sorted(set(range(max(generations, default=-1) + 1)) - set(generations)):
            lost = f"runs/{run}/generations/{number:04d}"
            yield lost, f"{lost} is missing, though later generations are there"
        there = set[str]().union(*generations.values())
        needed = [pattern for pattern, optional in OF_GENERATIONS.items() if pattern in there or not optional]
        for number, present in sorted(generations.items()):
            for pattern in needed:
                path_ = pattern.format(run=run, generation=f"{number:04d}")
                if pattern not in present and path_ not in told:
                    yield path_, f"{path_} is missing"


def _differences(store: Store, index: duckdb.DuckDBPyConnection, found: Found, fresh: Path) -> Iterator[Problem]:
    if _known_files(index) != found.files:
        return  # files came or went since the index was made; the next query brings it up to date
    index.execute(f"ATTACH {quoted(str(fresh))} AS fresh (READ_ONLY)")
    for table in (one.name for one in STORED):
        try:
            differing = index.execute(_DIFFERING_FILES.format(table=table)).fetchall()
        except duckdb.Error as error:
            yield None, f"the index's table {table} cannot be read: {one_line(error)}; {MEND}"
            continue
        for (path,) in differing:
            known = sum_path(store.root / path).is_file()
            yield path, f"the index's table {table} differs from {path}; {MEND if known else _UNSURE}"


def _unranked(fresh: Path) -> Iterator[Problem]:
    """The tasks of runs that lack accuracies, of the metric that the run ranks by, of networks of theirs."""
    with duckdb.connect(str(fresh), read_only=True) as connection:
        for run, task, metric, lacking in connection.execute(_LACKING).fetchall():
            yield (
                None,
                f"{lacking:,} networks of {task} in run {run} have no {metric} accuracy any more: restore the "
                "files of accuracies, or import or train them again",
            )


_LACKING = """
SELECT s.run, s.task, t.metric, count(*)
FROM split AS s JOIN tasks AS t USING (run, task)
ANTI JOIN (SELECT space || ':' || dataset AS task, metric, arch FROM accuracies) AS a
ON a.task = s.task AND a.metric = t.metric AND a.arch = s.arch
GROUP BY s.run, s.task, t.metric ORDER BY ALL
"""
_UNSURE = (
    "the file is of an earlier zcsr and has no checksum: where it is damaged, restore it from a copy, for the "
    "index is right; else `zcsr store rebuild` makes the index anew"
)
MEND = "`zcsr store rebuild` makes the index anew"
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
