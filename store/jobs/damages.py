"""Which files of a store are damaged or gone, and which have no checksum by which that would show."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from zcsr.errors import StoreError
from zcsr.store.jobs.remedies import Kind, kind_of
from zcsr.store.kept.atomic import read_json_object
from zcsr.store.kept.checksums import (
    TEMPORARY_PREFIX,
    DamagedFile,
    check_again,
    is_gone,
    read_sum,
    sum_path,
    summed,
)
from zcsr.store.kept.encoding import broken_pieces
from zcsr.store.kept.scan import scan
from zcsr.store.kept.store import Store
from zcsr.store.tables.frames import first_line


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a store that is damaged or gone; where it is only its checksum that is, `of_sum`."""

    file: Path
    words: str
    kind: Kind
    told: dict[str, str]
    of_sum: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of looking at all files of a store: the damages by path, and the files without a checksum."""

    damages: tuple[Damage, ...]
    without_sum: tuple[Path, ...]


def examine(store: Store) -> Examined:
    """Read every file of a store and compare it with its checksum, those of other processes' work included."""
    damages: list[Damage] = []
    without: list[Path] = []
    for path, kind, told in _files(store):
        try:
            known = read_sum(path)
        except DamagedFile:
            damages.append(Damage(path, "has a checksum that is damaged", kind, told, of_sum=True))
            continue
        words = _words(path) if known else _unreadable(path)
        if words:
            damages.append(Damage(path, words, kind, told))
        elif known is None and path.is_file():
            without.append(path)
    return Examined(tuple(damages), tuple(without))


def _files(store: Store) -> Iterator[tuple[Path, Kind, dict[str, str]]]:
    """The files that a store has or had, with their kinds, by path."""
    paths = {store.root / name for name in _names(store.root)}.union(scan(store).gone)
    for path in sorted(paths):
        found = kind_of(path.relative_to(store.root).as_posix())
        if found is not None:
            yield path, *found


def _names(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith(TEMPORARY_PREFIX):
                continue
            yield os.path.relpath(os.path.join(folder, summed(name) or name), root)


def _words(path: Path) -> str:
    """What is wrong with a file that has a checksum; nothing also where it was taken away properly meanwhile."""
    try:
        check_again(path)
    except DamagedFile as error:
        return error.words
    except FileNotFoundError:
        return "is gone" if is_gone(path) else ""
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _unreadable(path: Path) -> str:
    """What is wrong with a file that has no checksum, as far as that shows."""
    if not path.exists():
        return "" if sum_path(path).exists() or not path.parent.exists() else "is gone"
    try:
        if path.suffix == ".json":
            read_json_object(path)
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.name.startswith("values-"):
            if broken := broken_pieces(path):
                return "is damaged (the checksum of {} piece {} is wrong)".format(*broken[0])
        else:
            pl.read_parquet(path, glob=False)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, StoreError, pl.exceptions.PolarsError) as error:
        return f"cannot be read ({first_line(error)})"
    return ""
