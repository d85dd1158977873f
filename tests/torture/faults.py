"""Faults of a machine at a file operation of a process: it is killed there, or the disk is full from there on.

Operations are counted where zcsr asks the system for them below one folder: opening a file for writing, writing it,
flushing, renaming, removing. Polars and DuckDB write by themselves; that they are asked to is an operation, too.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import commands
import duckdb
import polars as pl

How = Literal["count", "kill", "full"]
SECONDS = 120.0
"""What takes longer hangs."""


class Outcome(NamedTuple):
    """How a process ended (None: not at all, in time), what it wrote to stderr, and its operations."""

    code: int | None
    err: str
    operations: int


def run(
    words: Sequence[str], store: Path, how: How = "count", at: int = 0, killed_after: float | None = None
) -> Outcome:
    """Run a command on a store in a process group of its own, with a fault at an operation or a kill at a time."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([*commands.HEAVY, "commands", "faults"])
    with tempfile.TemporaryDirectory() as written:
        err, count = Path(written) / "err", Path(written) / "count"
        process = server.Process(target=_become, args=(list(words), store, how, at, err, count))
        process.start()
        process.join(timeout=SECONDS if killed_after is None else killed_after)
        if process.is_alive():
            _kill_group(process.pid)
            process.join()
            code = None if killed_after is None else -signal.SIGKILL
        else:
            code = process.exitcode
        _kill_group(process.pid)  # workers that outlive it
        operations = int(count.read_text()) if count.exists() else 0
        return Outcome(code, err.read_text(encoding="utf-8") if err.exists() else "", operations)


def _kill_group(group: int | None) -> None:
    try:
        if group:
            os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _become(words: list[str], store: Path, how: How, at: int, err: Path, count: Path) -> None:
    os.setsid()
    for path, descriptor in ((Path(os.devnull), 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    faults = _Faults(store, how, at)
    faults.arm()
    sys.argv = ["zcsr", *words, "--store", str(store)]
    try:
        commands.main()
    finally:
        faults.root = Path("/nowhere")
        count.write_text(str(faults.operations))


class _Faults:
    """Counts operations below a folder, and lets one of them go wrong."""

    def __init__(self, root: Path, how: How, at: int) -> None:
        self.root = root
        self.operations = 0
        self._how = how
        self._at = at

    def arm(self) -> None:
        """Put a counting function in the place of each."""
        for module, name in ((os, "replace"), (os, "unlink"), (os, "remove"), (shutil, "copyfile")):
            self._wrap(module, name, writes=name == "copyfile")
        self._wrap(os, "fsync", of_descriptor=True)
        self._wrap(Path, "write_text", writes=True)
        self._wrap(Path, "unlink")
        self._wrap(Path, "touch", writes=True)
        self._wrap(Path, "mkdir", writes=True)
        self._wrap(pl.DataFrame, "write_parquet", writes=True, place=1, by_polars=True)
        self._wrap(pl.LazyFrame, "sink_parquet", writes=True, place=1, by_polars=True)
        self._wrap(duckdb, "connect", writes=True, by_duckdb=True)

    def _wrap(
        self,
        owner: Any,
        name: str,
        *,
        writes: bool = False,
        place: int = 0,
        of_descriptor: bool = False,
        by_polars: bool = False,
        by_duckdb: bool = False,
    ) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            path = (
                Path(os.readlink(f"/proc/self/fd/{given[0]}")) if of_descriptor else given[place:] and given[place]
            )
            counted = isinstance(path, str | Path) and Path(path).is_relative_to(self.root)
            if not counted or named.get("read_only"):
                return real(*given, **named)
            if self._due():
                if self._how == "kill":
                    self._die()
                if writes and by_polars:
                    Path(path).write_bytes(b"PAR1")
                    raise pl.exceptions.ComputeError("No space left on device (os error 28)")
                if writes and by_duckdb:
                    raise duckdb.IOException("IO Error: Could not write file: No space left on device")
                if writes:
                    raise OSError(errno.ENOSPC, "No space left on device", str(path))
            done = real(*given, **named)
            if writes and name != "mkdir" and not by_duckdb and self._due() and self._how == "kill":
                os.truncate(path, os.path.getsize(path) // 2)  # killed in the middle of writing
                self._die()
            return done

        setattr(owner, name, wrapped)

    def _due(self) -> bool:
        self.operations += 1
        return self.operations == self._at or (self._how == "full" and self.operations > self._at)

    @staticmethod
    def _die() -> None:
        os.killpg(0, signal.SIGKILL)
