"""Writes that are complete or absent: a temporary file beside the target, flushed to disk, then renamed.

A temporary name begins with `.tmp-`; readers ignore such names, whatever a killed writer left behind, and
`sweep_temporary` removes the old ones. What is kept in a store has a checksum (`checksums`).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from zcsr.errors import StoreError
from zcsr.store.kept.checksums import (
    TEMPORARY_PREFIX,
    meant_for,
    read_checked,
    seal,
    summed,
    temporary_path,
    withdraw,
)

if TYPE_CHECKING:
    import polars

STALE_AFTER_SECONDS = 3600.0
LOCK_NAME = ".lock"


def is_temporary(path: Path) -> bool:
    """Whether the name is one of a write that has not been completed."""
    return path.name.startswith(TEMPORARY_PREFIX)


def write_parquet(frame: polars.DataFrame, path: Path) -> None:
    """Write a frame to a Parquet file of a store, atomically; the folder is made when it is missing.

    Raises StoreError where the disk does not take it.
    """
    with kept(path) as temporary, written_by_polars(path):
        frame.write_parquet(temporary)


def write_json(content: object, path: Path) -> None:
    """Write a value as indented JSON of a store, atomically; NaN and infinities are refused by ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with kept(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json_object(path: Traversable, remedy: str = "") -> Mapping[str, Any]:
    """The JSON object of a file; StoreError when it is something else, damaged, or, with the remedy, unreadable."""
    try:
        text = (read_checked(path) if isinstance(path, Path) else path.read_bytes()).decode()
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}{remedy}") from error
    try:
        content = json.loads(text)
    except ValueError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"cannot read {path}: expected a JSON object, found {type(content).__name__}")
    return content


@contextmanager
def kept(path: Path) -> Iterator[Path]:
    """As `written_aside`, for a file of a store: its checksum is put in place before it."""
    with written_aside(path, seal) as temporary:
        yield temporary


@contextmanager
def written_by_polars(path: Path) -> Iterator[None]:
    """Raise StoreError where polars cannot write what is to become `path`."""
    import polars

    try:
        yield
    except polars.exceptions.PolarsError as error:
        raise StoreError(f"cannot write {path}: {' '.join(str(error).split())}") from error


@contextmanager
def written_aside(path: Path, ready: Callable[[Path, Path], None] = lambda *_: None) -> Iterator[Path]:
    """Give a temporary path to write to; on leaving, flush it to disk and rename it to `path`.

    `ready` is told both paths in between. When the body raises, the temporary file is removed and `path` stays what
    it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        flush_file(temporary)
        ready(temporary, path)
        os.replace(temporary, path)
    except BaseException:
        give_up(temporary)
        raise
    flush_folder(path.parent)


def give_up(temporary: Path) -> None:
    """Remove a temporary file, and before it the checksum of what it was to become, if that is not there."""
    if (path := meant_for(temporary)) is not None:
        withdraw(path)
    temporary.unlink(missing_ok=True)


def replace_directory(temporary: Path, final: Path) -> None:
    """Flush every file of `temporary` and rename the folder to `final`, which must be absent or empty.

    Raises StoreError when `final` already holds something; `temporary` is then left as it is.
    """
    for file in sorted(temporary.rglob("*")):
        if file.is_dir():
            flush_folder(file)
        elif summed(file.name) is None:
            flush_file(file)
    flush_folder(temporary)
    try:
        os.replace(temporary, final)
    except OSError as error:
        raise StoreError(f"cannot write {final}: {error.strerror or error}") from error
    flush_folder(final.parent)


def sweep_temporary(folder: Path, older_than: float = STALE_AFTER_SECONDS) -> None:
    """Remove the temporary files and folders directly in `folder` whose age in seconds is `older_than` or more.

    A younger one may belong to a writer that is still at work, so it stays.
    """
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if age(path) >= older_than:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                give_up(path)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: other processes that ask for it wait. It is freed even when this process is killed.

    Where the platform or the file system has no such locks, nothing is held.
    """
    lock = FileLock(folder / LOCK_NAME, fallback_to_soft=False)
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def flush_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the platform can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems refuse it for a folder; the rename itself stays atomic
    finally:
        os.close(descriptor)


def flush_file(path: Path) -> None:
    """Wait until the content of a file is on disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def age(path: Path) -> float:
    """Seconds since the last change; negative for a path that is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return -1.0
