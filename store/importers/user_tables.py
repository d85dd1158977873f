"""Tables of numbers that users hold, Parquet or CSV: read, judged cell by cell, and counted."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.errors import InputError, nearest
from zcsr.store.importers.limits import content_of, read_parquet, short, unpacked


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
    """The rows of a table, those of a text as text; InputError where it cannot be read.

    A text is CSV, whatever separates its columns, or a JSON object a line, in UTF-8 or UTF-16; `.gz` is unpacked.
    Where semicolons separate columns, a comma within a number is its decimal point.
    """
    name = table.name.lower()
    packed = name.endswith(".gz")
    ending = Path(name.removesuffix(".gz")).suffix
    if ending not in _TEXTS and (packed or ending != ".parquet"):
        raise InputError(
            f"cannot import {table}: the name must end in .parquet, {', '.join(_TEXTS)}, or a text's ending and .gz"
        )
    if not table.is_file():
        raise InputError(f"cannot import {table}: there is no such file")
    try:
        if ending == ".parquet":
            return read_parquet(table)
        text = _decoded(_unpacked(table) if packed else content_of(table))
        if ending in _JSON_LINES:
            return pl.read_ndjson(text.encode())
        separator = _separator(text)
        # as text, so that one bad cell is one bad row
        frame = pl.read_csv(text.encode(), infer_schema=False, separator=separator)
        return frame.with_columns(pl.all().str.replace(*_DECIMAL_COMMA)) if separator == ";" else frame
    except (pl.exceptions.PolarsError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"cannot read {table}: {short(error)}") from error


_JSON_LINES = (".jsonl", ".ndjson")
_TEXTS = (".csv", ".tsv", ".txt", *_JSON_LINES)
_SHOWN, _LONGEST = 20, 40
"""In a message: how many names, and how long each."""
_SEPARATORS = ",;\t|"
_DECIMAL_COMMA = (r"^(\s*[-+]?\d+),(\d+)$", "$1.$2")


def _unpacked(table: Path) -> bytes:
    with gzip.open(table) as file:
        return unpacked(table, file)


def _decoded(content: bytes) -> str:
    """The text of a file: in UTF-16 where it has its mark or zeros in places of letters, or else in UTF-8."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be")
    return content.decode("utf-8-sig")


def _separator(text: str) -> str:
    """What separates the columns: of what the first line has outside quotation marks, the most frequent."""
    head = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(_SEPARATORS, key=head.count)


def check_column(table: Path, frame: pl.DataFrame, column: str) -> None:
    """Raise InputError, with the nearest one, where a table has no such column."""
    if column in frame.columns:
        return
    suggestion = nearest(column, [_shown(name) for name in frame.columns])
    raise InputError(f"{table} has no column {column!r}: it has {listed(frame.columns)}{suggestion}")


def listed(names: Sequence[str]) -> str:
    """Return names of a user's for a message: the first of them, none at a length that nobody would read."""
    shown = [_shown(name) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN:,} others" if len(names) > _SHOWN else "")


def _shown(name: str) -> str:
    """A name with what is no printing character as its number, and without its end where that is far."""
    printing = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name[:_LONGEST])
    return printing if len(name) <= _LONGEST else f"{printing}..."


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
