"""The command line, run in the tests' own process, or forked into one of its own."""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from zcsr.cli import main


class Result(NamedTuple):
    """What a command ended with and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on stderr, line by line."""
        return self.err.splitlines()


def zcsr(*words: str, store: Path | None = None) -> Result:
    """Run the command with these words, as the installed script does."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["zcsr", *words, *(["--store", str(store)] if store else [])])
        with pytest.raises(SystemExit) as stop:
            main()
    assert isinstance(stop.value.code, int)
    return Result(stop.value.code, out.getvalue(), err.getvalue())


def done(*words: str, store: Path | None = None) -> Result:
    """Run a command that must succeed."""
    result = zcsr(*words, store=store)
    assert result.code == 0, result.err
    return result


HEAVY = ("torch", "polars", "duckdb", "sympy", "scipy.stats", "matplotlib.figure", "deap", "zcsr.cli.app")


def forked(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Result:
    """Run a command as a shell does, in a process that shares nothing with the tests but what it has imported."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([*HEAVY, "commands"])
    with tempfile.TemporaryDirectory() as written:
        out, err = (Path(written) / name for name in ("out", "err"))
        process = server.Process(target=_become, args=(list(words), folder, dict(environment), out, err))
        process.start()
        process.join(timeout=120)
        code = process.exitcode
        assert code is not None, f"{words} goes on for too long"
        return Result(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _become(words: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = list(words)
    main()
