"""What a table is: what a row means, its columns, the files that feed it, and what a user sees of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias, cast, get_args

Type: TypeAlias = Literal["VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "TIMESTAMP", "BOOLEAN", "VARCHAR[]", "DOUBLE[]"]
Rows: TypeAlias = Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]]

_PART = re.compile(r"\\{(\w+)\\}|\\\*")  # of an escaped pattern
_LIKE = {"generation": r"\d+"}
"""What the values of columns look like in paths, where that is not any name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its type, by its name in SQL, and what a value means."""

    name: str
    type: Type
    meaning: str


def columns(text: str, known: Mapping[str, Iterable[Column]] | None = None) -> tuple[Column, ...]:
    """The columns that a text tells, one a line: name, type and meaning, where a deeper line goes on.

    A line may have names of `known` ones instead, or of groups of these.
    """
    told: list[Column] = []
    for line in textwrap.dedent(text).strip().replace("\n    ", " ").splitlines():
        name, *rest = line.split(maxsplit=2)
        if rest and rest[0] in get_args(Type):
            told.append(Column(name, cast(Type, rest[0]), rest[1]))
        else:
            told += (column for name in line.split() for column in (known or {})[name])
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Source:
    """Files of one kind that feed a table.

    pattern: of their paths in the store; `{name}` stands for what the column of that name says, `*` for anything
    given: columns that are not in a file as such, each as an SQL expression over its columns
    rows: of JSON files, from an object with what the path says to the rows; these may hold more than the columns
    optional: whether it may be missing where others of its folder are there
    head: whether its folder counts for nothing without it
    """

    pattern: str
    given: Mapping[str, str] = field(default_factory=dict)
    rows: Rows | None = None
    optional: bool = False
    head: bool = False

    @property
    def said(self) -> tuple[str, ...]:
        """The columns whose values the path says."""
        return tuple(expression(self.pattern).groupindex)


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """What paths of a pattern, or a part of one, look like; a group of a column's name is what says its value."""

    def group(part: re.Match[str]) -> str:
        return f"(?P<{part[1]}>{_LIKE.get(part[1], '[^/]+')})" if part[1] else "[^/]+"

    return re.compile(_PART.sub(group, re.escape(pattern)))


def mute(pattern: str) -> str:
    """The pattern that matches the same paths and has names only for what does not look like any name."""
    return re.sub(r"\{(\w+)\}", lambda part: part[0] if part[1] in _LIKE else "*", pattern)


def said(pattern: str, path: str) -> dict[str, str]:
    """What a path of that pattern says of columns, by their names."""
    match = expression(pattern).fullmatch(path)
    return match.groupdict() if match else {}


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what one row is, and all else that there is to know of it.

    columns: those that a user sees
    sources: the files that feed it; none for a view on other tables, and for what comes with zcsr
    view: the SQL of what a user sees, where that is not simply what is stored
    in_place: whether its files are read whenever a query asks for them, and not copied into the index
    hidden: whether no user sees it
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    sources: tuple[Source, ...] = ()
    view: str = ""
    in_place: bool = False
    hidden: bool = False

    @property
    def stored(self) -> bool:
        """Whether the index holds a copy of it."""
        return bool(self.sources) and not self.in_place

    @property
    def ddl(self) -> str:
        """Its columns with their types, as SQL."""
        return ", ".join(f"{column.name} {column.type}" for column in self.columns)

    def in_file(self, source: Source) -> tuple[Column, ...]:
        """The columns that a file of that source holds."""
        return tuple(column for column in self.columns if column.name not in (*source.said, *source.given))

    def selected(self, source: Source) -> str:
        """What is read from the file for each column, as SQL: `r` is its row, `l` what its path says."""
        given = {**{name: f"l.{name}" for name in source.said}, **source.given}
        return ", ".join(f"{given.get(one.name, f'r.{one.name}')} AS {one.name}" for one in self.columns)
