"""Named SQL queries over a store, one `.sql` file a table.

A file begins with comments: one line for lists, what a row means, with units, and a line for each parameter,

    -- brief: run: the finalists, and how they rank
    -- A finalist of a run: its role, ...
    -- parameter: run TEXT 'latest' the run, or the one started last

which is `$run` in the SQL. A parameter that is used and not declared, or declared and not used, is refused when
the file is loaded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["GROUPS", "Parameter", "Query", "QueryError", "load", "names", "read"]

Value = str | int | float

TYPES: Mapping[str, Callable[[str], Value]] = {"TEXT": str, "INTEGER": int, "DOUBLE": float}
"""The types that a parameter may have, and how one is read from text."""

GROUPS: Mapping[str, str] = {
    "run": "Of one run",
    "runs": "Of all runs",
    "scores": "Of scores apart from runs",
    "searches": "Of searches",
    "store": "Of all else in the store",
}
"""What a query may be about, with the words for it, in the order of lists."""

_BRIEF = re.compile(r"brief: (?P<group>\w+): (?P<brief>\S.*)")
_KINDS = {"TEXT": "a text", "INTEGER": "a whole number", "DOUBLE": "a number"}
_PARAMETER = re.compile(r"parameter: (?P<name>\w+) (?P<type>\w+) (?P<default>'[^']*'|\S+) (?P<doc>\S.*)")
_NOT_SQL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_USED = re.compile(r"\$([A-Za-z_]\w*)")


class QueryError(ValueError):
    """A query, parameter or value that does not exist or does not fit; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query: its type, the value it has when none is given, and what it means."""

    name: str
    type: str
    default: Value
    doc: str

    def value(self, given: object) -> Value:
        """What was given, as text or as a value of the type. Raises QueryError for anything else."""
        return _typed(self.name, self.type, str(given))


@dataclass(frozen=True, slots=True)
class Query:
    """A named query: its group and what it shows in brief, what a row of it means, its SQL, its parameters."""

    name: str
    group: str
    brief: str
    doc: str
    sql: str
    parameters: tuple[Parameter, ...]

    def values(self, given: Mapping[str, object] | None = None) -> dict[str, Value]:
        """The value of every parameter: what is given, or else its default.

        Raises QueryError for a name that the query does not have, and for a value that is not of the type.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        values = {name: parameter.default for name, parameter in known.items()}
        for name, value in (given or {}).items():
            if name not in known:
                has = ", ".join(known) or "none"
                raise QueryError(f"query {self.name} has no parameter '{name}' (it has {has}){_hint(name, known)}")
            values[name] = known[name].value(value)
        return values


def names() -> tuple[str, ...]:
    """The names of the queries, sorted."""
    entries = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".sql") for name in entries if name.endswith(".sql")))


@cache
def load(name: str) -> Query:
    """The query of that name. Raises QueryError, suggesting a name, when there is none."""
    if name not in names():
        hint = _hint(name, names()) or f"; there are {', '.join(names())}"
        raise QueryError(f"no query named '{name}'{hint}")
    return read(name, files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8"))


def read(name: str, text: str) -> Query:
    """The query that a file's text stands for. Raises QueryError where its comments and its SQL do not fit."""
    comments, sql = _parted(text)
    group, brief = _brief(name, comments.pop(0) if comments else "")
    doc = " ".join(line for line in comments if not line.startswith("parameter:"))
    if not doc:
        raise QueryError(f"query {name} does not say what a row means; begin the file with a comment")
    parameters = tuple(_parameter(name, line) for line in comments if line.startswith("parameter:"))
    _check_parameters(name, [parameter.name for parameter in parameters], _used(sql))
    return Query(name, group, brief, doc, sql, parameters)


def _brief(query: str, line: str) -> tuple[str, str]:
    match = _BRIEF.fullmatch(line)
    if match is None or match["group"] not in GROUPS:
        raise QueryError(
            f"query {query} begins with '-- {line}'; write '-- brief: GROUP: what it shows', with a group of "
            f"{', '.join(GROUPS)}"
        )
    return match["group"], match["brief"]


def _parted(text: str) -> tuple[list[str], str]:
    """The lines of the leading comment, without their marks, and the SQL that follows."""
    lines = text.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    comments = [line.removeprefix("--").strip() for line in lines[:count]]
    return [line for line in comments if line], "\n".join(lines[count:]).strip() + "\n"


def _parameter(query: str, line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None or match["type"] not in TYPES:
        raise QueryError(
            f"query {query}: cannot read '-- {line}'; "
            f"write '-- parameter: name type default meaning', with a type of {', '.join(TYPES)}"
        )
    default = _typed(match["name"], match["type"], match["default"].strip("'"))
    return Parameter(match["name"], match["type"], default, match["doc"])


def _check_parameters(query: str, declared: list[str], used: set[str]) -> None:
    for name in declared:
        if declared.count(name) > 1:
            raise QueryError(f"query {query} declares parameter {name} twice")
        if name not in used:
            raise QueryError(f"query {query} declares parameter {name} and never uses it")
    for name in sorted(used - set(declared)):
        raise QueryError(f"query {query} uses ${name} without a line '-- parameter: {name} ...'")


def _used(sql: str) -> set[str]:
    return set(_USED.findall(_NOT_SQL.sub(" ", sql)))


def _typed(name: str, kind: str, text: str) -> Value:
    try:
        return TYPES[kind](text)
    except ValueError:
        raise QueryError(f"parameter {name} is {_KINDS[kind]}, not '{text}'") from None


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
