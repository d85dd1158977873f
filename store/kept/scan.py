"""What files a store holds that SQL can see, and by what a change of one shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zcsr.store.kept.atomic import TEMPORARY_PREFIX
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import GENERATION_KINDS, OPTIONAL_KINDS

PROXY_SCORES = "proxy_scores"
"""The folder of the scores that others publish of their proxies, `<space>/<dataset>/<source>.parquet`."""


class File(NamedTuple):
    """A file of the store as it was found: what it is, whose it is, and by what a change of it shows."""

    path: str
    kind: str
    run: str | None
    generation: int | None
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a store: the files that the index copies, by path, and the shards of `summaries`."""

    files: Mapping[str, File]
    summaries: tuple[Path, ...]


def scan(store: Store) -> Found:
    """What a store holds now. Writes that are not complete, and folders without a `run.json`, are passed over."""
    sources = (
        _accuracy_files,
        _collection_files,
        _score_files,
        _proxy_files,
        _run_files,
        _search_files,
        _cost_files,
    )
    files = {file.path: file for source in sources for file in source(store)}
    return Found(files, tuple(sorted(_summary_shards(store.statistics_dir))))


def _accuracy_files(store: Store) -> Iterator[File]:
    for space in _folders(store.accuracies_dir):
        for dataset in _folders(space.path):
            for entry in _entries(dataset.path):
                if entry.name.endswith(".parquet"):
                    yield _file(store, entry, "accuracies")


def _collection_files(store: Store) -> Iterator[File]:
    for collection in _folders(store.statistics_dir):
        for entry in _entries(collection.path):
            if entry.name == "collection.json":
                yield _file(store, entry, "collection")


def _score_files(store: Store) -> Iterator[File]:
    for collection in _folders(store.scores_dir):
        for entry in _entries(collection.path):
            if entry.name == "collection.json":
                yield _file(store, entry, "collection")
            elif entry.name.endswith(".parquet"):
                yield _file(store, entry, "network_scores")


def _proxy_files(store: Store) -> Iterator[File]:
    for space in _folders(store.root / PROXY_SCORES):
        for dataset in _folders(space.path):
            for entry in _entries(dataset.path):
                if entry.name.endswith(".parquet"):
                    yield _file(store, entry, "proxy_scores")


def _run_files(store: Store) -> Iterator[File]:
    for run in _folders(store.runs_dir):
        entries = {entry.name: entry for entry in _entries(run.path)}
        if "run.json" not in entries:
            continue
        yield _file(store, entries["run.json"], "run", run.name)
        if "split.parquet" in entries:
            yield _file(store, entries["split.parquet"], "split", run.name)
        yield from _generation_files(store, run)
        for entry in _entries(os.path.join(run.path, "tests")):
            if entry.name.endswith(".parquet"):
                yield _file(store, entry, "tests", run.name)


def _generation_files(store: Store, run: os.DirEntry[str]) -> Iterator[File]:
    for generation in _folders(os.path.join(run.path, "generations")):
        if not generation.name.isdecimal():
            continue
        for entry in _entries(generation.path):
            kind, _, suffix = entry.name.partition(".")
            if suffix == "parquet" and kind in (*GENERATION_KINDS, *OPTIONAL_KINDS):
                yield _file(store, entry, kind, run.name, int(generation.name))


def _search_files(store: Store) -> Iterator[File]:
    for search in _folders(store.searches_dir):
        entries = {entry.name: entry for entry in _entries(search.path)}
        if "search.json" not in entries:
            continue
        yield _file(store, entries["search.json"], "search")
        if "steps.parquet" in entries:
            yield _file(store, entries["steps.parquet"], "search_steps")


def _cost_files(store: Store) -> Iterator[File]:
    for entry in _entries(store.costs_dir):
        if entry.name.endswith(".json"):
            yield _file(store, entry, "cost")


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, but for writes that are not complete; nothing when there is no such folder."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        yield from (entry for entry in entries if not entry.name.startswith(TEMPORARY_PREFIX))


def _folders(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in _entries(folder) if entry.is_dir())


def _summary_shards(statistics: Path) -> Iterator[Path]:
    for collection in _folders(statistics):
        for entry in _entries(collection.path):
            if entry.name.startswith("summary-") and entry.name.endswith(".parquet"):
                yield Path(entry.path)


def _file(
    store: Store, entry: os.DirEntry[str], kind: str, run: str | None = None, generation: int | None = None
) -> File:
    status = entry.stat()
    path = Path(entry.path).relative_to(store.root).as_posix()
    return File(path, kind, run, generation, status.st_size, status.st_mtime_ns)
