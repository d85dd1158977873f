"""What a benchmark reports: rows of the one table, further tables, and remarks; as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COLUMNS = ("what", "reference", "ours", "ratio", "limit", "target", "verdict")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; what is not there is an empty text.

    `ratio` says how many times less ours takes than the reference; `limit` what no implementation gets below on
    this machine; `met` whether the target is, None where there is none.
    """

    what: str
    reference: str = ""
    ours: str = ""
    ratio: float | None = None
    limit: str = ""
    target: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts under `COLUMNS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}x" if self.ratio < 100 else f"{self.ratio:.0f}x"
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        return (self.what, self.reference, self.ours, ratio, self.limit, self.target, verdict)


@dataclass(frozen=True, slots=True)
class Table:
    """Any other table, under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found; `remarks` say how, in whole sentences."""

    rows: Sequence[Row]
    remarks: Sequence[str] = ()
    tables: Sequence[Table] = field(default=())


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are as wide as their longest cell."""
    texts = [tuple(cell.replace("|", "\\|") for cell in row) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts]
    lines.insert(1, " | ".join("-" * max(3, width) for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def document(reports: Sequence[Report]) -> str:
    """The one table of all rows, then the further tables and the remarks."""
    parts = [markdown(COLUMNS, (row.cells for report in reports for row in report.rows))]
    for report in reports:
        parts += [f"{table.title}\n\n{markdown(table.columns, table.rows)}" for table in report.tables]
    remarks = [f"- {remark}" for report in reports for remark in report.remarks]
    return "\n\n".join([*parts, "\n".join(remarks)] if remarks else parts)


def seconds(value: float) -> str:
    """A duration in the unit that suits it, to three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{_digits(value / size)} {unit}"
    return f"{_digits(value * 1e9)} ns"


def size(value: float) -> str:
    """A number of bytes in MB or GB (powers of ten), to three digits."""
    return f"{_digits(value / 1e9)} GB" if value >= 1e9 else f"{_digits(value / 1e6)} MB"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
