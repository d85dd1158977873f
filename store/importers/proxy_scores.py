"""Scores that others computed of known proxies, from tables that a user holds.

`proxy_scores/<space>/<dataset>/<source>.parquet`, one row a proxy and architecture, as published benchmarks give
(`zcsr.store.importers.benchmark_files`). Importing the same table again changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.errors import InputError, StoreError
from zcsr.spaces import SearchSpace, dataset_shape, get_space
from zcsr.store.importers.user_tables import (
    Cell,
    ImportReport,
    check_column,
    is_empty,
    listed,
    number,
    read_table,
    taken_cells,
)
from zcsr.store.kept.accuracies import DUPLICATE, UNKNOWN_ARCH, check_name
from zcsr.store.kept.atomic import exclusive, write_parquet
from zcsr.store.kept.checksums import is_there
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import PROXY_SCORES
from zcsr.store.tables.frames import frame_of, schema_of

EMPTY = "empty score"
NOT_A_NUMBER = "score not a number"

_SCHEMA = schema_of(PROXY_SCORES)


@dataclass(frozen=True, slots=True)
class ScoresReport(ImportReport):
    """How many scores were taken and left out, and of which proxies."""

    proxies: tuple[str, ...]


def import_scores(
    store: Store,
    table: Path,
    *,
    source: str,
    space: str,
    dataset: str,
    arch_column: str = "arch",
    columns: Sequence[str] = (),
    skip_bad: bool = False,
) -> ScoresReport:
    """Import a Parquet or CSV table with a row an architecture and a column a proxy, under a name of its source.

    `columns` are the proxies', every column of floats when there are none (in CSV: of numbers that are not all
    whole). Empty cells are left out and counted; NaN and infinities are taken as they are. Every architecture must
    be a known one and come once, and every other cell hold a number; otherwise InputError names the first bad one
    and nothing is written, unless `skip_bad` leaves them out and counts them (the first of duplicates is kept).

    Of one source a proxy has one score an architecture: imported again it replaces what was there, and all else
    that the source gave before stays.
    """
    known = get_space(space)
    dataset_shape(known, dataset)
    check_name("source", source, allow_dash=True)
    frame = read_table(table)
    for column in (arch_column, *columns):
        check_column(table, frame, column)
    proxies = tuple(dict.fromkeys(columns)) or _float_columns(table, frame, arch_column)
    cells = _cells(known, frame, arch_column, proxies)
    good, skipped = taken_cells(table, cells, "scores", EMPTY, skip_bad)
    if not good:
        raise InputError(f"{table} has no score to import in {', '.join(proxies)} ({frame.height} rows)")
    rows = [(source, space, dataset, cell.key, cell.arch, cell.value) for cell in good]
    _write(store, frame_of(_SCHEMA, rows), space, dataset, source)
    return ScoresReport(len(good), skipped, proxies)


def _float_columns(table: Path, frame: pl.DataFrame, arch_column: str) -> tuple[str, ...]:
    columns = tuple(name for name in frame.columns if name != arch_column and _is_float(frame[name]))
    if not columns:
        raise InputError(
            f"{table} has no column of floats beside {arch_column!r}: name the proxies' with --column; it has "
            f"{listed(frame.columns)}"
        )
    return columns


def _is_float(column: pl.Series) -> bool:
    """Whether a column holds floats; in text, numbers of which one at least is not whole."""
    if column.dtype != pl.String:
        return column.dtype.is_float()
    numbers = [number(value) for value in column.to_list() if not is_empty(value)]
    return None not in numbers and not all(one is not None and one.is_integer() for one in numbers)


def _cells(space: SearchSpace, frame: pl.DataFrame, arch_column: str, proxies: Sequence[str]) -> list[Cell]:
    seen: set[str] = set()
    cells = []
    for row, (arch, *values) in enumerate(frame.select(arch_column, *proxies).iter_rows(), start=1):
        refused = _refusal(space, arch, seen)
        seen.add(str(arch))
        for proxy, value in zip(proxies, values, strict=True):
            score = number(value)
            problem = refused or _problem(proxy, value, score) or (None, "")
            cells.append(Cell(row, str(arch), proxy, math.nan if score is None else score, *problem))
    return cells


def _refusal(space: SearchSpace, arch: Any, seen: set[str]) -> tuple[str, str] | None:
    try:
        space.index(str(arch))
    except InputError as error:
        return UNKNOWN_ARCH, str(error)
    return (DUPLICATE, str(arch)) if arch in seen else None


def _problem(proxy: str, value: Any, score: float | None) -> tuple[str, str] | None:
    if is_empty(value):
        return EMPTY, ""
    return (NOT_A_NUMBER, f"column {proxy!r} holds {value!r}") if score is None else None


def _write(store: Store, new: pl.DataFrame, space: str, dataset: str, source: str) -> None:
    folder = store.proxy_scores_dir / space / dataset
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{source}.parquet"
    with exclusive(folder):
        before = _read(path) if is_there(path) else pl.DataFrame(schema=_SCHEMA)
        kept = before.join(new, on=["proxy", "arch"], how="anti")
        whole = pl.concat([kept, new]).sort("proxy", "arch")
        if not whole.equals(before):
            write_parquet(whole, path)


def _read(path: Path) -> pl.DataFrame:
    try:
        return read_parquet(path, list(_SCHEMA))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(f"cannot read {path}: {error}; delete it and import the scores again") from error
