"""Writes that are complete or absent: a temporary file beside the target, flushed to disk, then renamed.

A temporary name begins with `.tmp-`; readers ignore such names, whatever a killed writer left behind, and
`sweep_temporary` removes the old ones.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from zcsr.errors import StoreError

if TYPE_CHECKING:
    import polars

TEMPORARY_PREFIX = ".tmp-"
STALE_AFTER_SECONDS = 3600.0
LOCK_NAME = ".lock"


def is_temporary(path: Path) -> bool:
    """Whether the name is one of a write that has not been completed."""
    return path.name.startswith(TEMPORARY_PREFIX)


def temporary_path(path: Path) -> Path:
    """A fresh temporary name in the folder of `path`; nothing is created."""
    return path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def write_parquet(frame: polars.DataFrame, path: Path) -> None:
    """Write a frame to a Parquet file, atomically; the folder is made when it is missing."""
    with written_aside(path) as temporary:
        frame.write_parquet(temporary)


def write_json(content: object, path: Path) -> None:
    """Write a value as indented JSON in UTF-8, atomically; NaN and infinities are refused by ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with written_aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json_object(path: Traversable, remedy: str = "") -> Mapping[str, Any]:
    """The JSON object of a file; StoreError when it is something else, or, with the remedy, unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
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
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on leaving, flush it to disk and rename it to `path`.

    When the body raises, the temporary file is removed and `path` stays what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        flush_file(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def replace_directory(temporary: Path, final: Path) -> None:
    """Flush every file of `temporary` and rename the folder to `final`, which must be absent or empty.

    Raises StoreError when `final` already holds something; `temporary` is then left as it is.
    """
    for file in sorted(temporary.rglob("*")):
        if file.is_file():
            flush_file(file)
        else:
            flush_folder(file)
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
                path.unlink(missing_ok=True)


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
