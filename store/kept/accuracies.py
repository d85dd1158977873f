"""Trained accuracies: those of imported tables, and rows that training adds.

`accuracies/<space>/<dataset>/<metric>-<source>.parquet`, one row an architecture and seed: space, dataset, metric,
arch, seed, accuracy (percent, 0 to 100), source. Importing the same table again replaces its file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from zcsr.errors import InputError, StoreError
from zcsr.spaces import SearchSpace, dataset_shape, get_space
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.checksums import files_in, is_there
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import ACCURACIES
from zcsr.store.tables.frames import first_line, schema_of

SCHEMA = schema_of(ACCURACIES)
EMPTY = "empty accuracy"
OUT_OF_RANGE = "accuracy outside 0..100"
UNKNOWN_ARCH = "unknown architecture"
BAD_SEED = "seed not a whole number"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyTable:
    """Accuracies in percent, float64 [n], of `archs` in the space's canonical order."""

    archs: tuple[str, ...]
    accuracies: npt.NDArray[np.float64]
    metric: str


def write_accuracies(store: Store, rows: Sequence[Mapping[str, Any]], source: str) -> None:
    """Add trained accuracies; each row has space, dataset, metric, arch, seed and accuracy (percent).

    The rows of one space, dataset and metric make one file, named after the architectures and seeds in it, so
    that processes never write to the same file unless they hold the same block. InputError on a row that cannot be
    taken.
    """
    check_name("source", source, allow_dash=True)
    frame = pl.DataFrame([{**row, "source": source} for row in rows], schema=SCHEMA, strict=True)
    for block in _checked_blocks(frame):
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
    folder = store.accuracies_dir / space / dataset
    files = files_in(folder, f"{metric}-")
    return pl.concat(map(_read_stored, files)) if files else pl.DataFrame(schema=SCHEMA)


def accuracy_tables(store: Store) -> list[tuple[str, str, str]]:
    """What accuracies there are: sorted (space, dataset, metric)."""
    found: set[tuple[str, str, str]] = set()
    for folder in store.accuracies_dir.glob("*/*/"):
        found.update((folder.parent.name, folder.name, file.name.partition("-")[0]) for file in files_in(folder))
    return sorted(found)


def sources(store: Store, space: str, dataset: str, metric: str = "test") -> dict[str, int]:
    """Where the accuracies of a task come from: the number of networks by source, sorted by its name."""
    frame = measurements(store, space, dataset, metric)
    return dict(frame.group_by("source").agg(pl.col("arch").n_unique()).sort("source").rows())


def check_alone(store: Store, space: str, dataset: str, metric: str, source: str) -> None:
    """Raise InputError where the store has accuracies of a task and metric from another source."""
    others = {name: count for name, count in sources(store, space, dataset, metric).items() if name != source}
    if others:
        there = ", ".join(f"{name} ({count:,} networks)" for name, count in others.items())
        raise InputError(
            f"the store has {metric} accuracies of {space}:{dataset} from {there}, and where a network has several "
            "their mean is taken: --same-training says that all were trained alike, another --store or --metric "
            "keeps them apart"
        )


def install_accuracies(store: Store, frame: pl.DataFrame, source: str) -> None:
    """Put a ready table with the columns of `SCHEMA` into the store, unless it is there already."""
    for block in _checked_blocks(frame.select(list(SCHEMA)).cast(SCHEMA)):
        path = _path(store, block, source)
        if not (is_there(path) and _read_stored(path).equals(block)):
            _write(store, block, source)


def replace_accuracies(store: Store, rows: Sequence[tuple[object, ...]], source: str) -> None:
    """Put rows of one task and metric, as `SCHEMA` orders them, in the place of all that the source gave before."""
    _write(store, pl.DataFrame(rows, schema=SCHEMA, orient="row"), source)


def why_refused(
    space: SearchSpace, arch: str, seed: object, accuracy: float | None, seen: set[tuple[str, int]]
) -> tuple[str, str] | None:
    """Why an accuracy cannot be stored, and what was seen; None when it can, and `seen` has it from then on."""
    if accuracy is None or math.isnan(accuracy):
        return EMPTY, ""
    if not 0.0 <= accuracy <= 100.0:
        return OUT_OF_RANGE, repr(accuracy)
    if type(seed) is not int or abs(seed) >= 2**53:
        return BAD_SEED, repr(seed)
    try:
        space.index(arch)
    except InputError as error:
        return UNKNOWN_ARCH, str(error)
    if (arch, seed) in seen:
        return DUPLICATE, f"{arch} seed {seed}"
    seen.add((arch, seed))
    return None


def check_name(kind: str, name: str, *, allow_dash: bool = False) -> None:
    """Raise InputError for a name that cannot be part of a file's."""
    allowed = r"[A-Za-z0-9_.-]+" if allow_dash else r"[A-Za-z0-9_.]+"
    if not re.fullmatch(allowed, name) or name.startswith("."):
        signs = "letters, digits, '_', '.'" + (" and '-'" if allow_dash else "")
        raise InputError(f"{kind} {name!r} cannot name a file: use {signs}, not beginning with '.'")


def _checked_blocks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of each space, dataset and metric; InputError before those in which one cannot be taken."""
    for keys, block in frame.group_by(["space", "dataset", "metric"], maintain_order=True):
        space, dataset, metric = map(str, keys)
        known = get_space(space)
        dataset_shape(known, dataset)
        check_name("metric", metric)
        seen: set[tuple[str, int]] = set()
        measured = block.select("arch", "seed", "accuracy").iter_rows()
        for number, (arch, seed, accuracy) in enumerate(measured, start=1):
            if refused := why_refused(known, arch, seed, accuracy, seen):
                raise InputError(f"accuracies of {space}:{dataset}, row {number}: {' '.join(refused)}")
        yield block


def _path(store: Store, block: pl.DataFrame, source: str) -> Path:
    space, dataset, metric = map(str, block.select("space", "dataset", "metric").row(0))
    return store.accuracies_dir / space / dataset / f"{metric}-{source}.parquet"


def _write(store: Store, block: pl.DataFrame, source: str) -> None:
    write_parquet(block, _path(store, block, source))


def _read_stored(file: Path) -> pl.DataFrame:
    try:
        frame = read_parquet(file, list(SCHEMA))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"cannot read {file}: {first_line(error)}; delete it and import the table again"
        ) from error
    wrong = frame.filter(~pl.col("accuracy").is_between(0, 100).fill_null(False))
    if not wrong.is_empty():
        arch, value = wrong.select("arch", "accuracy").row(0)
        raise StoreError(
            f"{file} is damaged: the accuracy of {arch} is {value}, no percentage; restore it, or delete it "
            "and import the table again"
        )
    return frame


def _none_message(store: Store, space: str, dataset: str, metric: str) -> str:
    there = ", ".join(f"{s}:{d} {m}" for s, d, m in accuracy_tables(store)) or "none at all"
    return (
        f"the store has no accuracies for {space}:{dataset} with metric {metric!r} (it has {there}); "
        "import a table of them"
    )
