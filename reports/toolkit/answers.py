"""What a report is made of: the answers of named queries, each with the command that prints it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from zcsr.reports.toolkit.markdown import Formatter, table
from zcsr.reports.toolkit.phrases import phrase
from zcsr.store import Store, named


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of the query `name`, and the command that prints them as markdown. Make one with `ask`."""

    name: str
    frame: pl.DataFrame
    command: str

    @property
    def made_by(self) -> str:
        """The line that says which query made a table and which command prints it."""
        return phrase("made_by", name=self.name, command=self.command)

    def showing(self, frame: pl.DataFrame) -> Answer:
        """The same with rows made from the query's."""
        return replace(self, frame=frame)

    def shown(self, formats: Mapping[str, Formatter] | None = None, drop: Sequence[str] = ()) -> str:
        """The rows as a table with the command that prints them; `drop` names columns not shown here."""
        rows = phrase("no_rows") if self.frame.is_empty() else table(self.frame.drop(drop), formats)
        return f"{rows}\n\n{self.made_by}"


def ask(store: Store, name: str, given: Mapping[str, object]) -> Answer:
    """The answer of a named query with these parameters."""
    pairs = [word for key, value in given.items() for word in ("--parameter", f"{key}={value}")]
    command = shlex.join(("zcsr", "query", name, *pairs, "--format", "markdown"))
    return Answer(name, named(store, name, given), command)
