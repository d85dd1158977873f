"""SQL that only reads: what a user's statement may be, judged from DuckDB's own parse of it.

A statement's type is not enough, because DuckDB lets a SELECT write: `WITH x AS (COPY ... TO 'file')`, and
functions such as `enable_logging`. So every query node of the parsed tree must be one that reads, and every table
function one of those named here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from zcsr.errors import InputError

READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_settings",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "generate_subscripts",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "range",
        "regexp_split_to_table",
        "repeat",
        "unnest",
    }
)

_ONLY_READS = "zcsr query only reads: SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)"
_EXPLAIN = re.compile(
    rf"{_SPACE}*EXPLAIN\b{_SPACE}*(?:ANALYZE\b|\({_SPACE}*(?:ANALYZE|FORMAT)\b[^()]*\))?", re.IGNORECASE | re.DOTALL
)


def check_reads_only(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise InputError unless `sql` is one statement that reads, and cannot do anything else.

    Nothing is run. The message says what the statement is where it would write.
    """
    if _only_statement(connection, sql) == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains, so that must only read, too.
        prefix = _EXPLAIN.match(sql)
        sql = sql[prefix.end() :] if prefix else ""
        if _only_statement(connection, sql) != "SELECT":
            raise InputError(f"only statements that read can be explained; {_ONLY_READS}")
    _check_tree(_parsed(connection, sql))


def one_line(error: Exception) -> str:
    """What DuckDB says of an error, without its kind and its picture of the place, on one line."""
    text = re.split(r"\n\s*LINE \d+:", str(error))[0]
    text = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", text)
    return " ".join(text.split())


def _only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The type of the one statement of `sql`: SELECT or EXPLAIN."""
    try:
        statements = connection.extract_statements(sql)
        kinds = [_name(statement.type) for statement in statements]
    except duckdb.Error as error:
        raise InputError(f"cannot read the SQL: {one_line(error)}") from error
    except ValueError as error:  # a statement that DuckDB's own Python knows no name for, such as UPDATE EXTENSIONS
        raise InputError(f"the SQL is no statement that reads; {_ONLY_READS}") from error
    if not kinds:
        raise InputError(f"there is no SQL statement in {sql!r}; {_ONLY_READS}")
    writing = [kind for kind in kinds if kind not in ("SELECT", "EXPLAIN")]
    if writing:
        raise InputError(f"{writing[0]} would write; {_ONLY_READS}")
    if len(kinds) > 1:
        raise InputError(f"{len(kinds)} statements given; zcsr query runs one at a time")
    return kinds[0]


def _name(kind: Any) -> str:
    name = str(getattr(kind, "name", kind)).rpartition(".")[2]
    return {"MULTI": "PIVOT as a statement", "CALL": "CALL or CHECKPOINT"}.get(name, name)


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The statement's tree, as DuckDB serialises it; a SELECT that it cannot serialise is refused."""
    (row,) = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()
    tree = json.loads(row[0])
    if tree["error"]:
        raise InputError(f"cannot check that the SQL only reads: {tree.get('error_message')}; {_ONLY_READS}")
    return tree["statements"]


def _check_tree(tree: Any) -> None:
    for node in _objects(tree):
        kind = node.get("type")
        is_query = "cte_map" in node or str(kind).endswith("_NODE")
        if is_query and kind not in READING_NODES:
            raise InputError(f"{str(kind).split('_')[0]} within WITH would write; {_ONLY_READS}")
        if kind == "TABLE_FUNCTION":
            _check_table_function(str(node["function"].get("function_name", "")).lower())


def _check_table_function(name: str) -> None:
    if name not in TABLE_FUNCTIONS:
        raise InputError(
            f"the table function '{name}' is not open to queries; use the tables of the store "
            f"(SHOW TABLES lists them) or one of {', '.join(sorted(TABLE_FUNCTIONS))}"
        )


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
