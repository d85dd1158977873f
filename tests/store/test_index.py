"""The index: it says what the files say, survives anything, and lets nobody write."""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import store_samples as samples
from scipy import stats

from zcsr.errors import InputError, StoreError
from zcsr.evolve.config import EvolveConfig
from zcsr.language.text import parse
from zcsr.store.kept.checksums import remove, sum_path
from zcsr.store.kept.runs import open_run
from zcsr.store.kept.scan import scan
from zcsr.store.kept.store import Store
from zcsr.store.sql import index as index_module
from zcsr.store.sql import shipped
from zcsr.store.sql.connection import quoted
from zcsr.store.sql.functions import kendall, kendall_interval, kendall_of_top, partial_spearman, spearman
from zcsr.store.sql.index import connect, named, query, rebuild, verify
from zcsr.store.tables import declarations
from zcsr.store.tables.declarations import BY_NAME, TABLES
from zcsr.store.tables.frames import POLARS

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")
SEEN = [table.name for table in TABLES if table.sources and table.name != "tested"]
DERIVED = [table.name for table in TABLES if table.view and not table.sources]
SHIPPED = ["published", "named_programs"]


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "empty", create=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A filled store that no test changes, with an index."""
    filled = samples.filled_store(tmp_path_factory.mktemp("kept"))
    rebuild(filled)
    return filled


@pytest.fixture
def store(tmp_path: Path, kept: Store) -> Store:
    """A filled store of the test's own, with an index."""
    shutil.copytree(kept.root, tmp_path / "store", copy_function=shutil.copy2)
    return Store.open(tmp_path / "store")


def everything(store: Store) -> dict[str, list[str]]:
    """All rows of all tables, in an order that does not depend on the index."""
    try:
        with connect(store) as connection:
            return {table: sorted(map(repr, connection.frame(f"FROM {table}").rows())) for table in SEEN}
    except index_module.DamagedIndex:
        query(store, "SELECT 1")
        return {table: sorted(map(repr, query(store, f"FROM {table}").rows())) for table in SEEN}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the index."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in files if "index.duckdb" not in path.name}


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


# What the tables say


def test_an_empty_store_has_every_table_empty(empty: Store) -> None:
    assert sorted(query(empty, "SHOW TABLES")["name"]) == sorted((*SEEN, *DERIVED, *SHIPPED))
    for table in (*SEEN, *DERIVED):
        assert query(empty, f"FROM {table}").height == 0


def test_the_columns_are_the_same_with_and_without_rows(empty: Store, kept: Store) -> None:
    for table in (*SEEN, *DERIVED, *SHIPPED):
        described = f"SELECT column_name, column_type FROM (DESCRIBE {table})"
        assert query(empty, described).rows() == query(kept, described).rows()


def test_a_users_columns_are_the_declared_ones(empty: Store) -> None:
    for table in declarations.SEEN:
        described = query(empty, f"SELECT column_name, column_type FROM (DESCRIBE {table.name})").rows()
        assert described == [(column.name, column.type) for column in table.columns]


def test_each_type_is_one_in_polars_and_in_the_index(empty: Store) -> None:
    for table in declarations.SEEN:
        expected = {column.name: POLARS[column.type] for column in table.columns}
        assert dict(query(empty, f"FROM {table.name}").schema) == expected


def test_runs_have_a_column_for_each_parameter() -> None:
    columns = {column.name for column in BY_NAME["runs"].columns}
    assert set(EvolveConfig.__dataclass_fields__) <= columns


def test_rows_are_those_of_the_records(kept: Store) -> None:
    generations = [samples.generation(number) for number in range(3)]
    of_first = "WHERE run = 'first'"
    assert query(kept, f"SELECT count(*) FROM scores {of_first} AND role = 'evolve'").item() == sum(
        len(one.scores) for one in generations
    )
    fitnesses = query(kept, f"SELECT fitness FROM individuals {of_first} ORDER BY generation, slot")["fitness"]
    assert fitnesses.to_list() == [i.fitness for one in generations for i in one.individuals]
    taus = query(kept, f"SELECT sum(tau) AS tau FROM taus {of_first}").item()
    assert taus == pytest.approx(sum(t for g in generations for i in g.individuals for t in i.taus.values()))
    probes = query(
        kept,
        f"SELECT probe_values FROM programs {of_first} AND generation = 1 AND program = $id",
        {"id": generations[1].programs[0].program.id},
    ).item()
    assert tuple(probes) == generations[1].programs[0].probe_values
    counters = query(kept, f"SELECT counter, value FROM counters {of_first} AND generation = 2")
    assert dict(counters.rows()) == dict(generations[2].counters)
    assert query(kept, f"SELECT seconds FROM generations {of_first} ORDER BY generation")["seconds"].to_list() == [
        1.5,
        2.5,
        3.5,
    ]
    draws = query(kept, f"SELECT task, arch FROM draws {of_first} AND generation = 0 ORDER BY task, position")
    assert draws.rows() == [(task, arch) for task in TASKS for arch in generations[0].draws[task]]
    rejections = query(kept, f"SELECT text, count FROM rejections {of_first} AND generation = 1")
    assert set(rejections.rows()) == {(one.text, one.count) for one in generations[1].rejections}


def test_a_run_is_one_row_with_its_config_and_its_tasks(kept: Store) -> None:
    row = query(kept, "FROM runs WHERE run = 'first'").row(0, named=True)
    assert (row["status"], row["command"], row["zcsr"]) == ("running", "zcsr 'a b'", "0.1")
    assert row["started"] == open_run(kept, "first").info().started.replace(tzinfo=None)
    assert {name: row[name] for name in EvolveConfig.__dataclass_fields__} == {
        name: getattr(samples.CONFIG, name) for name in EvolveConfig.__dataclass_fields__
    }
    tasks = query(kept, "SELECT task, metric, evolve_networks, test_networks FROM tasks WHERE run = 'first'")
    assert tasks.rows() == [(task, "test", 12, 10) for task in TASKS]
    split = query(kept, "SELECT arch FROM split WHERE run = 'first' AND role = 'test' AND task = $1", [TASKS[0]])
    assert tuple(split["arch"]) == samples.TEST


def test_a_program_that_was_only_tested_is_among_the_programs(kept: Store) -> None:
    text = "fro(sigmoid(logdet(sign(T1G_D))))"
    row = query(kept, "SELECT generation, size, height FROM programs WHERE run = 'first' AND text = $1", [text])
    assert row.rows() == [(None, 5, 4)]
    known = query(kept, "SELECT count(*), count(DISTINCT program) FROM programs WHERE run = 'first'").row(0)
    assert known[0] == known[1]


def test_test_scores_and_accuracies_meet(kept: Store) -> None:
    joined = query(
        kept,
        "SELECT count(*) FROM scores JOIN tasks USING (run, task) JOIN accuracies USING (task, metric, arch) "
        "WHERE role = 'test' AND accuracies.seed = 1",
    ).item()
    assert joined == 2 * 4 * len(TASKS) * len(samples.TEST)


def test_collections_and_summaries(kept: Store) -> None:
    row = query(kept, "FROM collections").row(0, named=True)
    assert (row["images"], row["batch_size"], row["pattern"], row["noise_variance"]) == ("cifar10", 1, "rcb", 0.01)
    assert query(kept, "SELECT DISTINCT collection FROM summaries").item() == row["collection"]
    assert query(kept, "SELECT count(*) FROM summaries").item() == 4 * 5 * 2


# Keeping up with the files


def test_the_index_follows_new_changed_and_vanished_files(store: Store) -> None:
    count = "SELECT count(*) FROM individuals WHERE run = 'first'"
    before = query(store, count).item()
    run = open_run(store, "first")
    run.append(samples.generation(3))
    assert query(store, count).item() == before + len(samples.generation(3).individuals)
    run.set_status("finished", 3.0)
    assert query(store, "SELECT status, seconds FROM runs WHERE run = 'first'").rows() == [("finished", 3.0)]
    assert query(store, "SELECT count(*) FROM tasks WHERE run = 'first'").item() == 2
    samples.write_statistics(store, ("another",))
    assert query(store, "SELECT DISTINCT arch FROM summaries WHERE arch = 'another'").height == 1
    shutil.rmtree(store.runs_dir / "second")
    assert query(store, "SELECT run FROM runs").rows() == [("first",)]
    assert query(store, "SELECT DISTINCT run FROM scores").rows() == [("first",)]
    assert verify(store) == []
    shutil.rmtree(store.accuracies_dir)
    assert query(store, "FROM accuracies").height == 0
    lost = "22 networks of {} in run first have no test accuracy any more"
    assert all(line.startswith(lost.format(task)) for line, task in zip(verify(store), TASKS, strict=True))


def test_only_what_changed_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    query(store, "SELECT 1")
    taken: list[str] = []
    real = index_module._take

    def spy(connection: object, store: Store, files: dict[int, object]) -> None:
        taken.extend(str(file.path) for file in files.values())  # type: ignore[attr-defined]
        real(connection, store, files)  # type: ignore[arg-type]

    monkeypatch.setattr(index_module, "_take", spy)
    query(store, "SELECT 1")
    assert taken == []
    open_run(store, "first").append(samples.generation(3))
    query(store, "SELECT 1")
    assert len(taken) == 7
    assert all(path.startswith("runs/first/generations/0003/") for path in taken)


def test_half_written_files_are_not_seen(store: Store) -> None:
    before = everything(store)
    generation = store.runs_dir / "first" / "generations"
    shutil.copytree(generation / "0000", generation / ".tmp-1-ab-0003")
    shutil.copy(next((store.runs_dir / "first" / "tests").iterdir()), store.runs_dir / "first/tests/.tmp-x.parquet")
    shutil.copytree(store.runs_dir / "first", store.runs_dir / ".tmp-1-ab-third")
    (store.runs_dir / "no-run").mkdir()
    assert everything(store) == before


def test_deleting_the_index_changes_no_answer(store: Store) -> None:
    before = everything(store)
    assert [table for table in SEEN if not before[table]] == ["evaluated", "run_columns", "rivals"]  # of fronts
    store.index_path.unlink()
    assert everything(store) == before
    rebuild(store)
    assert everything(store) == before


def test_an_index_grown_step_by_step_equals_one_made_at_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    samples.write_accuracies(store)
    for number in range(3):
        samples.write_run(store, f"run{number}", seed=number, generations=0, test=False)
        for generation in range(2):
            open_run(store, f"run{number}").append(samples.generation(generation, number))
            query(store, "SELECT 1")
    grown = everything(store)
    rebuild(store)
    assert everything(store) == grown


def test_a_store_may_move_and_have_any_name(store: Store, tmp_path: Path) -> None:
    before = everything(store)
    moved = tmp_path / "it's [a] sto*re, {moved}"
    store.root.rename(moved)
    assert everything(Store.open(moved)) == before


def test_nothing_but_the_index_is_written(store: Store) -> None:
    before = tree(store.root)
    everything(store)
    rebuild(store)
    verify(store)
    assert tree(store.root) == before
    assert [path.name for path in store.root.iterdir() if "index" in path.name] == ["index.duckdb"]


# An index that cannot be used


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\0" * 100_000])
def test_a_corrupt_index_is_made_anew(store: Store, content: bytes) -> None:
    before = everything(store)
    store.index_path.write_bytes(content)
    assert any("rebuild" in problem for problem in verify(store))
    assert everything(store) == before
    assert verify(store) == []


def test_an_index_damaged_inside_never_ends_in_a_traceback(store: Store) -> None:
    before = everything(store)
    content = bytearray(store.index_path.read_bytes())
    for offset in range(12 * 1024, len(content), 512):
        content[offset] ^= 0xFF
    store.index_path.write_bytes(bytes(content))
    assert verify(store) != []
    assert everything(store) == before


def test_an_index_of_another_version_is_made_anew(store: Store) -> None:
    before = everything(store)
    with duckdb.connect(str(store.index_path)) as connection:
        connection.execute("UPDATE index_schema SET version = 999")
    assert everything(store) == before


def test_a_foreign_database_in_its_place_is_made_anew(store: Store) -> None:
    before = everything(store)
    store.index_path.unlink()
    with duckdb.connect(str(store.index_path)) as connection:
        connection.execute("CREATE TABLE files (nothing INTEGER)")
    assert everything(store) == before


def test_what_is_in_the_index_and_not_in_the_files_is_found(store: Store) -> None:
    query(store, "SELECT 1")
    with duckdb.connect(str(store.index_path)) as connection:
        connection.execute("UPDATE taus SET tau = 1 WHERE run = 'first' AND generation = 1 AND slot = 0")
        connection.execute("DELETE FROM accuracies WHERE arch = 'test-3'")
    problems = verify(store)
    assert any("taus differs from runs/first/generations/0001/taus.parquet" in problem for problem in problems)
    assert sum("accuracies differs" in problem for problem in problems) == 2
    assert all("zcsr store rebuild" in problem for problem in problems)
    rebuild(store)
    assert verify(store) == []


LOCK = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
time.sleep(120)
"""


def test_an_index_locked_by_another_process_is_no_obstacle(store: Store) -> None:
    before = everything(store)
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(store.index_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert everything(store) == before
        open_run(store, "first").append(samples.generation(3))
        assert query(store, "SELECT max(generation) FROM individuals").item() == 3
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    assert query(store, "SELECT max(generation) FROM individuals").item() == 3


def test_a_log_left_beside_the_index_is_not_applied_to_a_new_one(store: Store) -> None:
    before = everything(store)
    log = store.index_path.with_name("index.duckdb.wal")
    log.write_bytes(b"left by another program")
    assert everything(store) == before
    open_run(store, "first").append(samples.generation(3))
    assert query(store, "SELECT max(generation) FROM individuals").item() == 3
    assert not log.exists()


def test_a_reader_keeps_its_answers_while_others_refresh(store: Store) -> None:
    last = "SELECT max(generation) FROM individuals WHERE run = 'first'"
    with connect(store) as early:
        open_run(store, "first").append(samples.generation(3))
        with connect(store) as late:
            assert late.frame(last).item() == 3
            assert early.frame(last).item() == 2
            rebuild(store)
            assert early.frame(last).item() == 2


CONCURRENT = """
import sys
from pathlib import Path
from zcsr.store.sql.index import query
from zcsr.store.kept.store import Store
store = Store.open(Path(sys.argv[1]))
for _ in range(5):
    rows = query(store, "SELECT run, count(*) AS count FROM individuals GROUP BY run ORDER BY run").rows()
    rows = [row for row in rows if not row[0].startswith("new")]
    assert rows in ([("first", 18), ("second", 18)], [("first", 24), ("second", 18)]), rows
print("fine")
"""


def test_processes_may_query_while_the_store_grows(store: Store) -> None:
    command = [sys.executable, "-c", CONCURRENT, str(store.root)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    open_run(store, "first").append(samples.generation(3))
    for number in range(4):
        rebuild(store)
        samples.write_run(store, f"new{number}", seed=number, generations=1)
        query(store, "SELECT 1")
    for reader in readers:
        assert reader.communicate(timeout=120) == ("fine\n", "")
    assert verify(store) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs folders that refuse this user")
def test_a_store_that_cannot_be_written_is_read_all_the_same(store: Store) -> None:
    before = everything(store)
    store.index_path.unlink()
    store.root.chmod(0o500)
    try:
        assert everything(store) == before
    finally:
        store.root.chmod(0o700)


def test_where_the_index_cannot_be_written_a_temporary_one_serves(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = everything(store)
    store.index_path.unlink()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index_module, "_probe_writable", refused)
    assert everything(store) == before
    assert not store.index_path.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("zcsr-index-")] == []


# Files that cannot be read


@pytest.mark.parametrize(
    "path",
    [
        "accuracies/nasbench201/cifar10/test-made.parquet",
        "runs/first/run.json",
        "runs/first/split.parquet",
        "runs/first/generations/0001/generation.parquet",
        "runs/first/generations/0002/scores.parquet",
    ],
)
def test_a_damaged_file_is_named(store: Store, path: str) -> None:
    file = store.root / path
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(StoreError, match=path.rpartition("/")[2]):
        query(store, "SELECT 1")
    (problem,) = verify(store)
    assert str(file) in problem
    assert "\n" not in problem


def test_a_file_with_other_columns_is_named(store: Store) -> None:
    file = store.root / "runs/first/generations/0001/taus.parquet"
    pl.read_parquet(file).rename({"tau": "other"}).write_parquet(file)
    sum_path(file).unlink()
    with pytest.raises(StoreError, match=r"0001/taus\.parquet"):
        query(store, "SELECT 1")


def test_a_damaged_summary_is_a_store_error_for_those_who_read_it(store: Store) -> None:
    shard = next(store.statistics_dir.rglob("summary-0.parquet"))
    shard.write_bytes(b"PAR1 rubbish")
    assert query(store, "SELECT count(*) FROM runs").item() == 2
    with pytest.raises(StoreError, match=r"summary-0\.parquet.*damaged"):
        query(store, "SELECT avg(mean) FROM SUMMARIES")
    sum_path(shard).unlink()
    with pytest.raises(StoreError, match=r"summary-0\.parquet.*zcsr store verify"):
        query(store, "SELECT avg(mean) FROM summaries")


def test_gaps_in_a_run_are_found(store: Store) -> None:
    shutil.rmtree(store.runs_dir / "first/generations/0001")
    remove(store.runs_dir / "second/generations/0002/taus.parquet")
    remove(store.runs_dir / "second/split.parquet")
    assert verify(store) == [
        "runs/first/generations/0001 is missing, though later generations are there",
        "runs/second/split.parquet is missing",
        "runs/second/generations/0002/taus.parquet is missing",
    ]


# Nobody writes


WRITING = [
    "INSERT INTO runs (run) VALUES ('x')",
    "UPDATE runs SET run = 'x'",
    "DELETE FROM runs",
    "TRUNCATE runs",
    "MERGE INTO runs USING tasks ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE runs",
    "DROP VIEW runs",
    "ALTER TABLE runs ADD COLUMN x INTEGER",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TEMP TABLE x (a INTEGER)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE OR REPLACE VIEW runs AS SELECT 1",
    "CREATE MACRO f(a) AS a",
    "COPY runs TO '{file}'",
    "COPY (SELECT 1) TO '{file}' (FORMAT parquet)",
    "COPY runs FROM '{file}'",
    "EXPORT DATABASE '{file}'",
    "IMPORT DATABASE '{file}'",
    "ATTACH '{file}' AS x",
    "DETACH stored",
    "USE stored",
    "INSTALL httpfs",
    "LOAD json",
    "SET threads = 1",
    "SET VARIABLE x = 1",
    "RESET threads",
    "PRAGMA threads = 1",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CHECKPOINT",
    "UPDATE EXTENSIONS",
    "UPDATE EXTENSIONS (json)",
    "FORCE INSTALL json",
    "CREATE SECRET (TYPE s3)",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "PREPARE x AS SELECT 1",
    "COMMENT ON TABLE stored.runs IS 'x'",
    "SELECT 1; DROP TABLE stored.runs",
    "DROP TABLE stored.runs; SELECT 1",
    "SELECT 1; SELECT 2",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE INSERT INTO stored.runs (run) VALUES ('x')",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{file}'",
    "/* a */ explain -- b\n analyze /* c */ copy (select 1) to '{file}'",
    "WITH x AS (COPY (SELECT 1) TO '{file}') FROM x",
    "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{file}') SELECT 1",
    "FROM (WITH x AS (COPY (SELECT 1) TO '{file}') FROM x)",
    "WITH x AS (INSERT INTO stored.runs (run) VALUES ('x') RETURNING run) FROM x",
    "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{file}') FROM x",
    "FROM query('WITH x AS (COPY (SELECT 1) TO ''{file}'') FROM x')",
    "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (COPY (SELECT 1) TO ''{file}'') FROM x'))",
    "FROM enable_logging(storage = 'file', storage_path = '{file}')",
    "FROM enable_profiling()",
    "FROM checkpoint()",
]


@pytest.mark.parametrize("sql", WRITING)
def test_sql_that_would_write_is_refused_and_writes_nothing(kept: Store, sql: str) -> None:
    inside = next(kept.statistics_dir.iterdir()) / "written"
    before, index = tree(kept.root), kept.index_path.read_bytes()
    with connect(kept) as connection, pytest.raises(InputError) as caught:
        connection.frame(sql.replace("{file}", str(inside)))
    assert "\n" not in str(caught.value)
    assert tree(kept.root) == before
    assert kept.index_path.read_bytes() == index


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO runs (run) VALUES ('x')", "INSERT would write; zcsr query only reads"),
        ("COPY runs TO 'x'", "COPY would write; zcsr query only reads"),
        ("SELECT 1; DROP TABLE runs", "DROP would write; zcsr query only reads"),
        ("SELECT 1; SELECT 2", "2 statements given; zcsr query runs one at a time"),
        ("", "there is no SQL statement"),
        ("-- nothing", "there is no SQL statement"),
        ("SELEC 1", "cannot read the SQL: syntax error"),
        ("SELECT 'a", "cannot read the SQL: unterminated"),
        ("SELECT nothing FROM runs", 'the SQL fails: .*"nothing" not found'),
        ("SELECT * FROM rnus", "Table with name rnus does not exist"),
        ("SELECT 'x'::INTEGER", "Could not convert string 'x'"),
        (
            "SELECT (CASE range WHEN 1500000 THEN 'x' ELSE '1' END)::INTEGER FROM range(2000000)",
            "Could not convert",
        ),
        ("SELECT $a::INTEGER", "the SQL fails: .*"),
        ("FROM read_csv('/etc/passwd')", "the table function 'read_csv' is not open to queries"),
        ("FROM glob('/*')", "the table function 'glob' is not open to queries"),
        ("FROM '/etc/passwd.csv'", "disabled by configuration"),
        ("FROM (PIVOT scores ON task USING avg(score))", "only reads"),
        ("SELECT kendall([1, 2], [1])", "lists of equal length, got 2 and 1 values"),
        ("SELECT kendall(1)", "kendall"),
        ("SELECT partial_spearman([1, 2], [1, 2], [1])", "three lists of equal length, got 2 and 2 and 1"),
        ("SELECT kendall_of_top([1, 2], [1, 2], 1.5)", "fraction must be above 0 and at most 1, got 1.5"),
    ],
)
def test_errors_say_what_is_wrong_on_one_line(kept: Store, sql: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        query(kept, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS x",
        "select 1 as x;",
        "FROM (VALUES (1)) AS v(x)",
        "VALUES (1)",
        "WITH a AS (SELECT 1 AS x) FROM a",
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 3) FROM a",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
        "TABLE runs",
        "DESCRIBE runs",
        "DESCRIBE SELECT * FROM scores",
        "SHOW TABLES",
        "SUMMARIZE accuracies",
        "EXPLAIN SELECT * FROM scores",
        "EXPLAIN ANALYZE SELECT * FROM scores",
        "EXPLAIN (FORMAT json) FROM scores",
        "/* why */ SELECT * -- all\nFROM runs",
        "SELECT 'INSERT; COPY x TO y' AS text",
        "SELECT * FROM range(3) AS r(i), unnest([1, 2]) AS u(j)",
        "UNPIVOT (SELECT seed, mu FROM runs) ON seed, mu",
        "SELECT count(*) FROM summaries",
        "FROM duckdb_tables() LIMIT 1",
        "SELECT x.run FROM runs AS x WHERE EXISTS (SELECT 1 FROM tasks AS t WHERE t.run = x.run)",
    ],
)
def test_sql_that_reads_is_admitted(kept: Store, sql: str) -> None:
    assert query(kept, sql).width >= 1


def test_python_variables_are_no_tables(kept: Store) -> None:
    frame = pl.DataFrame({"a": [1]})
    assert frame.height == 1
    with pytest.raises(InputError, match="frame"):
        query(kept, "FROM frame")


# From SQL to polars


def test_types_are_kept(kept: Store) -> None:
    row = query(
        kept,
        "SELECT 1::TINYINT AS tiny, 1::BIGINT AS big, 1.5::DOUBLE AS double, 'nan'::DOUBLE AS nan, "
        "NULL::DOUBLE AS none, true AS truth, 'é' AS text, DATE '2026-11-24' AS day, "
        "TIMESTAMP '2026-11-24 08:00:00.5' AS moment, 12.34::DECIMAL(10, 2) AS decimal, "
        "[1.0, NULL]::DOUBLE[] AS list, "
        "{'a': 1, 'b': ['x']} AS struct, INTERVAL 90 MINUTE AS span, '101'::BIT AS bits, []::VARCHAR[] AS nothing",
    )
    assert row.schema["tiny"] == pl.Int8
    assert row.schema["big"] == pl.Int64
    assert row.schema["decimal"] == pl.Decimal(10, 2)
    assert row.schema["moment"] == pl.Datetime("us")
    assert row.schema["list"] == pl.List(pl.Float64)
    values = row.row(0, named=True)
    assert np.isnan(values.pop("nan"))
    assert values == {
        "tiny": 1,
        "big": 1,
        "double": 1.5,
        "none": None,
        "truth": True,
        "text": "é",
        "day": datetime.date(2026, 11, 24),
        "moment": datetime.datetime(2026, 11, 24, 8, 0, 0, 500_000),
        "decimal": Decimal("12.34"),
        "list": [1.0, None],
        "struct": {"a": 1, "b": ["x"]},
        "span": "01:30:00",
        "bits": "101",
        "nothing": [],
    }


def test_columns_of_one_name_are_told_apart(kept: Store) -> None:
    frame = query(kept, 'SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS "say ""a""", 5 AS a_2')
    assert len(set(frame.columns)) == 5
    assert frame.row(0) == (1, 2, 3, 4, 5)


def test_thousands_of_columns_of_one_name_take_seconds(kept: Store) -> None:
    started = time.monotonic()
    frame = query(kept, f"SELECT {', '.join(['1 AS a'] * 3000)}")
    assert frame.columns[:3] == ["a", "a_2", "a_3"]
    assert frame.width == len(set(frame.columns)) == 3000
    assert time.monotonic() - started < 10
    with pytest.raises(InputError, match="gives 10,001 columns, at most 10,000"):
        query(kept, f"SELECT {', '.join(['1'] * 10_001)}")


# The least, the greatest and no value of every type there is
_ALL_TYPES = duckdb.sql("FROM test_all_types()").columns


@pytest.mark.parametrize("column", _ALL_TYPES)
def test_values_of_every_type_are_those_that_duckdb_writes(kept: Store, column: str) -> None:
    """`test_all_types` is not open to users, so its values are given as literals; the oracle is DuckDB's text."""
    (kind,) = duckdb.sql(f'SELECT "{column}" FROM test_all_types()').types
    texts = [text for (text,) in duckdb.sql(f'SELECT "{column}"::VARCHAR FROM test_all_types()').fetchall()]
    literals = ", ".join("NULL" if text is None else quoted(text) for text in texts)
    value = f"unnest([{literals}])::{kind}"
    column_ = query(kept, f"SELECT {value} AS x")["x"]
    if not column_.dtype.is_nested():
        again = duckdb.sql(f"SELECT CAST(unnest($texts) AS {kind})::VARCHAR", params={"texts": _words(column_)})
        assert again.fetchall() == duckdb.sql(f"SELECT ({value})::VARCHAR").fetchall()
    frame = column_.to_frame()
    assert len(json.loads(frame.write_json())) == len(texts)
    frame.write_parquet(written := io.BytesIO())
    written.seek(0)
    assert pl.read_parquet(written).equals(frame)


def _words(column: pl.Series) -> list[str | None]:
    values = column.to_list()
    return [None if one is None else f"{one:f}" if isinstance(one, Decimal) else str(one) for one in values]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("'\\xff'::BLOB", "\\xFF"),
        ("['\\xff'::BLOB]", ["\\xFF"]),
        ("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("DATE 'infinity'", "infinity"),
        ("DATE '10000-01-01'", "10000-01-01"),
        ("DATE '9999-12-31'", datetime.date(9999, 12, 31)),
        ("DATE '0001-01-01'", datetime.date(1, 1, 1)),
        ("TIMESTAMP '-infinity'", "-infinity"),
        ("TIMESTAMP '9999-12-31 23:59:59.999999'", datetime.datetime.max),
        ("TIMESTAMP '0001-01-01'", datetime.datetime.min),
        ("'infinity'::TIMESTAMP_NS", "infinity"),
        ("'infinity'::TIMESTAMPTZ", "infinity"),
        ("TIME '24:00:00'", "24:00:00"),
        ("union_value(a := 1)", "1"),
        ("{'a': DATE 'infinity', 'b': union_value(c := 2)}", {"a": "infinity", "b": "2"}),
        ("MAP {1: 2}", {"1": 2}),
        ("MAP {[1]: 2}", "{[1]=2}"),
        ("'a'::ENUM ('a', 'b')", "a"),
        ("1::VARIANT", "1"),
        ("NULL", None),
    ],
)
def test_what_polars_has_no_value_of_becomes_text(kept: Store, sql: str, expected: object) -> None:
    assert query(kept, f"SELECT {sql} AS x, 'infinity'::DATE AS x_2")["x"].to_list() == [expected]


def test_the_engine_is_locked_beside_the_check_of_statements(kept: Store, tmp_path: Path) -> None:
    """What the check would let pass still finds nothing open but the statistics of the store."""
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    (shard, *_) = scan(kept).summaries
    with connect(kept) as connection:
        engine = connection._connection
        assert engine.execute(f"SELECT count(*) FROM read_parquet('{shard}')").fetchall()
        for statement in (
            f"FROM read_csv('{outside}')",
            f"FROM read_text('{kept.root}/manifest.json')",
            f"FROM glob('{tmp_path}/*')",
            f"COPY (SELECT 1) TO '{tmp_path}/written'",
            f"ATTACH '{tmp_path}/other'",
            f"EXPORT DATABASE '{tmp_path}/written'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "FROM read_csv('https://localhost:1/a.csv')",
            "SET enable_external_access = true",
            "SET autoload_known_extensions = true",
            "SET lock_configuration = false",
            "SET temp_directory = '/tmp'",
            "CREATE PERSISTENT SECRET (TYPE s3)",
            "DELETE FROM stored.runs",
        ):
            with pytest.raises(duckdb.Error):
                engine.execute(statement)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["outside.csv"]


def test_what_does_not_fit_into_memory_is_not_put_where_the_user_is(kept: Store) -> None:
    with connect(kept) as connection:
        ((place,),) = connection.frame("SELECT value FROM duckdb_settings() WHERE name = 'temp_directory'").rows()
    assert Path(place).is_relative_to(tempfile.gettempdir())
    assert not Path(place).exists()


def test_parameters_by_name_and_by_place(kept: Store) -> None:
    assert query(kept, "SELECT $x::INTEGER + 1 AS y", {"x": "3"}).item() == 4
    assert query(kept, "SELECT ? || ?", ["a", "b"]).item() == "ab"
    assert query(kept, "SELECT len($list::DOUBLE[])", {"list": [1.0, 2.0]}).item() == 2
    with pytest.raises(InputError):
        query(kept, "SELECT $x", {"x": 1, "y": 2})


def test_a_connection_can_be_closed(kept: Store) -> None:
    connection = connect(kept)
    assert connection.frame("SELECT range AS n FROM range(3)").to_dict(as_series=False) == {"n": [0, 1, 2]}
    connection.close()
    connection.close()
    with pytest.raises(InputError, match="closed"):
        connection.frame("SELECT 1")


def test_a_connection_goes_on_after_an_error(kept: Store) -> None:
    with connect(kept) as connection:
        for _ in range(3):
            with pytest.raises(InputError):
                connection.frame("SELECT 'x'::INTEGER")
            assert connection.frame("SELECT 1").item() == 1


def test_named_queries_refuse_what_there_is_not(kept: Store) -> None:
    assert named(kept, "runs")["run"].to_list() == ["first", "second"]
    assert named(kept, "top_programs", {"run": "first", "count": "2"}).height == 2
    for name, given, message in (
        ("correlation", {}, "did you mean correlations"),
        ("runs", {"run": "x"}, "no parameter 'run'"),
        ("top_programs", {"count": "many"}, "whole number"),
    ):
        with pytest.raises(InputError, match=message):
            named(kept, name, given)


ENDINGS = {
    "closed": "query(store, 'SELECT kendall([1, 2], [2, 1])')",
    "open": "c = connect(store); c.frame('SELECT kendall([1, 2], [2, 1]), * FROM runs')",
    "failed": "c = connect(store)\ntry: c.frame('SELECT kendall([1], [2, 1])')\nexcept InputError as e: kept = e",
    "exit": "c = connect(store); c.frame('FROM runs'); raise SystemExit(0)",
    "kept": "c = connect(store); c.frame('SELECT kendall([1, 2], [2, 1])'); kept = c.frame('FROM scores')",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_in_silence(kept: Store, ending: str) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom zcsr.errors import InputError\n"
        "from zcsr.store.sql.index import connect, query\nfrom zcsr.store.kept.store import Store\n"
        f"store = Store.open(Path(sys.argv[1]))\n{ENDINGS[ending]}\n"
    )
    done = run_python(code, kept.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Rank correlations


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 17, 500])
def test_rank_correlations_agree_with_scipy_ties_included(kept: Store, seed: int, count: int) -> None:
    generator = np.random.default_rng([seed, count])
    x = generator.integers(0, max(2, count // 3), count).astype(float)
    y = generator.integers(0, max(2, count // 2), count).astype(float)
    with connect(kept) as connection:
        row = connection.frame(
            "SELECT kendall($x, $y) AS tau, spearman($x, $y) AS rho", {"x": x.tolist(), "y": y.tolist()}
        ).row(0)
    constant = len(set(x)) == 1 or len(set(y)) == 1
    expected = (None, None) if constant else (stats.kendalltau(x, y).statistic, stats.spearmanr(x, y).statistic)
    assert row == pytest.approx(expected, abs=1e-12)


def test_pairs_without_a_number_are_left_out() -> None:
    x = [1.0, None, 3.0, float("nan"), 2.0, 5.0, float("inf")]
    y = [2.0, 1.0, 1.0, 4.0, None, 6.0, 7.0]
    assert kendall(x, y) == pytest.approx(stats.kendalltau([1, 3, 5, 6], [2, 1, 6, 7]).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr([1, 3, 5, 6], [2, 1, 6, 7]).statistic)


@pytest.mark.parametrize(
    ("x", "y"),
    [(None, [1.0]), ([1.0], None), ([], []), ([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0]), ([None, 1.0], [1.0, None])],
)
def test_undefined_correlations_are_null(kept: Store, x: list[float] | None, y: list[float] | None) -> None:
    assert kendall(x, y) is None
    assert spearman(x, y) is None
    frame = query(kept, "SELECT kendall($x::DOUBLE[], $y::DOUBLE[]) AS k", {"x": x, "y": y})
    assert frame["k"].to_list() == [None]


def test_the_interval_is_the_percentiles_of_resampled_taus(kept: Store) -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=120)
    y = (x + generator.normal(size=120)).round(1)
    (interval,) = query(kept, "SELECT kendall_interval($x, $y) AS i", {"x": x.tolist(), "y": y.tolist()})["i"]
    draws = generator.integers(120, size=(4000, 120))
    taus = [stats.kendalltau(x[draw], y[draw]).statistic for draw in draws]
    assert list(interval) == pytest.approx(list(np.quantile(taus, [0.025, 0.975])), abs=0.015)


def test_the_interval_of_many_rows_has_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    x = generator.normal(size=60)
    y = x + generator.normal(size=60)
    usual = kendall_interval(x.tolist(), y.tolist())
    monkeypatch.setattr("zcsr.store.sql.functions.MANY", 50)
    draws = np.random.default_rng(0)
    samples = [draws.integers(60, size=60) for _ in range(200)]
    taus = [stats.kendalltau(x[draw], y[draw]).statistic for draw in samples]
    of_many = kendall_interval(x.tolist(), y.tolist())
    assert of_many == pytest.approx(list(np.quantile(taus, [0.025, 0.975])), abs=1e-12)
    assert of_many != usual


def test_tau_of_the_top_is_that_of_the_most_accurate(kept: Store) -> None:
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=40), generator.integers(0, 30, 40).astype(float)
    taken = y >= sorted(y)[-10]
    frame = query(kept, "SELECT kendall_of_top($x, $y, 0.25) AS k", {"x": x.tolist(), "y": y.tolist()})
    assert frame["k"].item() == pytest.approx(stats.kendalltau(x[taken], y[taken]).statistic, abs=1e-12)


def test_the_partial_correlation_is_that_of_residuals(kept: Store) -> None:
    generator = np.random.default_rng(6)
    control = generator.normal(size=50)
    x, y = control + generator.normal(size=50), control + generator.normal(size=50)
    of_x, of_y, of_control = (stats.rankdata(values) for values in (x, y, control))
    residuals = [ranks - np.polyval(np.polyfit(of_control, ranks, 1), of_control) for ranks in (of_x, of_y)]
    lists = {"x": x.tolist(), "y": y.tolist(), "c": control.tolist()}
    frame = query(kept, "SELECT partial_spearman($x, $y, $c) AS r", lists)
    assert frame["r"].item() == pytest.approx(np.corrcoef(*residuals)[0, 1], abs=1e-9)


def test_functions_beside_kendall_leave_out_what_it_leaves_out() -> None:
    nan = float("nan")
    x, y = [1.0, None, 3.0, nan, 2.0, 5.0], [2.0, 1.0, 1.0, 4.0, None, 6.0]
    assert kendall_of_top(x, y, 1.0) == kendall(x, y) == pytest.approx(1 / 3)
    assert partial_spearman(x, y, [7.0] * 6) == spearman(x, y)
    assert partial_spearman(x, y, [None] * 6) is None
    assert kendall_interval([1.0, nan], [1.0, 2.0]) is None
    assert kendall_interval(None, [1.0]) is None
    assert kendall_of_top(x, y, None) is None
    assert kendall_of_top(None, y, 0.5) is None


# What comes with zcsr


def test_an_older_store_has_what_comes_with_zcsr(store: Store) -> None:
    rebuild(store)
    assert query(store, "SELECT count(*) FROM published").item() == len(shipped.published_figures())
    text = "fro(sigmoid(logdet(sign(T1G_D))))"
    row = query(store, "SELECT text, program FROM named_programs WHERE name = 'eznas-a'").row(0)
    assert row == (text, parse(text).id)
    with pytest.raises(InputError, match="would write"):
        query(store, "DELETE FROM published")


def test_what_comes_with_zcsr_is_read_only_when_it_is_asked_for(kept: Store) -> None:
    code = """
    import sys
    from pathlib import Path
    from zcsr.store.sql.index import query
    from zcsr.store.kept.store import Store
    query(Store.open(Path(sys.argv[1])), "SELECT count(*) FROM runs")
    assert "torch" not in sys.modules
    """
    done = run_python(code, kept.root)
    assert (done.returncode, done.stderr) == (0, "")
