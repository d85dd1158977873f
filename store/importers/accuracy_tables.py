"""Accuracies from a table that a user holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zcsr.errors import InputError
from zcsr.spaces import SearchSpace, dataset_shape, get_space
from zcsr.spaces.genotypes import arch_of_genotype, is_genotype
from zcsr.spaces.nds import CellSpace
from zcsr.store.importers.user_tables import (
    Cell,
    ImportReport,
    check_column,
    number,
    read_table,
    source_name,
    taken_cells,
)
from zcsr.store.kept.accuracies import (
    EMPTY,
    UNKNOWN_ARCH,
    check_alone,
    check_name,
    replace_accuracies,
    why_refused,
)
from zcsr.store.kept.store import Store

NOT_A_NUMBER = "accuracy not a number"


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
    width: int | None = None,
    depth: int | None = None,
    same_training: bool = False,
    skip_bad: bool = False,
) -> ImportReport:
    """Import a Parquet or CSV table of accuracies in percent; its file name becomes the source.

    Genotypes as DARTS prints them are architectures of a space of cells, of `width` channels and `depth` cells.
    Where the store has accuracies of the task and metric from elsewhere, InputError unless `same_training` says
    that those networks were trained in the same way: a mean over two ways is neither.

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
    archs = [_arch(known, str(arch), width, depth) for arch in frame[arch_column]]
    cells = _cells(known, zip(archs, seeds, frame[accuracy_column], strict=True))
    _check_percent(table, accuracy_column, cells)
    good, skipped = taken_cells(table, cells, "rows", EMPTY, skip_bad)
    if not good:
        raise InputError(f"{table} has no accuracy to import in column {accuracy_column!r} ({len(cells)} rows)")
    source = source_name(table.stem, otherwise="table")
    if not same_training:
        check_alone(store, space, dataset, metric, source)
    rows = [(space, dataset, metric, cell.arch, cell.key, cell.value, source) for cell in good]
    replace_accuracies(store, rows, source)
    return ImportReport(len(good), skipped)


def _arch(space: SearchSpace, text: str, width: int | None, depth: int | None) -> str | InputError:
    """The architecture that a text names, or why a genotype names none."""
    if not (isinstance(space, CellSpace) and is_genotype(text)):
        return text
    try:
        return arch_of_genotype(text, width, depth)
    except InputError as error:
        return error


def _cells(space: SearchSpace, rows: Iterable[tuple[str | InputError, Any, Any]]) -> list[Cell]:
    seen: set[tuple[str, int]] = set()
    cells = []
    for row, (arch, seed, value) in enumerate(rows, start=1):
        accuracy = number(value)
        if accuracy is None:
            refused: tuple[str, str] | None = (NOT_A_NUMBER, repr(value))
        elif isinstance(arch, InputError):
            refused = (UNKNOWN_ARCH, str(arch))
        else:
            refused = why_refused(space, arch, _whole(seed), accuracy, seen)
        cells.append(Cell(row, str(arch), _whole(seed), accuracy or 0.0, *(refused or (None, ""))))
    return cells


def _whole(seed: Any) -> Any:
    """A seed as the whole number it is; anything else as it is."""
    found = number(seed)
    return int(found) if found is not None and found.is_integer() and abs(found) < 2**53 else seed


def _check_percent(table: Path, column: str, cells: Sequence[Cell]) -> None:
    highest = max((cell.value for cell in cells if cell.problem is None), default=100.0)
    if 0.0 < highest <= 1.0:
        raise InputError(
            f"{table}: the highest value of column {column!r} is {highest}; accuracies are in percent, 0 to 100"
        )
