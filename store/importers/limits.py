"""How much of a file that a user holds is read: an ordinary file, and no more than memory is meant to take.

Files from elsewhere may say that they are larger than they are, unpack to much more than they are, or never end.
What they come to is found out before they are read, or while they are, and never by trusting what they say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from zcsr.errors import InputError
from zcsr.store.sql.connection import as_it_is
from zcsr.store.sql.types import identifier
from zcsr.store.tables.frames import first_line

MOST_BYTES = 4 << 30
"""Bytes that one file, or one folder of pictures, may come to in memory unless another limit is given."""

_most: ContextVar[int] = ContextVar("most bytes", default=MOST_BYTES)
_PART = 1 << 22
_LONGEST = 300
"""Letters of what a library says that a message shows."""
_VALUE = 16
"""Bytes that a value of a table is taken to need besides those of its text."""


@contextmanager
def at_most(count: int | None) -> Iterator[None]:
    """Let files come to `count` bytes in memory, to `MOST_BYTES` where that is None, while this lasts."""
    token = _most.set(MOST_BYTES if count is None else count)
    try:
        yield
    finally:
        _most.reset(token)


def check_bytes(name: object, count: int) -> None:
    """Raise InputError where something comes to more bytes than are read."""
    if count > (most := _most.get()):
        raise InputError(
            f"{name} is not read: unpacked it has {count:,} bytes or more, and at most {most:,} are taken into "
            "memory; --max-bytes raises the limit"
        )


def content_of(path: Path) -> bytes:
    """The bytes of an ordinary file; InputError where it cannot be read, is none, or has too many."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read {path}: it is no ordinary file")
        check_bytes(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def short(error: BaseException) -> str:
    """Return what a library's error says, where a message has room for it."""
    return first_line(error)[:_LONGEST]


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def unpacked(name: object, stream: _Stream) -> bytes:
    """The bytes that a stream gives, read until there are too many of them: then InputError."""
    parts, count = [], 0
    while part := stream.read(_PART):
        count += len(part)
        check_bytes(name, count)
        parts.append(part)
    return b"".join(parts)


def read_parquet(path: Path) -> pl.DataFrame:
    """The rows of a Parquet file; InputError where it cannot be read, or its rows come to too many bytes.

    A page of a few bytes can stand for any number of rows, so their bytes are counted first, a few thousand rows
    at a time. DuckDB reads both times: polars ends the process where some pages are damaged.
    """
    try:
        with duckdb.connect() as connection:
            relation = connection.read_parquet(str(path).translate(_NO_PATTERN))
            columns = zip(relation.columns, relation.types, strict=True)
            sizes = [_size(identifier(name), str(kind)) for name, kind in columns]
            (row,) = relation.aggregate(f"coalesce(sum({' + '.join(sizes) or '0'}), 0)").fetchall()
            check_bytes(path, int(row[0]))
            return as_it_is(relation)
    except (duckdb.Error, pl.exceptions.PolarsError, RuntimeError) as error:  # the last where a name is no text
        raise InputError(f"cannot read {path}: {short(error)}") from error


_NO_PATTERN = {ord(sign): f"[{sign}]" for sign in "*?["}


def _size(column: str, kind: str) -> str:
    """SQL for the bytes of a row's value."""
    if kind == "BLOB":
        return f"coalesce(octet_length({column}), 0) + {_VALUE}"
    if kind == "VARCHAR" or kind.startswith(("ENUM", "STRUCT", "MAP", "UNION")) or kind.endswith("]"):
        return f"coalesce(strlen({column}::VARCHAR), 0) + {_VALUE}"
    return str(_VALUE)
