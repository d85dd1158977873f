"""Rows in a terminal: a table where it fits, with long texts folded where that helps, else one block a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zcsr.cli.console import data
from zcsr.cli.visible import visible

if TYPE_CHECKING:
    import polars

FOLDED_WIDTH = 24
"""Columns that are wider than this may be folded, though not to less."""

FOLDED_LINES = 4
"""Lines that a folded text may take before a table of its row is harder to read than a block."""

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is shown; numbers stand to the right."""

    name: str
    cells: tuple[str, ...]
    numeric: bool = False

    @property
    def width(self) -> int:
        """Terminal columns that the widest cell takes, the longest word of the name included."""
        return max(map(cell_len, (*self.heading.splitlines(), *self.cells)))

    @property
    def heading(self) -> str:
        """The name, broken after an underscore where the cells are narrower."""
        words = self.name.replace("_", "_ ").split()
        room = max(map(cell_len, (*words, *self.cells)), default=0)
        lines: list[str] = []
        for word in words:
            if lines and len(lines[-1] + word) <= room:
                lines[-1] += word
            else:
                lines.append(word)
        return "\n".join(lines)

    @property
    def constant(self) -> bool:
        """Whether several rows all have the same cell."""
        return len(self.cells) > 1 and len(set(self.cells)) == 1


def cell(value: object) -> str:
    """Return a value as text of one line: four significant digits, times to the second, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(" ", timespec="seconds")
    return visible(" ".join(str(value).split()))


def layout(columns: Sequence[Column], width: int) -> RenderableType:
    """Return the rows in the most compact form that shows every cell whole within `width`.

    That is a table; a table without the columns that are the same in all rows, which are told before it; the
    same with long texts folded; a block a row where texts are long, and several tables where there are none.
    """
    if _fits(columns, width):
        return _table(columns)
    varying = [column for column in columns if not column.constant] or list(columns)
    common = [f"{column.name} {column.cells[0]}" for column in columns if column not in varying]
    head = [Text("  ".join(common), style="dim")] if common else []
    return Group(*head, _rest(varying, width))


def print_rows(frame: polars.DataFrame) -> None:
    """Print a data frame's rows."""
    print_columns(
        [
            Column(visible(name), tuple(map(cell, frame[name].to_list())), kind.is_numeric())
            for name, kind in frame.schema.items()
        ]
    )


def print_columns(columns: Sequence[Column]) -> None:
    """Print rows that are given by their columns."""
    console = data()
    console.print(layout(columns, console.width))


def _fits(columns: Sequence[Column], width: int) -> bool:
    return sum(column.width + GAP for column in columns) - GAP <= width


def _rest(columns: Sequence[Column], width: int) -> RenderableType:
    if _fits(columns, width):
        return _table(columns)
    if all(column.width <= FOLDED_WIDTH for column in columns):
        return _bands(columns, width)
    folded = _folded([column.width for column in columns], width - GAP * (len(columns) - 1))
    if folded is None or _lines(columns, folded) > FOLDED_LINES:
        return _records(columns)
    return _table(columns, folded, apart=1)


def _bands(columns: Sequence[Column], width: int) -> RenderableType:
    """Several tables, one below the other, that all begin with the first column."""
    key, *others = columns
    bands = [[key]]
    for column in others:
        if len(bands[-1]) > 1 and not _fits([*bands[-1], column], width):
            bands.append([key])
        bands[-1].append(column)
    return Group(*(part for band in bands for part in (_table(band), "")))


def _folded(widths: Sequence[int], room: int) -> list[int] | None:
    """Narrow the wide columns, the widest first, until all fit; None when they do not even at their narrowest."""
    fixed = sum(width for width in widths if width <= FOLDED_WIDTH)
    wide = sorted(width for width in widths if width > FOLDED_WIDTH)
    if room - fixed < FOLDED_WIDTH * len(wide) or not wide:
        return None
    left = room - fixed
    for position, width in enumerate(wide):
        widest = left // (len(wide) - position)
        if width > widest:
            return [width if width <= FOLDED_WIDTH else min(width, widest) for width in widths]
        left -= width
    return list(widths)


def _lines(columns: Sequence[Column], widths: Sequence[int]) -> int:
    return max(
        math.ceil(cell_len(text) / width)
        for column, width in zip(columns, widths, strict=True)
        for text in ("", *column.cells)
    )


def _table(columns: Sequence[Column], widths: Sequence[int] | None = None, apart: int = 0) -> Table:
    """Return a table of columns of these widths, or else of their own; `apart` empty lines part the rows."""
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold", leading=apart)
    for column, width in zip(columns, widths or [column.width for column in columns], strict=True):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        table.add_column(Text(column.heading), justify=justify, width=width, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _records(columns: Sequence[Column]) -> Table:
    """Names at the left, values at the right, an empty line between the rows."""
    table = Table.grid(padding=(0, GAP))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for number, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if number:
            table.add_row()
        for column, text in zip(columns, row, strict=True):
            table.add_row(Text(column.name), Text(text))
    return table
