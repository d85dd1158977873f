"""Damaged files out of the way, so that the rest of a store can be used and what they held be made again.

Nothing is deleted: what is damaged, and what is of no use without it, is moved to `damaged/<time>/` in the store,
with its path.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from zcsr.errors import StoreError
from zcsr.store.jobs.damages import Damage, examine
from zcsr.store.kept.atomic import read_json_object
from zcsr.store.kept.checksums import Known, content_of, files_in, sum_path, write_sum
from zcsr.store.kept.collections import collecting, list_collections, open_collection
from zcsr.store.kept.encoding import hash_of_head, head_of
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.runs import RunStore
from zcsr.store.kept.store import MANIFEST_NAME, Store, write_manifest
from zcsr.store.sql import index

FOLDER = "damaged"


def remedy(store: Store, damage: Damage) -> str:
    """How what was in a damaged file comes back where there is no copy, with the commands."""
    told = dict(damage.told)
    if "run" in told:
        told["started"] = _started(store, told["run"])
    if "shard" in told:
        told["collecting"] = _collecting(store, damage)
    return damage.kind.again.format(**told)


def repair(store: Store) -> list[str]:
    """Move what is damaged aside, and return what was done, a line each; none where nothing was damaged.

    Raises StoreError where a run that has to be changed is being worked on, before anything is moved.
    """
    damages = examine(store).damages
    lines = [_line(store, damage) for damage in damages if not damage.of_sum]
    runs = {damage.told["run"]: damage for damage in damages if damage.kind.of_run and not damage.of_sum}
    with ExitStack() as held:
        for run in runs:
            if (store.runs_dir / run / "run.json").is_file():
                held.enter_context(RunStore(store.runs_dir / run).worked_on())
        aside = _Aside(store)
        for damage in damages:
            if damage.of_sum:
                aside.move([sum_path(damage.file)])
            else:
                aside.move(_of_no_use(damage))
        for run in runs:
            with suppress(StoreError):  # its record is damaged as well, and was moved with all of it
                RunStore(store.runs_dir / run).set_status("interrupted")
    of_sums = [damage.file for damage in damages if damage.of_sum and damage.file.is_file()]
    add_checksums(of_sums)
    lines += [f"{file} has a new checksum: the one that it had was damaged" for file in of_sums]
    if not (store.root / MANIFEST_NAME).is_file():
        write_manifest(store.root)
    return lines + ([f"moved to {aside.folder}: {', '.join(aside.moved)}"] if aside.moved else [])


def settle(store: Store) -> tuple[list[str], list[str]]:
    """Do what a store still needs none of whose files is damaged; returns what was done, and what is still wrong.

    An index that differs from files with checksums is made anew; files without one get it where all is sound.
    """
    without, done = examine(store).without_sum, []
    problems = inner_problems(store)
    if not without and any(index.MEND in problem for problem in problems):
        index.rebuild(store)
        done.append(f"{store.index_path} has been made anew")
        problems = inner_problems(store)
    if without and not problems:
        add_checksums(without)
        done.append(f"{len(without):,} files of an earlier zcsr have got checksums")
    return done, problems


def inner_problems(store: Store) -> list[str]:
    """What is wrong with a store none of whose files is damaged, by what they and the index say of each other."""
    collections = (open_collection(store, one) for one in list_collections(store))
    return [problem for collection in collections for problem in collection.verify()] + index.verify(store)


def add_checksums(files: Iterable[Path]) -> None:
    """Give checksums to files that have none, by what they hold now."""
    for file in files:
        with suppress(FileNotFoundError):  # taken away meanwhile
            head = hash_of_head(head_of(file)) if file.name.startswith("values-") else ""
            write_sum(file, Known((content_of(file),), head))


class _Aside:
    """Moves things of a store to its folder of damaged ones."""

    def __init__(self, store: Store) -> None:
        self._root = store.root
        self.folder = store.root / FOLDER / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        self.moved: list[str] = []

    def move(self, paths: Iterable[Path]) -> None:
        """Move what is there of these files and folders; of a file the checksum as well."""
        for path in paths:
            for one in (path, sum_path(path)):
                if one.exists():
                    name = one.relative_to(self._root)
                    target = self.folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(one, target)
                    self.moved += [name.as_posix()] if one == path else []


def _of_no_use(damage: Damage) -> Iterator[Path]:
    """A damaged file, and what is of no use without it."""
    file, folder = damage.file, damage.file.parent
    if damage.kind.extent == "folder":
        yield folder
    elif damage.kind.extent == "both":
        yield from _pair(file)
    elif damage.kind.extent == "later":
        generations = folder.parent
        numbers = sorted(one.name for one in generations.glob("*/") if one.name.isdigit())
        yield generations.parent / "finalists.parquet"
        # The last first: where this is cut short, no generation is missing between others.
        yield from (generations / name for name in reversed(numbers) if int(name) >= int(folder.name))
    else:
        yield file


def _pair(file: Path) -> tuple[Path, Path]:
    """Both files of a shard of statistics, or of a set of images, the one first without which neither counts."""
    if file.parent.name == "images":
        return file.with_suffix(".json"), file.with_suffix(".parquet")
    shard = file.name.partition("-")[2]
    return file.with_name(f"summary-{shard}"), file.with_name(f"values-{shard}")


def _line(store: Store, damage: Damage) -> str:
    return f"{damage.file} {damage.words}: {remedy(store, damage)}"


def _started(store: Store, run: str) -> str:
    """The command that started a run, as its costs tell it."""
    for file in _readable_costs(store):
        with suppress(StoreError, OSError):
            record = read_json_object(file)
            if record.get("run") == run and record.get("kind") == "evolve":
                return f"`{shlex.join(record['command'])}`"
    return "`zcsr evolve` with the same flags"


def _readable_costs(store: Store) -> list[Path]:
    with suppress(StoreError):
        return files_in(store.costs_dir, suffix=".json")
    return sorted(store.costs_dir.glob("*.json"))


def _collecting(store: Store, damage: Damage) -> str:
    """The command that computes the statistics of a shard again, as far as its other file tells the networks."""
    summary, values = _pair(damage.file)
    try:
        collection = open_collection(store, damage.told["collection"]).collection
        archs = (head_of(values) if damage.file == summary else read_parquet(summary, ["arch"]))["arch"]
    except (StoreError, OSError, ValueError, pl.exceptions.PolarsError):
        return "`zcsr collect` with the same flags, or the next `zcsr evolve` that needs it,"
    return f"`{collecting(collection, archs.unique(maintain_order=True).to_list())}`"
