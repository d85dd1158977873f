"""Rows to markdown: tables, code and numbers in the few forms that the reports use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import polars as pl

Formatter = Callable[[Any], str]

MISSING = "–"

# An underscore inside a word means nothing in the markdown of GitHub.
_MEANINGFUL = re.compile(r"[\\`*|<>\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")

# How a column is shown follows from its name, since one name means one thing in every query.
_DECIMALS = {"tau": 3, "kendall": 3, "spearman": 3, "fitness": 3, "accuracy": 2, "share": 3, "seconds": 2}
_PROGRAM_COLUMNS = {"text", "example", "program", "normal_form", "sympy"}
_CODE = frozenset(_PROGRAM_COLUMNS | {"arch", "task", "evolved_on", "tested_on", "images", "collection"})


def escape(text: str) -> str:
    """`text` as plain words of one table cell: characters with a meaning in markdown stand for themselves."""
    return _MEANINGFUL.sub(r"\\\g<0>", unwrapped(text))


def unwrapped(text: str) -> str:
    """`text` on one line, with single spaces."""
    return " ".join(text.split())


def listed(words: Iterable[str]) -> str:
    """One word or more as an enumeration: commas between them, and an "and" before the last."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def bullets(texts: Iterable[str]) -> str:
    """Each text on a line of its own, as a markdown list."""
    return "\n".join(f"- {unwrapped(text)}" for text in texts)


def code(text: str) -> str:
    """`text` as inline code, safe in a table cell, with fences longer than any run of backticks inside."""
    text = unwrapped(text).replace("|", "\\|")
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", text))))
    return f"{fence} {text} {fence}"


def number(value: float | None, decimals: int) -> str:
    """`value` with that many decimals; a dash for none and for NaN, a real minus sign, never a negative zero."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def decimals(count: int) -> Formatter:
    """A formatter that gives a column's numbers so many decimals."""
    return partial(number, decimals=count)


def interval(low: float | None, high: float | None) -> str:
    """The ends of a correlation's interval in words; a dash where there is none."""
    return MISSING if low is None else f"{number(low, 3)} to {number(high, 3)}"


def significant(value: float | None, digits: int = 4) -> str:
    """`value` with that many significant digits, for quantities without a scale of their own (scores, say)."""
    if value is None or not math.isfinite(value):
        return number(value, 0)
    return f"{value:.{digits}g}".replace("-", "−")


def cell(value: object, column: str = "") -> str:
    """One value as the text of a table cell, by the name of its column."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if isinstance(value, float):
        decimals = next((_DECIMALS[word] for word in column.lower().split("_") if word in _DECIMALS), None)
        return significant(value) if decimals is None else number(value, decimals)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item, column) for item in value)
    return code(str(value)) if column in _CODE else escape(str(value))


def shortened_code(text: str | None, width: int = 80) -> str:
    """A long program as inline code, cut after `width` characters; a dash for none."""
    if text is None:
        return MISSING
    return code(text if len(text) <= width else f"{text[: width - 1]}…")


def table(frame: pl.DataFrame, formats: Mapping[str, Formatter] | None = None) -> str:
    """A markdown table of `frame`; `formats` overrule, by column, how `cell` shows a value."""
    show = [(formats or {}).get(name, partial(cell, column=name)) for name in frame.columns]
    body = [[shown(value) for shown, value in zip(show, row, strict=True)] for row in frame.iter_rows()]
    header = [escape(name.replace("_", " ")) for name in frame.columns]
    rule = ["---:" if kind.is_numeric() else "---" for kind in frame.dtypes]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *body])
