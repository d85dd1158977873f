"""Rows to markdown: tables, code and numbers in the few forms that the reports use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import polars as pl

Formatter = Callable[[object], str]

MISSING = "–"

# An underscore inside a word means nothing in the markdown of GitHub.
_MEANINGFUL = re.compile(r"[\\`*|<>\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")

# How a column is shown follows from its name, since one name means one thing in every query.
_DECIMALS = {"tau": 3, "kendall": 3, "spearman": 3, "fitness": 3, "accuracy": 2, "share": 3, "seconds": 2}
_PROGRAM_COLUMNS = {"text", "example", "program", "normal_form", "sympy"}
_CODE = frozenset(_PROGRAM_COLUMNS | {"arch", "task", "evolved_on", "tested_on", "images", "collection"})


def escape(text: str) -> str:
    """`text` as plain words of one table cell: characters with a meaning in markdown stand for themselves."""
    return _MEANINGFUL.sub(r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """`text` as inline code, safe in a table cell, with fences longer than any run of backticks inside."""
    text = " ".join(text.split()).replace("|", "\\|")
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(len(run) for run in _runs(text, "`")))
    return f"{fence} {text} {fence}"


def number(value: float, decimals: int) -> str:
    """`value` with that many decimals; a dash for NaN, a real minus sign, never a negative zero."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def significant(value: float, digits: int = 4) -> str:
    """`value` with that many significant digits, for quantities without a scale of their own (scores, say)."""
    return f"{value:.{digits}g}".replace("-", "−") if math.isfinite(value) else number(value, 0)


def cell(value: object, column: str = "") -> str:
    """One value as the text of a table cell, by the name of its column."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if isinstance(value, float):
        decimals = _decimals(column)
        return significant(value) if decimals is None else number(value, decimals)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item, column) for item in value)
    return code(str(value)) if column in _CODE else escape(str(value))


def shortened_code(value: object, width: int = 80) -> str:
    """A long program as inline code, cut after `width` characters."""
    text = str(value)
    return code(text if len(text) <= width else f"{text[: width - 1]}…")


def table(frame: pl.DataFrame, formats: Mapping[str, Formatter] | None = None) -> str:
    """A markdown table of `frame`; `formats` overrule, by column, how `cell` shows a value."""
    return rows_table(frame.columns, frame.rows(), formats, right=_numeric_columns(frame))


def rows_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    formats: Mapping[str, Formatter] | None = None,
    right: frozenset[str] = frozenset(),
) -> str:
    """A markdown table of `rows` under `columns`, those in `right` aligned to the right."""
    show = {name: (formats or {}).get(name, lambda value, name=name: cell(value, name)) for name in columns}
    body = [[show[name](value) for name, value in zip(columns, row, strict=True)] for row in rows]
    header = [escape(name.replace("_", " ")) for name in columns]
    rule = ["---:" if name in right else "---" for name in columns]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *body])


def _decimals(column: str) -> int | None:
    words = column.lower().split("_")
    return next((_DECIMALS[word] for word in words if word in _DECIMALS), None)


def _numeric_columns(frame: pl.DataFrame) -> frozenset[str]:
    return frozenset(name for name, kind in frame.schema.items() if kind.is_numeric())


def _runs(text: str, character: str) -> list[str]:
    edges = [index for index in range(len(text) + 1) if index in (0, len(text)) or text[index - 1] != text[index]]
    return [text[start:end] for start, end in pairwise(edges) if text[start] == character]
