"""DuckDB's types as polars has them; what polars has no type for, or no value of, becomes DuckDB's text of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import polars as pl

_KEPT = frozenset(
    {
        *("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"),
        *("float", "double", "decimal", "varchar", "enum", "uuid"),
    }
)
"""The types without parts whose every value polars holds, by DuckDB's names."""

TEXT = "VARCHAR"
MAX_DEPTH = 20
"""Types within each other; deeper ones become text."""


def type_for_polars(kind: Any, depth: int = 0) -> str:
    """The type, in SQL, that values of a DuckDB type are cast to for polars: their own, or one with text in it.

    A column of a type that is held in part (`is_held_in_part`) keeps it, as `is_held` can only be told afterwards.
    """
    if kind.id in _KEPT or (depth == 0 and is_held_in_part(kind)):
        return str(kind)
    if depth > MAX_DEPTH or not (parts := _PARTS.get(kind.id)):
        return TEXT
    return parts(kind, depth + 1)


def _list(kind: Any, depth: int) -> str:
    return f"{type_for_polars(dict(kind.children)['child'], depth)}[]"


def _array(kind: Any, depth: int) -> str:
    return f"{type_for_polars(dict(kind.children)['child'], depth)}[{dict(kind.children)['size']}]"


def _struct(kind: Any, depth: int) -> str:
    if not kind.children:
        return TEXT
    parts = (f"{identifier(name)} {type_for_polars(inner, depth)}" for name, inner in kind.children)
    return f"STRUCT({', '.join(parts)})"


def _map(kind: Any, depth: int) -> str:
    key, value = dict(kind.children)["key"], dict(kind.children)["value"]
    return f"MAP({TEXT}, {type_for_polars(value, depth)})" if key.id in _KEPT else TEXT  # JSON has keys of text


_PARTS: Mapping[str, Callable[[Any, int], str]] = {"list": _list, "array": _array, "struct": _struct, "map": _map}


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


_EPOCH = date(1970, 1, 1)
_DAYS = ((date.min - _EPOCH).days, (date.max - _EPOCH).days)
_MICROSECONDS = (_DAYS[0] * 86_400_000_000, (_DAYS[1] + 1) * 86_400_000_000 - 1)

_HELD: Mapping[str, tuple[int, int]] = {
    "date": _DAYS,
    "timestamp": _MICROSECONDS,
    "timestamp with time zone": _MICROSECONDS,
    "hugeint": (1 - 10**38, 10**38 - 1),
}
"""The least and the greatest value that polars, Python and Parquet have of a type, in its units."""


def is_held_in_part(kind: Any) -> bool:
    """Whether a type has values that polars and Python do not."""
    return kind.id in _HELD


def is_held(kind: Any, column: pl.Series) -> bool:
    """Whether each value of a column that is held in part is one that polars and Python have."""
    numbers = column if column.dtype.is_decimal() else column.to_physical()
    least, greatest = _HELD[kind.id]
    ends: tuple[Any, Any] = (numbers.min(), numbers.max())
    return ends[0] is None or (least <= ends[0] and ends[1] <= greatest)
