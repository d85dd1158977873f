"""Trained accuracies: tables imported from files, and rows that training adds.

`accuracies/<space>/<dataset>/<metric>-<source>.parquet`, one row an architecture and seed: space, dataset, metric,
arch, seed, accuracy (percent, 0 to 100), source. Importing the same table again replaces its file.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from zcsr.errors import InputError, StoreError, nearest
from zcsr.spaces import SearchSpace, dataset_shape, get_space
from zcsr.store.kept.atomic import is_temporary, write_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import ACCURACIES
from zcsr.store.tables.frames import frame_of, schema_of

SCHEMA = schema_of(ACCURACIES)
EMPTY = "empty accuracy"
NOT_A_NUMBER = "accuracy not a number"
OUT_OF_RANGE = "accuracy outside 0..100"
UNKNOWN_ARCH = "unknown architecture"
BAD_SEED = "seed not a whole number"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many rows of a table were taken, and how many were left out, by reason."""

    taken: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyTable:
    """Accuracies in percent, float64 [n], of `archs` in the space's canonical order."""

    archs: tuple[str, ...]
    accuracies: npt.NDArray[np.float64]
    metric: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the user's table; `problem` says why it cannot be taken, None when it can."""

    number: int
    arch: str
    seed: int
    accuracy: float
    problem: str | None
    detail: str = ""


def import_accuracies(
    store: Store,
    table: Path,
    *,
    space: str,
    dataset: str,
    arch_column: str = "arch",
    accuracy_column: str,
    metric: str = "test",
    seed: int = 0,
    seed_column: str | None = None,
    skip_bad: bool = False,
) -> ImportReport:
    """Import a Parquet or CSV table of accuracies in percent; its file name becomes the source.

    Rows with an empty accuracy (or NaN) are left out and counted. Every other row must hold a known
    architecture, once for a seed, and a number in 0..100; otherwise InputError names the first bad row and their
    count and nothing is written, unless `skip_bad` leaves them out and counts them (the first of duplicates is
    kept). Importing the same table again replaces what it gave before.
    """
    known = get_space(space)
    dataset_shape(known, dataset)
    check_name("metric", metric)
    frame = read_table(table)
    columns = [arch_column, accuracy_column, *([seed_column] if seed_column else [])]
    for column in columns:
        check_column(table, frame, column)
    seeds = frame[seed_column].to_list() if seed_column else [seed] * frame.height
    rows = _judged(known, frame[arch_column].to_list(), frame[accuracy_column].to_list(), seeds)
    _check_percent(table, accuracy_column, rows)
    _check_bad(table, rows, skip_bad)
    good = [row for row in rows if row.problem is None]
    if not good:
        raise InputError(f"{table} has no accuracy to import in column {accuracy_column!r} ({len(rows)} rows)")
    source = _source_of(table)
    _write(store, _frame(space, dataset, metric, good, source), source)
    return ImportReport(len(good), dict(Counter(row.problem for row in rows if row.problem is not None)))


def write_accuracies(store: Store, rows: Sequence[Mapping[str, Any]], source: str) -> None:
    """Add trained accuracies; each row has space, dataset, metric, arch, seed and accuracy (percent).

    The rows of one space, dataset and metric make one file, named after the architectures and seeds in it, so
    that processes never write to the same file unless they hold the same block. InputError on a row that cannot be
    taken.
    """
    check_name("source", source, allow_dash=True)
    frame = pl.DataFrame([{**row, "source": source} for row in rows], schema=SCHEMA, strict=True)
    for (space, dataset, metric), block in frame.group_by(["space", "dataset", "metric"], maintain_order=True):
        _check_block(str(space), str(dataset), str(metric), block)
        key = "\n".join(f"{arch} {seed}" for arch, seed in block.select("arch", "seed").sort("arch", "seed").rows())
        _write(store, block, f"{source}-{hashlib.sha256(key.encode()).hexdigest()[:12]}")


def accuracies(store: Store, space: str, dataset: str, metric: str = "test") -> AccuracyTable:
    """The accuracies of a task: one an architecture, the mean over its rows (seeds), in canonical order.

    InputError when there are none, naming what there is; StoreError when a file cannot be read.
    """
    known = get_space(space)
    frame = measurements(store, space, dataset, metric)
    if frame.is_empty():
        raise InputError(_none_message(store, space, dataset, metric))
    means = frame.group_by("arch").agg(pl.col("accuracy").mean())
    order = sorted(means.rows(), key=lambda row: known.index(row[0]))
    return AccuracyTable(
        archs=tuple(arch for arch, _ in order),
        accuracies=np.array([accuracy for _, accuracy in order], dtype=np.float64),
        metric=metric,
    )


def measurements(store: Store, space: str, dataset: str, metric: str = "test") -> pl.DataFrame:
    """Every accuracy of a task that the store has, with the columns of `SCHEMA`: a row a network, seed and source.

    StoreError when a file cannot be read.
    """
    files = _files(store.accuracies_dir / space / dataset, metric)
    return pl.concat(map(_read_stored, files)) if files else pl.DataFrame(schema=SCHEMA)


def accuracy_tables(store: Store) -> list[tuple[str, str, str]]:
    """What accuracies there are: sorted (space, dataset, metric)."""
    found = set()
    for file in store.accuracies_dir.glob("*/*/*.parquet"):
        if not is_temporary(file):
            found.add((file.parent.parent.name, file.parent.name, file.name.partition("-")[0]))
    return sorted(found)


def install_accuracies(store: Store, frame: pl.DataFrame, source: str) -> None:
    """Put a ready table with the columns of `SCHEMA` into the store, unless it is there already."""
    blocks = frame.select(list(SCHEMA)).cast(SCHEMA)
    for (space, dataset, metric), block in blocks.group_by(["space", "dataset", "metric"], maintain_order=True):
        _check_block(str(space), str(dataset), str(metric), block)
        path = _path(store, block, source)
        if not (path.is_file() and _read_stored(path).equals(block)):
            _write(store, block, source)


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
        raise InputError(f"cannot read {table}: {_first_line(error)}") from error


def _judged(space: SearchSpace, archs: list[Any], values: list[Any], seeds: list[Any]) -> list[_Row]:
    seen: set[tuple[str, int]] = set()
    rows = []
    for number, (arch, value, seed) in enumerate(zip(archs, values, seeds, strict=True), start=1):
        row = _judge(space, number, arch, value, seed)
        if row.problem is None:
            key = (row.arch, row.seed)
            if key in seen:
                row = _Row(number, row.arch, row.seed, row.accuracy, DUPLICATE, f"{row.arch} seed {row.seed}")
            seen.add(key)
        rows.append(row)
    return rows


def _judge(space: SearchSpace, number: int, arch: Any, value: Any, seed: Any) -> _Row:
    def bad(problem: str, detail: str) -> _Row:
        return _Row(number, str(arch), 0, np.nan, problem, detail)

    accuracy = _number(value)
    if accuracy is None:
        return bad(NOT_A_NUMBER, repr(value))
    if np.isnan(accuracy):
        return bad(EMPTY, "")
    if not 0.0 <= accuracy <= 100.0:
        return bad(OUT_OF_RANGE, repr(accuracy))
    whole_seed = _whole(seed)
    if whole_seed is None:
        return bad(BAD_SEED, repr(seed))
    try:
        space.index(str(arch))
    except InputError as error:
        return bad(UNKNOWN_ARCH, str(error))
    return _Row(number, str(arch), whole_seed, accuracy, None)


def _number(value: Any) -> float | None:
    """NaN for an empty cell, None for what is no number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return float("nan")
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None


def _check_bad(table: Path, rows: Sequence[_Row], skip_bad: bool) -> None:
    bad = [row for row in rows if row.problem not in (None, EMPTY)]
    if not bad or skip_bad:
        return
    counts = ", ".join(f"{reason}: {count}" for reason, count in Counter(row.problem for row in bad).items())
    raise InputError(
        f"{table}, row {bad[0].number}: {bad[0].problem} ({bad[0].detail}); "
        f"{len(bad)} of {len(rows)} rows cannot be taken ({counts}) and nothing was imported; "
        "mend them, or leave them out with --skip-bad"
    )


def _check_percent(table: Path, column: str, rows: Sequence[_Row]) -> None:
    highest = max((row.accuracy for row in rows if row.problem is None), default=100.0)
    if 0.0 < highest <= 1.0:
        raise InputError(
            f"{table}: the highest value of column {column!r} is {highest}; accuracies are in percent, 0 to 100"
        )


def check_column(table: Path, frame: pl.DataFrame, column: str) -> None:
    """Raise InputError, with the nearest one, where a table has no such column."""
    if column in frame.columns:
        return
    suggestion = nearest(column, frame.columns)
    raise InputError(f"{table} has no column {column!r}: it has {', '.join(frame.columns)}{suggestion}")


def check_name(kind: str, name: str, *, allow_dash: bool = False) -> None:
    """Raise InputError for a name that cannot be part of a file's."""
    allowed = r"[A-Za-z0-9_.-]+" if allow_dash else r"[A-Za-z0-9_.]+"
    if not re.fullmatch(allowed, name) or name.startswith("."):
        signs = "letters, digits, '_', '.'" + (" and '-'" if allow_dash else "")
        raise InputError(f"{kind} {name!r} cannot name a file: use {signs}, not beginning with '.'")


def _check_block(space: str, dataset: str, metric: str, block: pl.DataFrame) -> None:
    known = get_space(space)
    dataset_shape(known, dataset)
    check_name("metric", metric)
    rows = _judged(known, *(block[column].to_list() for column in ("arch", "accuracy", "seed")))
    bad = [row for row in rows if row.problem is not None]
    if bad:
        raise InputError(f"accuracies of {space}:{dataset}, row {bad[0].number}: {bad[0].problem} {bad[0].detail}")


def _source_of(table: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", table.stem).lstrip(".") or "table"


def _frame(space: str, dataset: str, metric: str, rows: Sequence[_Row], source: str) -> pl.DataFrame:
    records = [(space, dataset, metric, row.arch, row.seed, row.accuracy, source) for row in rows]
    return frame_of(SCHEMA, records)


def _path(store: Store, block: pl.DataFrame, source: str) -> Path:
    space, dataset, metric = map(str, block.select("space", "dataset", "metric").row(0))
    return store.accuracies_dir / space / dataset / f"{metric}-{source}.parquet"


def _write(store: Store, block: pl.DataFrame, source: str) -> None:
    write_parquet(block, _path(store, block, source))


def _files(folder: Path, metric: str) -> list[Path]:
    return sorted(file for file in folder.glob(f"{metric}-*.parquet") if not is_temporary(file))


def _read_stored(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file, glob=False).select(list(SCHEMA))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"cannot read {file}: {_first_line(error)}; delete it and import the table again"
        ) from error


def _none_message(store: Store, space: str, dataset: str, metric: str) -> str:
    there = ", ".join(f"{s}:{d} {m}" for s, d, m in accuracy_tables(store)) or "none at all"
    return (
        f"the store has no accuracies for {space}:{dataset} with metric {metric!r} (it has {there}); "
        "import a table of them"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
