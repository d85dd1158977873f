"""What files a store holds that SQL can see, and by what a change of one shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from zcsr.store.kept.checksums import TEMPORARY_PREFIX, is_gone, summed
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import FEEDS, SUMMARIES
from zcsr.store.tables.table import expression, mute


class File(NamedTuple):
    """A file of the store as it was found: where, of which pattern of paths, and by what a change of it shows."""

    path: str
    pattern: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a store: the files that the index copies, by path, the shards of `summaries`, and what is gone."""

    files: Mapping[str, File]
    summaries: tuple[Path, ...]
    gone: tuple[Path, ...] = ()


def scan(store: Store) -> Found:
    """What a store holds now, and what it held: writes that are not complete are passed over.

    A file is gone where its checksum stands alone; the record of a folder also where the rest of the folder does.
    """
    files, summaries = {}, []
    gone: list[Path] = []
    for entry, path, pattern in _walk(store.root, "", _patterns(), gone):
        if pattern == SUMMARIES:
            summaries.append(Path(entry.path))
        else:
            status = entry.stat()
            files[path] = File(path, pattern, status.st_size, status.st_mtime_ns)
    return Found(files, tuple(sorted(summaries)), tuple(sorted(gone)))


@dataclass(slots=True)
class _Folder:
    """What a folder may hold, by the parts of patterns that say its names. A file is there as its whole pattern."""

    inner: dict[str, _Folder | str] = field(default_factory=dict)
    head: str | None = None

    def of_name(self, name: str) -> _Folder | str | None:
        """What is known of that name."""
        alike = (inner for part, inner in self.inner.items() if expression(part).fullmatch(name))
        return self.inner.get(name) or next(alike, None)


@cache
def _patterns() -> _Folder:
    """The root of a store."""
    root = _Folder()
    for pattern, feeds in FEEDS.items():
        folder, (*folders, name) = root, pattern.split("/")
        for part in folders:
            folder = folder.inner.setdefault(mute(part), _Folder())  # type: ignore[assignment]
        folder.inner[mute(name)] = pattern
        if any(source.head for source in feeds.values()):
            folder.head = name
    return root


def _walk(
    place: str | Path, before: str, folder: _Folder, gone: list[Path]
) -> Iterator[tuple[os.DirEntry[str], str, str]]:
    """The known files below a folder, each with its path in the store and its pattern; `gone` is told the rest."""
    entries = list(_entries(place))
    names = {entry.name for entry in entries}
    alone = {name for name in map(summed, names) if name and name not in names and folder.of_name(name)}
    gone += (path for path in (Path(place, name) for name in alone) if is_gone(path))
    known = [(entry, inner) for entry in entries if (inner := folder.of_name(entry.name)) is not None]
    if folder.head and folder.head not in names:
        head = Path(place, folder.head)
        gone += [head] if known and head not in gone and not head.exists() else []
        return
    for entry, inner in known:
        if isinstance(inner, str):
            yield entry, f"{before}{entry.name}", inner
        elif entry.is_dir():
            yield from _walk(entry.path, f"{before}{entry.name}/", inner, gone)


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, but for writes that are not complete; nothing when there is no such folder."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        yield from (entry for entry in entries if not entry.name.startswith(TEMPORARY_PREFIX))
