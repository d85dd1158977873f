"""Tables of numbers that users hold, Parquet or CSV: read, judged cell by cell, and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.errors import InputError, nearest


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many rows of a table were taken, and how many were left out, by reason."""

    taken: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a user's table, rows counted from 1.

    key: what it is of besides the architecture: a seed, or a proxy
    problem: why it cannot be taken, None when it can; `detail` is what was seen
    """

    row: int
    arch: str
    key: str | int
    value: float
    problem: str | None = None
    detail: str = ""


def read_table(table: Path) -> pl.DataFrame:
    """The rows of a Parquet or CSV table, the latter's as text; InputError where it cannot be read."""
    suffix = table.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise InputError(f"cannot import {table}: the name must end in .parquet or .csv")
    if not table.is_file():
        raise InputError(f"cannot import {table}: there is no such file")
    try:
        if suffix == ".csv":  # as text, so that one bad cell is one bad row
            return pl.read_csv(table, infer_schema=False)
        return pl.read_parquet(table, glob=False)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        line = str(error).strip().partition("\n")[0]
        raise InputError(f"cannot read {table}: {line or type(error).__name__}") from error


def check_column(table: Path, frame: pl.DataFrame, column: str) -> None:
    """Raise InputError, with the nearest one, where a table has no such column."""
    if column in frame.columns:
        return
    suggestion = nearest(column, frame.columns)
    raise InputError(f"{table} has no column {column!r}: it has {', '.join(frame.columns)}{suggestion}")


def source_name(name: str, otherwise: str) -> str:
    """What the store calls the origin of rows from a file of that name; `otherwise` where nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".") or otherwise


def number(value: Any) -> float | None:
    """The number in a cell, NaN where it is empty, None where it holds something else."""
    if is_empty(value):
        return float("nan")
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def taken_cells(
    table: Path, cells: Sequence[Cell], what: str, empty: str, skip_bad: bool
) -> tuple[list[Cell], dict[str, int]]:
    """The cells that can be taken, and how many cannot, by reason.

    InputError about the first bad one, unless `skip_bad` leaves them out as those with the problem `empty` always
    are. `what` is what the message calls the cells.
    """
    bad = [cell for cell in cells if cell.problem not in (None, empty)]
    if bad and not skip_bad:
        counts = ", ".join(f"{reason}: {count}" for reason, count in Counter(one.problem for one in bad).items())
        raise InputError(
            f"{table}, row {bad[0].row}: {bad[0].problem} ({bad[0].detail}); {len(bad)} of {len(cells)} {what} "
            f"cannot be taken ({counts}) and nothing was imported; mend them, or leave them out with --skip-bad"
        )
    return (
        [cell for cell in cells if cell.problem is None],
        dict(Counter(cell.problem for cell in cells if cell.problem is not None)),
    )
