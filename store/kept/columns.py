"""Numbers of instances by column, and what else is known of networks, kept so that no run computes them twice.

`columns/<collection>/<hex>.parquet`, one file a request: column, arch, values. A column is a part of a program, as
text, with a number for each instance; or the name of what is known of a network, with that one number. `values` is
null where the column does not apply to the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.errors import StoreError
from zcsr.evaluation.scorer import ColumnSource, Network, ShapesOfInstance, Wanted
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.checksums import files_in
from zcsr.store.kept.parquet import read_frame, read_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.frames import first_line, frame_of

Numbers = NDArray[np.float64] | None

_COLUMNS: Mapping[str, Any] = {"column": pl.String, "arch": pl.String, "values": pl.List(pl.Float64)}
_SCHEMA = pl.Schema(_COLUMNS)


@dataclass(slots=True)
class ColumnFolder:
    """What is kept of one collection."""

    folder: Path
    _files: dict[str, list[Path]] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    def read(self, columns: Sequence[str], archs: Sequence[str]) -> dict[tuple[str, str], Numbers]:
        """Return what there is of these columns on these networks, by column and architecture."""
        self._refresh()
        wanted, networks = set(columns), set(archs)
        files = dict.fromkeys(file for column in columns for file in self._files.get(column, ()))
        found: dict[tuple[str, str], Numbers] = {}
        for file in files:
            for column, arch, values in read_frame(file, _SCHEMA).iter_rows():
                if column in wanted and arch in networks:
                    found[column, arch] = None if values is None else np.array(values, dtype=np.float64)
        return found

    def write(self, found: Mapping[tuple[str, str], Numbers]) -> None:
        """Keep numbers, in one atomic file whose name follows from what they are of."""
        if not found:
            return
        name = hashlib.sha256(repr(sorted(found)).encode()).hexdigest()[:16]
        rows = ((*key, None if values is None else values.tolist()) for key, values in found.items())
        write_parquet(frame_of(_SCHEMA, rows), self.folder / f"{name}.parquet")

    def _refresh(self) -> None:
        for file in files_in(self.folder):
            if file not in self._seen:
                self._seen.add(file)
                for column in _columns_in(file):
                    self._files.setdefault(column, []).append(file)


def _columns_in(file: Path) -> list[str]:
    try:
        return read_parquet(file, ["column"])["column"].unique().to_list()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(
            f"cannot read {file}: {first_line(error)}; delete it, and what it held is computed again"
        ) from error


class KeptColumns:
    """A `ColumnSource` that asks another only for what the store lacks, and keeps what that gives."""

    def __init__(self, store: Store, collections: Mapping[str, str], source: ColumnSource) -> None:
        self._source = source
        self._folders = {task: ColumnFolder(store.columns_dir / name) for task, name in collections.items()}

    def shapes(self, networks: Sequence[Network]) -> Iterable[tuple[ShapesOfInstance, ...]]:
        """See `ColumnSource.shapes`; nothing of it is kept."""
        return self._source.shapes(networks)

    def numbers(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Numbers, ...]]:
        """See `ColumnSource.numbers`."""
        for task, of_task in groupby(wanted, lambda one: one.task):
            ones = list(of_task)
            columns = list(dict.fromkeys(column for one in ones for column in one.columns))
            texts = {column: str(column) for column in columns}
            there = self._folders[task].read(list(texts.values()), [one.arch for one in ones])
            lacking = [
                Wanted(task, one.arch, tuple(c for c in one.columns if (texts[c], one.arch) not in there))
                for one in ones
            ]
            asked = [one for one in lacking if one.columns]
            found = {
                (texts[column], one.arch): values
                for one, of_network in zip(asked, self._source.numbers(asked), strict=True)
                for column, values in zip(one.columns, of_network, strict=True)
            }
            self._folders[task].write(found)
            known = there | found
            yield from (tuple(known[texts[column], one.arch] for column in one.columns) for one in ones)

    def known(self, name: str, networks: Sequence[Network]) -> Iterator[float]:
        """See `ColumnSource.known`."""
        for task, of_task in groupby(networks, lambda network: network[0]):
            archs = [arch for _, arch in of_task]
            there = self._folders[task].read([name], archs)
            lacking = [(task, arch) for arch in archs if (name, arch) not in there]
            values = self._source.known(name, lacking)
            found = {(name, arch): np.array([value]) for (_, arch), value in zip(lacking, values, strict=True)}
            self._folders[task].write(found)
            known = there | found
            for arch in archs:
                (value,) = known[name, arch]  # type: ignore[misc]  # a known number is never missing
                yield float(value)
